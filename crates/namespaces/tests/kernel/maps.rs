//! Parent: id maps on real user namespaces.

use std::path::Path;

use nsinit_namespaces::{CloneRequest, Error, IdMap, IdMaps, Kinds, Process, become_root};
use rustix::io::Errno;
use rustix::process::{Gid, getuid};
use rustix::thread::set_thread_groups;

use crate::As::{Both, Root, User};
use crate::scene::{Gate, become_user, bind_file, code, end, is_root, mapped, number, require};
use crate::{NOBODY, Scenario, sys};

pub(crate) const ALL: &[Scenario] = &[
    ("root_writes_any_map_and_keeps_setgroups", Root, root_writes_any_map),
    ("a_single_map_denies_setgroups_to_a_user", User, single_map),
    ("a_single_map_of_root_allows_setgroups", Root, single_map_of_root),
    ("setgroups_stays_denied_in_a_nested_namespace", User, nested_setgroups),
    ("become_root_allocates_nothing", Both, quiet_root),
    ("ids_that_nobody_gave_name_the_missing_line", User, missing_line),
    ("ids_that_do_not_exist_here_are_told", Both, unknown_ids),
    ("subordinate_ids_are_written_by_the_installed_programs", Root, subordinate_ids),
    ("without_ranges_there_are_no_subordinate_ids", User, no_subordinate_ids),
    ("a_process_that_is_gone_is_told", Both, gone),
];

fn lines(container_id: u32, host_id: u32, size: u32) -> Vec<IdMap> {
    vec![IdMap { container_id, host_id, size }]
}

fn both(lines: Vec<IdMap>) -> IdMaps {
    IdMaps { uids: lines.clone(), gids: lines }
}

/// A file of `process` with its columns as single spaces.
fn read(process: &Process, file: &str) -> String {
    let path = format!("/proc/{}/{file}", number(process.pid()));
    let text = std::fs::read_to_string(path).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A child in a new user namespace whose maps are not yet written.
fn unmapped() -> Process {
    let request = CloneRequest { kinds: Kinds::USER, ..CloneRequest::default() };
    sys::child(&request, || {
        loop {
            std::thread::park();
        }
    })
    .unwrap()
}

fn root_writes_any_map() {
    let maps = both(lines(0, 100_000, 65_536));
    assert!(!maps.denies_setgroups());
    let (ready, done) = (Gate::new(), Gate::new());
    let child = mapped(Kinds::NONE, &maps, || {
        set_thread_groups(&[Gid::from_raw(5)]).unwrap();
        ready.open();
        done.wait();
        i32::from(!getuid().is_root())
    });
    ready.wait();
    assert_eq!(read(&child, "uid_map"), "0 100000 65536");
    assert_eq!(read(&child, "gid_map"), "0 100000 65536");
    assert_eq!(read(&child, "setgroups"), "allow");
    let status = read(&child, "status");
    assert!(status.contains("Uid: 100000 100000 100000 100000"), "{status}");
    assert!(status.contains("Groups: 100005"), "{status}");
    done.open();
    assert_eq!(code(&child), 0);
}

fn single_map() {
    let maps = IdMaps::caller_as_root();
    assert!(maps.denies_setgroups());
    let child = mapped(Kinds::NONE, &maps, || {
        assert_eq!(std::fs::read_to_string("/proc/self/setgroups").unwrap(), "deny\n");
        assert_eq!(set_thread_groups(&[]), Err(Errno::PERM));
        assert_eq!(become_root(true), Err(Errno::PERM));
        0
    });
    assert_eq!(code(&child), 0);
}

fn single_map_of_root() {
    let maps = IdMaps::caller_as_root();
    assert!(!maps.denies_setgroups());
    let child = mapped(Kinds::NONE, &maps, || {
        set_thread_groups(&[]).unwrap();
        0
    });
    assert_eq!(code(&child), 0);
}

fn nested_setgroups() {
    let child = mapped(Kinds::NONE, &IdMaps::caller_as_root(), || {
        // With every capability here, and all the same.
        assert!(IdMaps::caller_as_root().denies_setgroups());
        let inner = mapped(Kinds::NONE, &IdMaps::caller_as_root(), || {
            i32::from(set_thread_groups(&[]) != Err(Errno::PERM))
        });
        code(&inner)
    });
    assert_eq!(code(&child), 0);
}

fn quiet_root() {
    let maps = IdMaps::caller_as_root();
    let gate = Gate::new();
    let request = CloneRequest { kinds: Kinds::USER, ..CloneRequest::default() };
    let allowed = !maps.denies_setgroups();
    let child = sys::quiet_child(&request, || {
        gate.wait();
        i32::from(become_root(allowed).and(nsinit_namespaces::unshare(Kinds::UTS)).is_err())
    })
    .unwrap();
    maps.write(child.pid()).unwrap();
    gate.open();
    assert_eq!(code(&child), 0);
}

fn missing_line() {
    require!(Path::new("/usr/bin/newgidmap").exists(), "newgidmap in /usr/bin");
    let child = unmapped();
    let error = both(lines(0, 4_000_000, 10)).write(child.pid()).unwrap_err();
    assert_eq!((read(&child, "uid_map"), read(&child, "gid_map")), (String::new(), String::new()));
    end(child);
    let Error::IdRange { file, line, .. } = &error else { panic!("{error:?}") };
    assert_eq!(file, Path::new("/etc/subgid"));
    assert!(line.ends_with(":4000000:10"), "{line}");
    assert_eq!(error.hint().unwrap(), format!("as root, add the line {line} to /etc/subgid"));
}

fn unknown_ids() {
    let child = mapped(Kinds::NONE, &IdMaps::caller_as_root(), || {
        let inner = unmapped();
        let error = both(lines(0, 5, 1)).write(inner.pid()).unwrap_err();
        end(inner);
        let text = "gid_map: 0 5 1: these host ids do not exist in the caller's own user namespace";
        assert_eq!(error.to_string(), text);
        0
    });
    assert_eq!(code(&child), 0);
}

fn subordinate_ids() {
    let programs = ["/usr/bin/newuidmap", "/usr/bin/newgidmap", "/etc/subuid", "/etc/subgid"];
    require!(programs.iter().all(|path| Path::new(path).exists()), "newuidmap, newgidmap");
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    require!(passwd.contains(":65534:65534:"), "a user and group 65534");
    let ranges = "nobody:100000:65536\n65534:300000:10\n";
    bind_file(&["/etc/subuid", "/etc/subgid"], ranges, 0o644);
    become_user(NOBODY);
    assert!(!is_root());
    let maps = IdMaps::subordinate().unwrap().unwrap();
    assert!(!maps.denies_setgroups());
    assert_eq!(maps.host_uid(65_537), Some(300_000));
    let child = mapped(Kinds::NONE, &maps, || {
        set_thread_groups(&[Gid::from_raw(7)]).unwrap();
        rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(33)).unwrap();
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
        let map = map.split_whitespace().collect::<Vec<_>>().join(" ");
        i32::from(map != "0 65534 1 1 100000 65536 65537 300000 10")
    });
    assert_eq!(code(&child), 0);

    let beyond = both(lines(0, 165_530, 10));
    let child = unmapped();
    let error = beyond.write(child.pid()).unwrap_err();
    end(child);
    assert_eq!(error.to_string(), "/etc/subgid: user nobody has no line nobody:165530:10");
}

fn no_subordinate_ids() {
    let text = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    let uid = getuid().as_raw().to_string();
    require!(!text.contains("nobody:") && !text.contains(&uid), "a user without ranges");
    assert_eq!(IdMaps::subordinate().unwrap(), None);
}

fn gone() {
    let child = sys::child(&CloneRequest::default(), || 0).unwrap();
    child.wait().unwrap();
    let error = IdMaps::caller_as_root().write(child.pid()).unwrap_err();
    assert!(matches!(error, Error::Gone { .. }), "{error:?}");
}
