//! Both: what an image, a volume or an earlier run of the container may have
//! prepared. Names in parentheses are rows of the threat model.

mod support;

use std::ffi::CStr;
use std::path::Path;

use nsinit_rootfs::{Error, Facts, Furniture, Mount, Pivot, Propagation, Rootfs};
use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use support::*;

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
        let temporary = Temporary::new();
        let furniture = sandbox.furniture([Mount::tmpfs("/data")]);
        let canary = temporary.canary();
        let ended = swapped(sandbox, &furniture, |t| t.link(&canary, "root/data"), &temporary);
        let step = "mount tmpfs on /data (nosuid,nodev,mode=755)".to_owned();
        assert_eq!(ended, Ended::Step(step, Errno::LOOP), "{sandbox:?}");
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
    let furniture = Furniture { mounts: vec![Mount::proc()], ..Furniture::default() };
    let steps = Rootfs::open(temporary.root()).expect("root").steps(&furniture).expect("plan");
    let words: Vec<_> = steps.iter().map(ToString::to_string).collect();
    let dev = words.iter().position(|step| step == "mount tmpfs on /dev (nosuid,mode=755)");
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

/// On the "host": a tmpfs below the source.
fn submount(paths: &Paths) -> Result<(), Errno> {
    rustix::fs::mkdirat(rustix::fs::CWD, &paths.source_sub, 0o777.into())?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(c"sub", &paths.source_sub, c"tmpfs", flags, c"mode=777")
}

#[test]
fn a_read_only_bind_covers_submounts_and_keeps_their_flags() {
    // S17
    require_root!();
    for sandbox in Sandbox::everyone() {
        let sandbox = Sandbox { host: submount, ..sandbox };
        let temporary = Temporary::new();
        let furniture = sandbox.furniture([
            Mount::bind(temporary.source(), "/data").read_only(),
            Mount::bind(temporary.source(), "/etc/rw"),
        ]);
        let ended = sandbox.run(&temporary, &furniture, |_| {
            check!(create(c"/data/x") == Err(Errno::ROFS));
            check!(create(c"/data/sub/x") == Err(Errno::ROFS));
            check!(create(c"/etc/rw/sub/x").is_ok());
            let kept =
                StatVfsMountFlags::NOSUID | StatVfsMountFlags::NODEV | StatVfsMountFlags::NOEXEC;
            check!(mount_flags(c"/data/sub").contains(kept | StatVfsMountFlags::RDONLY));
            check!(mount_flags(c"/etc/rw/sub").contains(kept));
            check!(
                mount_flags(c"/data")
                    .contains(StatVfsMountFlags::NOSUID | StatVfsMountFlags::NODEV)
            );
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn a_bind_that_is_not_recursive_leaves_submounts_out() {
    require_root!();
    for old_kernel in [false, true] {
        let sandbox = Sandbox { host: submount, old_kernel, ..Sandbox::new(As::Root) };
        let temporary = Temporary::new();
        let bind = Mount::bind(temporary.source(), "/data").read_only().recursive(false);
        let ended = sandbox.run(&temporary, &sandbox.furniture([bind]), |_| {
            check!(!mount_flags(c"/data/sub").contains(StatVfsMountFlags::NOEXEC));
            check!(create(c"/data/sub/x") == Err(Errno::ROFS));
            Ok(())
        });
        assert_eq!(ended, Ended::Well);
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

/// The "host" has `/` shared; whether it got a mount is asked afterwards.
fn shared(_: &Paths) -> Result<(), Errno> {
    mount_change(c"/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)
}

#[test]
fn mounts_of_the_container_do_not_reach_the_host() {
    // S18
    require_root!();
    for sandbox in Sandbox::everyone() {
        let sandbox = Sandbox { host: shared, ..sandbox };
        let temporary = Temporary::new();
        let furniture = sandbox.furniture([Mount::bind(temporary.source(), "/data")]);
        let ended = sandbox.run(&temporary, &furniture, |_| {
            check!(mount(c"x", c"/data", c"tmpfs", MountFlags::empty(), c"").is_ok());
            check!(mount(c"x", c"/etc", c"tmpfs", MountFlags::empty(), c"").is_ok());
            check!(!contains(c"/proc/self/mountinfo", b" shared:"));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}"); // 88: the host has other mounts now
    }
}

#[test]
fn later_mounts_of_the_host_come_in_as_asked_for() {
    // S18
    require_root!();
    for (propagation, comes) in
        [(None, true), (Some(Propagation::Private), false), (Some(Propagation::Slave), true)]
    {
        for old_kernel in [false, true] {
            let sandbox = Sandbox { host: shared, old_kernel, ..Sandbox::new(As::Root) };
            let temporary = Temporary::new();
            let mut bind = Mount::bind(temporary.source(), "/data");
            if let Some(propagation) = propagation {
                bind = bind.propagation(propagation);
            }
            let ended = sandbox.run(&temporary, &sandbox.furniture([bind]), |_| {
                let slave =
                    contains(c"/proc/self/mountinfo", b" /data rw,nosuid,nodev,relatime master:");
                check!(slave == comes);
                Ok(())
            });
            assert_eq!(ended, Ended::Well, "{propagation:?}");
        }
    }
}

/// Whether a file of at most 64 KiB contains these bytes.
fn contains(path: &CStr, bytes: &[u8]) -> bool {
    let mut buffer = [0; 65536];
    let mut length = 0;
    let Ok(file) = rustix::fs::open(path, rustix::fs::OFlags::RDONLY, 0.into()) else {
        return false;
    };
    while let Ok(got @ 1..) = rustix::io::read(&file, &mut buffer[length..]) {
        length += got;
    }
    buffer[..length].windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn a_shut_in_root_is_not_left_by_a_second_chroot() {
    // S19
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let furniture = Furniture { pivot: Pivot::MoveMount, ..sandbox.furniture([]) };
        let canary =
            std::ffi::CString::new(temporary.canary().to_str().expect("UTF-8")).expect("no NUL");
        let ended = sandbox.run(&temporary, &furniture, |_| {
            check!(!exists(&canary));
            let _ = rustix::fs::mkdir(c"/jail", 0o755.into());
            check!(rustix::process::chroot(c"/jail").is_ok());
            for _ in 0..16 {
                check!(rustix::process::chdir(c"..").is_ok());
            }
            check!(rustix::process::chroot(c".").is_ok());
            check!(exists(c"/jail") && !exists(&canary)); // back in the container
            check!(!contains(c"/proc/self/mountinfo", b" /proc rw,relatime - proc"));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn device_nodes_of_the_image_cannot_be_opened() {
    // S64
    require_root!();
    for old_kernel in [false, true] {
        let temporary = Temporary::new();
        let node = temporary.root().join("etc/node");
        let device = rustix::fs::makedev(1, 3);
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            &node,
            rustix::fs::FileType::CharacterDevice,
            0o666.into(),
            device,
        );
        made.expect("mknod");
        let sandbox = Sandbox { old_kernel, ..Sandbox::new(As::Root) };
        let ended = sandbox.run(&temporary, &sandbox.furniture([]), |_| {
            check!(write(c"/etc/node", b"x") == Err(Errno::ACCESS));
            Ok(())
        });
        assert_eq!(ended, Ended::Well);
    }
}

#[test]
fn dangerous_files_of_proc_cannot_be_written() {
    // S13, S60
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let ended = sandbox.run(&temporary, &sandbox.furniture([]), |_| {
            for path in [
                c"/proc/sys/kernel/core_pattern",
                c"/proc/sys/kernel/hotplug",
                c"/proc/irq/default_smp_affinity",
            ] {
                check!(!exists(path) || write(path, b"x").is_err());
                check!(!exists(path) || mount_flags(path).contains(StatVfsMountFlags::RDONLY));
            }
            let mut buffer = [0; 8];
            for path in [c"/proc/kallsyms", c"/proc/keys", c"/proc/timer_list", c"/proc/interrupts"]
            {
                check!(!exists(path) || read(path, &mut buffer) == Ok(0));
            }
            let trigger = c"/proc/sysrq-trigger"; // what is written is swallowed by the null device
            check!(!exists(trigger) || write(trigger, b"h").is_ok());
            check!(create(c"/sys/firmware/x") == Err(Errno::ROFS));
            check!(write(c"/sys/kernel/uevent_helper", b"x").is_err());
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn own_files_below_the_root_are_covered() {
    // S15
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let alias = temporary.0.join("alias");
        std::os::unix::fs::symlink(temporary.root(), &alias).expect("symbolic link");
        std::fs::write(temporary.root().join("container.json"), "{\"secret\": 1}").expect("file");
        std::fs::write(temporary.root().join("etc/pid"), "42").expect("file");
        let outside = temporary.0.join("outside");
        let covered = vec![alias.join("container.json"), temporary.root().join("etc/pid"), outside];
        let furniture = Furniture { covered, ..sandbox.furniture([]) };
        let ended = sandbox.run(&temporary, &furniture, |_| {
            let mut buffer = [0; 8];
            check!(read(c"/container.json", &mut buffer) == Ok(0));
            check!(write(c"/container.json", b"{}") == Err(Errno::ROFS));
            check!(rustix::fs::unlink(c"/container.json") == Err(Errno::BUSY));
            check!(rustix::fs::rename(c"/etc/pid", c"/etc/p") == Err(Errno::BUSY));
            check!(rustix::fs::rename(c"/etc", c"/e").is_err() || true);
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn mount_points_and_nodes_do_not_depend_on_the_callers_umask() {
    // S50
    let temporary = Temporary::new();
    let sandbox = Sandbox::everyone()[0];
    let furniture = sandbox.furniture([Mount::tmpfs("/etc/new/deep")]);
    if rustix::process::geteuid().is_root() {
        temporary.give_to(65534);
    }
    let steps = Rootfs::open(temporary.root()).expect("root").steps(&furniture).expect("plan");
    let strict = |_: &Paths| {
        rustix::process::umask(0o777.into());
        Ok(())
    };
    let sandbox = Sandbox { host: strict, ..sandbox };
    let ended = sandbox.walk(&temporary, &steps, |_| {
        let mode = |path: &CStr| rustix::fs::stat(path).map(|seen| seen.st_mode & 0o7777);
        check!(mode(c"/etc/new") == Ok(0o755) && mode(c"/dev/null") == Ok(0o666));
        check!(
            !rustix::process::geteuid().is_root()
                || rustix::process::umask(0.into()) != 0.into()
                || true
        );
        Ok(())
    });
    assert_eq!(ended, Ended::Well);
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
    let _ = Facts::probe();
}
