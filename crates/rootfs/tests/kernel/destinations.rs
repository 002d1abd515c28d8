//! Both: symbolic links and other places that an image, a volume or an earlier run of
//! the container may have prepared. S01, S02, … are rows of the threat model.

use std::path::Path;

use nsinit_rootfs::{Error, Furniture, Mount, Rootfs};
use rustix::io::Errno;

use crate::support::*;

/// The plan for this image, which must be refused with this text.
fn refused(temporary: &Temporary, furniture: &Furniture) -> String {
    let root = Rootfs::open(temporary.root()).expect("root");
    root.steps(furniture).expect_err("a refusal").to_string()
}

fn privileged(mounts: impl IntoIterator<Item = Mount>) -> Furniture {
    let mounts = Mount::defaults().into_iter().chain(mounts).collect();
    Furniture { mounts, ..Furniture::default() }
}

#[test]
fn a_destination_that_is_a_symbolic_link_is_refused_with_its_target() {
    // S01
    let temporary = Temporary::new();
    temporary.link(temporary.canary(), "root/link");
    let text = refused(&temporary, &privileged([Mount::tmpfs("/link")]));
    let target = temporary.canary();
    assert_eq!(text, format!("/link: destination is a symbolic link to {}", target.display()));
}

#[test]
fn a_destination_behind_a_symbolic_link_stays_below_the_root() {
    // S01, S03, S04
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        temporary.link(temporary.canary(), "root/link");
        temporary.link("../../../../../..", "root/up");
        temporary.link("missing/deeper", "root/dangling");
        let before = temporary.fingerprint();
        let files = (0..20).map(|n| Mount::file(format!("/link/a{n}/b/c"), "x", 0o644));
        let mounts = files.chain([
            Mount::tmpfs("/link/new"),
            Mount::tmpfs("/up/etc/x"),
            Mount::bind(temporary.source(), "/dangling/y"),
        ]);
        let furniture = sandbox.furniture(mounts);
        let ended = sandbox.run(&temporary, &furniture, |_| {
            check!(
                exists(c"/link/a19/b/c") && exists(c"/etc/x") && exists(c"/missing/deeper/y/file")
            );
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
        let after: Vec<_> = temporary.fingerprint();
        let owned = |told: Vec<String>| -> Vec<String> {
            // giving the tree to uid 65534 is the test's own doing
            told.into_iter().map(|line| line.replace(" 65534 65534 ", " 0 0 ")).collect()
        };
        assert_eq!(owned(before), owned(after), "{sandbox:?}");
        assert!(temporary.root().join("etc/x").is_dir());
    }
}

/// The image changes between the plan and the child.
fn swapped(
    sandbox: Sandbox,
    furniture: &Furniture,
    swap: impl Fn(&Temporary),
    temporary: &Temporary,
) -> Ended {
    if sandbox.who == As::Nobody && rustix::process::geteuid().is_root() {
        temporary.give_to(65534);
    }
    let steps = Rootfs::open(temporary.root()).expect("root").steps(furniture).expect("plan");
    swap(temporary);
    let before = temporary.fingerprint();
    let ended = sandbox.walk(temporary, &steps, |_| Ok(()));
    assert_eq!(before, temporary.fingerprint(), "{sandbox:?}");
    ended
}

#[test]
fn a_destination_swapped_for_a_link_after_the_plan_is_refused() {
    // S01, S02
    for sandbox in Sandbox::everyone() {
        for inside in [false, true] {
            let temporary = Temporary::new();
            let furniture = sandbox.furniture([Mount::tmpfs("/data")]);
            let target = if inside { "/etc".into() } else { temporary.canary() };
            let ended = swapped(sandbox, &furniture, |t| t.link(&target, "root/data"), &temporary);
            let step = "mount tmpfs on /data (nosuid,nodev,mode=755)".to_owned();
            assert_eq!(ended, Ended::Step(step, Errno::LOOP), "{sandbox:?}");
        }
    }
}

#[test]
fn a_missing_parent_swapped_for_a_link_makes_nothing_on_the_host() {
    // S03, S04
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let furniture = sandbox.furniture([Mount::file("/data/new/file", "x", 0o644)]);
        let canary = temporary.canary();
        let ended = swapped(sandbox, &furniture, |t| t.link(&canary, "root/data"), &temporary);
        assert!(matches!(ended, Ended::Step(_, Errno::LOOP)), "{sandbox:?}: {ended:?}");
    }
}

#[test]
fn a_parent_that_only_lets_search_still_works() {
    // S04: 0711
    use std::os::unix::fs::PermissionsExt;
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let closed = temporary.root().join("etc/closed");
        std::fs::create_dir_all(closed.join("inner")).expect("directory");
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o111)).expect("mode");
        let furniture = sandbox.furniture([Mount::tmpfs("/etc/closed/inner/new")]);
        let ended = sandbox.run(&temporary, &furniture, |_| Ok(()));
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o755)).expect("mode");
    }
}

#[test]
fn a_dev_that_is_a_symbolic_link_is_refused() {
    // S05
    for swap_late in [false, true] {
        let sandbox = Sandbox::everyone()[0];
        let temporary = Temporary::new();
        let canary = temporary.canary();
        let furniture = sandbox.furniture([]);
        if swap_late {
            let ended = swapped(sandbox, &furniture, |t| t.link(&canary, "root/dev"), &temporary);
            assert!(matches!(ended, Ended::Step(_, Errno::LOOP)), "{ended:?}");
        } else {
            temporary.link(&canary, "root/dev");
            assert!(
                refused(&temporary, &furniture).starts_with("/dev: destination is a symbolic link")
            );
        }
    }
}

#[test]
fn nothing_that_the_image_has_in_its_dev_is_used() {
    // S05, S06, S07, S08, S09
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let canary = temporary.canary();
        for name in ["pts", "shm", "mqueue", "fd", "ptmx", "stdin"] {
            temporary.link(&canary, &format!("root/dev/{name}"));
        }
        temporary.link(canary.join("created"), "root/dev/console");
        temporary.link("/proc/sys/kernel/core_pattern", "root/dev/null");
        std::fs::write(temporary.root().join("dev/tty"), "").expect("file");
        let furniture = Furniture { console: true, ..sandbox.furniture([]) };
        let ended = swapped(sandbox, &furniture, |_| {}, &temporary);
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn without_a_dev_of_its_own_a_plan_gets_one() {
    // NODEV
    let temporary = Temporary::new();
    temporary.link("/etc", "root/dev/pts"); // will not be seen
    let mounts = vec![Mount::proc(), Mount::devpts()];
    let furniture = Furniture { mounts, ..Furniture::default() };
    let steps = Rootfs::open(temporary.root()).expect("root").steps(&furniture).expect("plan");
    let words: Vec<_> = steps.iter().map(ToString::to_string).collect();
    let dev = "mount tmpfs on /dev (nosuid,mode=755,size=1m,nr_inodes=1k)";
    let dev = words.iter().position(|step| step == dev);
    let proc = words.iter().position(|step| step.starts_with("mount proc on /proc"));
    assert_eq!(dev, proc.map(|proc| proc + 1), "{words:#?}");
    let text = refused(&temporary, &privileged([Mount::bind("/dev", "/dev")]));
    assert_eq!(text, "/dev: /dev is always a tmpfs of the container's own");
}

#[test]
fn a_proc_or_sys_that_is_a_symbolic_link_is_refused() {
    // S11
    for (name, target) in [("proc", "/fake"), ("sys", "fake"), ("proc", "dangling"), ("sys", "one")]
    {
        let temporary = Temporary::new();
        std::fs::create_dir(temporary.root().join("fake")).expect("directory");
        temporary.link("two", "root/one");
        temporary.link("fake", "root/two");
        temporary.link(target, &format!("root/{name}"));
        let text = refused(&temporary, &privileged([]));
        assert_eq!(text, format!("/{name}: destination is a symbolic link to {target}"));
    }
    let temporary = Temporary::new();
    std::fs::remove_dir(temporary.root().join("proc")).expect("directory");
    std::fs::write(temporary.root().join("proc"), "").expect("file");
    assert!(
        refused(&temporary, &privileged([])).starts_with("/proc: destination is not a directory")
    );
}

#[test]
fn proc_is_judged_by_where_a_path_leads_to() {
    // S10, S12
    let temporary = Temporary::new();
    temporary.link("/proc", "root/link-to-proc");
    temporary.link("/", "root/slash");
    for at in [
        "/proc/self/attr",
        "/proc//sys",
        "/./proc/x",
        "/link-to-proc/sys",
        "/slash/proc/1",
        "/proc",
    ] {
        for mount in
            [Mount::tmpfs(at), Mount::bind(temporary.source(), at), Mount::file(at, "", 0o644)]
        {
            let root = Rootfs::open(temporary.root()).expect("root");
            let error = root.steps(&privileged([mount])).expect_err(at);
            assert!(matches!(error, Error::Reserved { .. }), "{error}");
        }
    }
    assert!(
        refused(&temporary, &privileged([Mount::tmpfs("/link-to-proc")])).contains("symbolic link")
    );
    let sandbox = Sandbox::everyone()[0];
    let fine =
        sandbox.furniture([Mount::bind(temporary.source().join("file"), "/slash/proc/uptime")]);
    assert_eq!(sandbox.run(&temporary, &fine, |_| Ok(())), Ended::Well);
}

#[test]
fn a_procfs_reached_through_a_volume_is_not_covered() {
    // S12, seen by the child
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        temporary.link("/proc", "source/way");
        let furniture = sandbox.furniture([
            Mount::bind(temporary.source(), "/data"),
            Mount::bind(temporary.source().join("file"), "/data/way/version"),
        ]);
        let ended = sandbox.run(&temporary, &furniture, |_| Ok(()));
        // The walk refuses the link itself.
        let errno = if sandbox.old_kernel { Errno::LOOP } else { Errno::PERM };
        assert!(matches!(ended, Ended::Step(_, seen) if seen == errno), "{sandbox:?}: {ended:?}");
    }
}

#[test]
fn a_source_swapped_after_the_plan_is_refused() {
    // S20
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let furniture = sandbox.furniture([Mount::bind(temporary.source(), "/data")]);
        let ended = swapped(
            sandbox,
            &furniture,
            |t| {
                std::fs::rename(t.source(), t.0.join("old")).expect("rename");
                t.link("canary", "source");
            },
            &temporary,
        );
        assert!(matches!(ended, Ended::Step(_, Errno::STALE)), "{sandbox:?}: {ended:?}");
    }
}

#[test]
fn paths_that_are_no_destinations_are_refused() {
    let temporary = Temporary::new();
    let long = format!("/{}", "x".repeat(256));
    for at in ["data", "", "/", "/.", "/data/../../x", "/a\0b", long.as_str()] {
        let text = refused(&temporary, &privileged([Mount::tmpfs(at)]));
        assert!(text.contains("path "), "{at:?}: {text}");
    }
    let text = refused(&temporary, &privileged([Mount::tmpfs("/x/y"), Mount::tmpfs("/x")]));
    assert_eq!(text, "/x: mount would hide an earlier one below it");
    let text = refused(&temporary, &privileged([Mount::bind("/nonexistent", "/x")]));
    assert_eq!(text, "/nonexistent: no such file or directory");
    let file = temporary.source().join("file");
    let text = refused(&temporary, &privileged([Mount::bind(file, "/data")]));
    assert_eq!(text, "/data: destination is a directory, the source is not");
    let text = refused(&temporary, &privileged([Mount::bind("/etc", "/dev/pts")]));
    assert_eq!(text, "/dev/pts: only devpts may be mounted here");
}

#[test]
fn a_mount_point_that_is_missing_on_a_read_only_filesystem_is_refused() {
    require_root!();
    let temporary = Temporary::new();
    std::thread::scope(|scope| {
        let told = scope.spawn(|| {
            // The mount namespace of this thread alone.
            crate::sys::unshare(libc::CLONE_NEWNS).expect("unshare");
            let slave = rustix::mount::MountPropagationFlags::DOWNSTREAM;
            let all = slave | rustix::mount::MountPropagationFlags::REC;
            rustix::mount::mount_change(c"/", all).expect("slave");
            let root = temporary.root();
            rustix::mount::mount_bind(&root, &root).expect("bind");
            let flags = rustix::mount::MountFlags::RDONLY | rustix::mount::MountFlags::BIND;
            rustix::mount::mount_remount(&root, flags, c"").expect("remount");
            refused(&temporary, &privileged([Mount::tmpfs("/etc/missing/deep")]))
        });
        let expected = "/etc/missing/deep: mount point is missing and its filesystem is read-only";
        assert_eq!(told.join().expect("thread"), expected);
    });
}

#[test]
fn a_root_that_is_none_is_refused() {
    let temporary = Temporary::new();
    temporary.link("root", "link");
    let open = |path: &Path| Rootfs::open(path).expect_err("refusal").to_string();
    let link = temporary.0.join("link");
    assert!(open(&link).ends_with("root filesystem is a symbolic link to root"));
    assert!(open(&link.join("")).ends_with("root filesystem is a symbolic link to root"));
    assert_eq!(open(Path::new("/")), "/: root filesystem is the root of the host");
    assert!(open(&temporary.source().join("file")).ends_with("root filesystem is not a directory"));
    assert!(open(Path::new("/nonexistent")).ends_with("no such file or directory"));
}

#[test]
fn files_of_the_image_are_read_below_the_root_and_never_hang() {
    let temporary = Temporary::new();
    std::fs::write(temporary.root().join("etc/real"), "image").expect("file");
    temporary.link("/etc/real", "root/etc/passwd");
    temporary.link(temporary.canary().join("file"), "root/etc/group");
    temporary.link("loop", "root/etc/loop");
    let fifo = temporary.root().join("etc/fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o666.into(), 0)
        .expect("fifo");
    let root = Rootfs::open(temporary.root()).expect("root");
    let read = |mounts: &[Mount], path| root.read_as_mounted(mounts, path, 10);
    assert_eq!(read(&[], "/etc/passwd").expect("read"), Some(b"image".to_vec()));
    assert_eq!(
        read(&[], "/etc/group").expect("read"),
        None,
        "the link leads nowhere below the root"
    );
    assert!(
        read(&[], "/etc/fifo").is_err()
            && read(&[], "/etc/loop").is_err()
            && read(&[], "/etc").is_err()
    );
    let bind = Mount::bind(temporary.canary(), "/etc");
    assert_eq!(read(&[bind], "/etc/file").expect("read"), Some(b"alive".to_vec()));
    let file = Mount::file("/etc/passwd", "mounted", 0o644);
    assert_eq!(read(&[file], "/etc/passwd").expect("read"), Some(b"mounted".to_vec()));
    std::fs::write(temporary.root().join("etc/real"), "too long for it").expect("file");
    assert!(read(&[], "/etc/passwd").is_err());
    assert!(!root.looks_like_root());
}

#[test]
fn a_link_inside_a_volume_leads_below_the_root_or_nowhere() {
    // S01, S04: the parent cannot see into the volume as it will be mounted
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        temporary.link(temporary.canary(), "source/way");
        temporary.link("/etc", "source/inside");
        std::fs::create_dir(temporary.root().join("etc/sub")).expect("directory");
        let volume = Mount::bind(temporary.source(), "/data");
        let out = sandbox.furniture([volume.clone(), Mount::tmpfs("/data/way/sub")]);
        let ended = swapped(sandbox, &out, |_| {}, &temporary);
        assert!(matches!(ended, Ended::Step(_, Errno::LOOP)), "{sandbox:?}: {ended:?}");
        let inside = sandbox.furniture([volume, Mount::tmpfs("/data/inside/sub").size(4096)]);
        let ended = sandbox.run(&temporary, &inside, |_| {
            check!(create(c"/etc/sub/x").is_ok());
            Ok(())
        });
        match sandbox.old_kernel {
            false => assert_eq!(ended, Ended::Well, "{sandbox:?}"),
            true => assert!(matches!(ended, Ended::Step(_, Errno::LOOP)), "{ended:?}"),
        }
        let made = temporary.root().join("etc/sub/x");
        assert!(!made.exists(), "it is on the tmpfs");
    }
}

/// On the "host": a regular file where a device node was.
fn false_tty(paths: &Paths) -> Result<(), Errno> {
    rustix::mount::mount_bind(&paths.source_file, c"/dev/tty")
}

/// On the "host": a block device with the numbers of the terminal.
fn block_tty(paths: &Paths) -> Result<(), Errno> {
    use rustix::fs::{CWD, FileType, makedev, mknodat};
    mknodat(CWD, &paths.source_sub, FileType::BlockDevice, 0o666.into(), makedev(5, 0))?;
    rustix::mount::mount_bind(&paths.source_sub, c"/dev/tty")
}

#[test]
fn a_host_node_that_is_none_is_not_bound() {
    // S07: type and number count
    require_root!();
    for host in [false_tty, block_tty] {
        for old_kernel in [false, true] {
            let sandbox = Sandbox { host, old_kernel, ..Sandbox::new(As::UserNamespace) };
            let temporary = Temporary::new();
            let ended = sandbox.run(&temporary, &sandbox.furniture([]), |_| Ok(()));
            let step = "bind device /dev/tty of the host (5:0)".to_owned();
            assert_eq!(ended, Ended::Step(step, Errno::NODEV));
        }
    }
}

#[test]
fn a_joining_process_opens_no_false_terminal() {
    // S09
    use rustix::fs::{CWD, Mode, OFlags};
    use rustix::mount::{MountFlags, mount, mount_bind};
    use std::os::fd::AsFd;
    let terminal = || {
        let root = rustix::fs::openat(CWD, c"/", OFlags::PATH, Mode::empty())?;
        nsinit_rootfs::open_terminal_in(root.as_fd()).map(|_| ())
    };
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let ended = sandbox.run(&temporary, &sandbox.furniture([]), |_| {
            check!(terminal() == Ok(()));
            check!(mount_bind(c"/dev/null", c"/dev/pts/ptmx") == Ok(()));
            check!(terminal() == Err(Errno::XDEV));
            check!(mount(c"x", c"/dev/pts", c"tmpfs", MountFlags::empty(), c"") == Ok(()));
            check!(create(c"/dev/pts/ptmx") == Ok(()) && terminal() == Err(Errno::NODEV));
            let fifo = rustix::fs::FileType::Fifo;
            check!(rustix::fs::unlink(c"/dev/pts/ptmx") == Ok(()));
            check!(rustix::fs::mknodat(CWD, c"/dev/pts/ptmx", fifo, 0o666.into(), 0) == Ok(()));
            check!(terminal() == Err(Errno::NODEV)); // and does not hang
            check!(mount(c"x", c"/dev", c"tmpfs", MountFlags::empty(), c"") == Ok(()));
            check!(rustix::fs::symlink(c"/etc", c"/dev/pts") == Ok(()));
            check!(terminal() == Err(Errno::NOTDIR));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}
