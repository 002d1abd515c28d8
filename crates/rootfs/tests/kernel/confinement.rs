//! Both: what a container can do with what it is given. S13, S17, … are rows of the
//! threat model.

use std::ffi::CStr;

use nsinit_rootfs::{Furniture, Mount, Pivot, Propagation, Rootfs};
use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use crate::support::*;

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
fn a_read_only_root_covers_the_hosts_mounts_below_it() {
    // S17
    require_root!();
    for sandbox in Sandbox::everyone() {
        let sandbox = Sandbox { host: submount, ..sandbox };
        let temporary = Temporary::new();
        if sandbox.who == As::Nobody {
            temporary.give_to(65534);
        }
        let furniture = Furniture { read_only_root: true, ..sandbox.furniture([]) };
        let root = Rootfs::open(temporary.source()).expect("root");
        let ended = sandbox.walk(&temporary, &root.steps(&furniture).expect("plan"), |_| {
            check!(create(c"/x") == Err(Errno::ROFS) && create(c"/sub/x") == Err(Errno::ROFS));
            check!(mount_flags(c"/sub").contains(StatVfsMountFlags::NODEV));
            check!(exists(c"/proc/1")); // a mount point that had to be made
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
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
                // The root filesystem itself gets nothing, whatever stands below it.
                check!(!contains(c"/proc/self/mountinfo", b" / rw,nodev,relatime master:"));
                check!(contains(c"/proc/self/mountinfo", b" / rw,nodev,relatime - "));
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
fn below_a_shut_in_root_there_is_no_procfs_and_no_sysfs() {
    // S19: even for who may take away the mounts over the host's root
    use rustix::fs::{CWD, Mode, OFlags};
    use rustix::mount::{UnmountFlags, unmount};
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use std::os::fd::AsFd;
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let furniture = Furniture { pivot: Pivot::MoveMount, ..sandbox.furniture([]) };
        // On every host's root itself, which the temporary directory need not be.
        let canary = c"/usr";
        let ended = sandbox.run(&temporary, &furniture, |_| {
            check!(!exists(canary));
            let own = rustix::fs::openat(CWD, c"/proc/self/ns/mnt", OFlags::RDONLY, Mode::empty());
            let Ok(own) = own else { return Err(line!()) };
            for _ in 0..8 {
                if exists(canary) {
                    break; // the host's root, which a ramdisk would be
                }
                check!(unmount(c"/", UnmountFlags::DETACH).is_ok());
                let mount = Some(LinkNameSpaceType::Mount);
                check!(move_into_link_name_space(own.as_fd(), mount).is_ok());
            }
            check!(exists(canary));
            check!(exists(c"/proc") && !exists(c"/proc/self") && !exists(c"/proc/version"));
            check!(exists(c"/sys") && !exists(c"/sys/class"));
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
        check!(rustix::process::umask(0.into()).bits() == 0o777); // the caller's again
        Ok(())
    });
    assert_eq!(ended, Ended::Well);
}
