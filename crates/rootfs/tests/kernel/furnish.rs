//! Both: what a container finds, on real kernels, as everyone.

use crate::support::*;
use nsinit_rootfs::{Device, Furniture, Mount, Pivot, Rootfs, TmpfsRoot};
use rustix::fs::{AtFlags, CWD, FileType, StatVfsMountFlags};
use rustix::io::Errno;

fn kind(path: &std::ffi::CStr) -> Option<(FileType, u64, u32)> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some((FileType::from_raw_mode(stat.st_mode), stat.st_rdev, stat.st_mode & 0o7777))
}

#[test]
fn the_default_furniture_is_there_for_everyone() {
    let inherited = crate::sys::kept_by_exec();
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let furniture = sandbox.furniture([]);
        let ended = sandbox.run(&temporary, &furniture, |child| {
            check!(child.proc().is_some());
            let device = |major, minor| rustix::fs::makedev(major, minor);
            check!(kind(c"/dev/null") == Some((FileType::CharacterDevice, device(1, 3), 0o666)));
            check!(kind(c"/dev/tty").is_some_and(|seen| seen.1 == device(5, 0)));
            check!(kind(c"/dev/fd").is_some_and(|seen| seen.0 == FileType::Symlink));
            check!(kind(c"/dev/shm").is_some_and(|seen| seen.2 == 0o1777));
            check!(kind(c"/dev").is_some_and(|seen| seen.2 == 0o755));
            check!(rustix::fs::statat(CWD, c"/dev/ptmx", AtFlags::empty()).is_ok());
            check!(write(c"/dev/null", b"x").is_ok());
            check!(exists(c"/proc/self/status") && exists(c"/sys/class"));
            check!(rustix::fs::statat(CWD, c"/proc/1/comm", AtFlags::empty()).is_ok());
            check!(!exists(c"/proc/2")); // the container's own processes only
            check!(exists(c"/data") && !exists(c"/../usr")); // nothing over or under "/"
            check!(mount_flags(c"/sys").contains(StatVfsMountFlags::RDONLY));
            check!(mount_flags(c"/proc").contains(StatVfsMountFlags::NOEXEC));
            check!(mount_flags(c"/").contains(StatVfsMountFlags::NODEV));
            check!(crate::sys::kept_by_exec() == inherited);
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn mounts_files_links_and_masks_are_as_asked_for() {
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        std::fs::create_dir(temporary.source().join("sub")).expect("directory");
        let furniture = sandbox.furniture([
            Mount::tmpfs("/tmp/new").size(1 << 20).options(["mode=1777"]),
            Mount::bind(temporary.source(), "/data"),
            Mount::bind(temporary.source().join("file"), "/etc/made/here").read_only(),
            Mount::file("/etc/hosts", "127.0.0.1 localhost\n", 0o640),
            Mount::file("/proc/uptime", "1 1\n", 0o444),
            Mount::symlink("/etc/mtab", "/proc/self/mounts"),
            Mount::bind("/nonexistent", "/never").optional(),
        ]);
        let masked = ["/data/file", "/data/sub", "/data/no-such"].map(Into::into);
        let furniture = Furniture { masked: masked.into(), ..furniture };
        let ended = sandbox.run(&temporary, &furniture, |_| {
            let mut buffer = [0; 64];
            check!(create(c"/tmp/new/x").is_ok());
            check!(kind(c"/tmp/new").is_some_and(|seen| seen.2 == 0o1777));
            check!(kind(c"/tmp").is_some_and(|seen| seen.2 == 0o755));
            check!(create(c"/data/x").is_ok());
            check!(read(c"/etc/made/here", &mut buffer) == Ok(7));
            check!(write(c"/etc/made/here", b"x") == Err(Errno::ROFS));
            check!(read(c"/etc/hosts", &mut buffer) == Ok(20));
            check!(write(c"/etc/hosts", b"x") == Err(Errno::ROFS));
            check!(kind(c"/etc/hosts").is_some_and(|seen| seen.2 == 0o640));
            check!(read(c"/proc/uptime", &mut buffer) == Ok(4));
            check!(kind(c"/etc/mtab").is_some_and(|seen| seen.0 == FileType::Symlink));
            check!(read(c"/data/file", &mut buffer) == Ok(0)); // the null device
            check!(kind(c"/data/file").is_some_and(|seen| seen.1 == rustix::fs::makedev(1, 3)));
            check!(create(c"/data/sub/x") == Err(Errno::ROFS));
            check!(!exists(c"/never"));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
        let hosts = temporary.root().join("etc/hosts");
        assert_eq!(std::fs::read(hosts).expect("mount point"), b"", "the image is not written");
    }
}

#[test]
fn a_read_only_root_gets_its_mount_points_first() {
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let furniture =
            sandbox.furniture([Mount::tmpfs("/run"), Mount::bind(temporary.source(), "/data")]);
        let furniture = Furniture { read_only_root: true, ..furniture };
        let ended = sandbox.run(&temporary, &furniture, |_| {
            check!(create(c"/x") == Err(Errno::ROFS) && create(c"/etc/x") == Err(Errno::ROFS));
            check!(create(c"/run/x").is_ok() && create(c"/data/x").is_ok());
            check!(write(c"/dev/null", b"x").is_ok());
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn an_empty_root_is_furnished_by_the_mounts_alone() {
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        if rustix::process::geteuid().is_root() && sandbox.who == As::Nobody {
            temporary.give_to(65534);
        }
        let root = Rootfs::tmpfs(TmpfsRoot { size: 1 << 20, inodes: 64 });
        let mut furniture = sandbox.furniture([
            Mount::bind(temporary.source(), "/usr").read_only(),
            Mount::symlink("/bin", "usr"),
            Mount::file("/etc/passwd", "root:x:0:0::/:/bin/sh\n", 0o644),
        ]);
        furniture.read_only_root = true;
        let steps = root.steps(&furniture).expect("plan");
        let ended = sandbox.walk(&temporary, &steps, |_| {
            check!(exists(c"/bin/file") && exists(c"/etc/passwd") && exists(c"/proc/1"));
            check!(create(c"/x") == Err(Errno::ROFS) && create(c"/bin/x") == Err(Errno::ROFS));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn the_console_is_a_terminal_of_the_containers_own() {
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let furniture = Furniture { console: true, ..sandbox.furniture([]) };
        let ended = sandbox.run(&temporary, &furniture, |child| {
            let slave = child.console_slave().map(rustix::termios::isatty);
            check!(slave == Some(true));
            check!(child.take_console().is_some() && child.take_console().is_none());
            check!(kind(c"/dev/console").is_some_and(|seen| seen.1 == rustix::fs::makedev(136, 0)));
            // A further process of the container gets another one.
            let root =
                rustix::fs::openat(CWD, c"/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty());
            check!(root.and_then(nsinit_rootfs_terminal).is_ok());
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

fn nsinit_rootfs_terminal(root: std::os::fd::OwnedFd) -> Result<(), Errno> {
    use std::os::fd::AsFd;
    nsinit_rootfs::open_terminal_in(root.as_fd()).map(|_| ())
}

#[test]
fn a_user_namespace_alone_gets_the_hosts_proc_and_sys() {
    for sandbox in Sandbox::everyone() {
        if sandbox.who == As::Root {
            continue;
        }
        let sandbox = Sandbox { new: Default::default(), ..sandbox };
        let temporary = Temporary::new();
        let furniture = sandbox.furniture([]);
        let ended = sandbox.run(&temporary, &furniture, |child| {
            check!(child.proc().is_some());
            check!(exists(c"/proc/self/status") && exists(c"/sys/class"));
            check!(mount_flags(c"/sys").contains(StatVfsMountFlags::RDONLY));
            check!(!exists(c"/sys/fs/cgroup/cgroup.procs") && !exists(c"/sys/fs/cgroup/memory"));
            check!(create(c"/sys/fs/cgroup/x") == Err(Errno::ROFS));
            check!(!exists(c"/dev/mqueue"));
            check!(mount_flags(c"/proc/sys").contains(StatVfsMountFlags::RDONLY));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn devices_below_subdirectories_and_fifos_are_made() {
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let mut furniture = sandbox.furniture([]);
        let fifo = Device {
            kind: nsinit_rootfs::DeviceKind::Fifo,
            mode: 0o600,
            ..Device::char("/dev/a/b/fifo", 0, 0)
        };
        furniture.devices.push(fifo);
        let ended = sandbox.run(&temporary, &furniture, |_| {
            check!(kind(c"/dev/a/b/fifo") == Some((FileType::Fifo, 0, 0o600)));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn a_root_that_cannot_be_pivoted_is_shut_in() {
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let furniture = Furniture { pivot: Pivot::MoveMount, ..sandbox.furniture([]) };
        let ended = sandbox.run(&temporary, &furniture, |_| {
            check!(exists(c"/proc/1") && exists(c"/data") && !exists(c"/usr"));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn cgroup_hierarchies_appear_read_only_in_a_cgroup_namespace() {
    require_root!();
    use nsinit_rootfs::{CgroupMode, Hierarchy, NewNamespaces};
    let hierarchies: Vec<Hierarchy> = std::fs::read_to_string("/proc/self/cgroup")
        .expect("cgroups")
        .lines()
        .filter_map(|line| line.split(':').nth(1))
        .map(|controllers| match controllers {
            "" => Hierarchy { directory: "unified".into(), controllers: String::new() },
            _ => Hierarchy {
                directory: controllers.trim_start_matches("name=").into(),
                controllers: controllers.into(),
            },
        })
        .collect();
    let legacy = hierarchies.len() > 1;
    let mode = if legacy { CgroupMode::Legacy(hierarchies) } else { CgroupMode::Unified };
    let new = NewNamespaces { cgroup: true, ..ALL };
    let sandbox = Sandbox { new, ..Sandbox::new(As::Root) };
    let temporary = Temporary::new();
    let mut furniture = sandbox.furniture([]);
    furniture.facts.cgroup = mode;
    let ended = sandbox.run(&temporary, &furniture, |_| {
        check!(mount_flags(c"/sys/fs/cgroup").contains(StatVfsMountFlags::RDONLY));
        check!(create(c"/sys/fs/cgroup/x") == Err(Errno::ROFS));
        if legacy {
            check!(exists(c"/sys/fs/cgroup/pids/tasks"));
            check!(write(c"/sys/fs/cgroup/pids/tasks", b"0") == Err(Errno::ROFS));
        }
        Ok(())
    });
    assert_eq!(ended, Ended::Well);
}

#[test]
fn the_front_door_serves_root_and_users_with_and_without_namespaces() {
    for sandbox in Sandbox::everyone().into_iter().filter(|sandbox| !sandbox.old_kernel) {
        for new in [ALL, Default::default()] {
            let sandbox = Sandbox { new, ..sandbox };
            let temporary = Temporary::new();
            if rustix::process::geteuid().is_root() && sandbox.who == As::Nobody {
                temporary.give_to(65534);
            }
            let root = Rootfs::open(temporary.root()).expect("root");
            let mounts = [
                Mount::proc(),
                Mount::dev(),
                Mount::devpts(),
                Mount::mqueue(),
                Mount::bind(temporary.source(), "/data").read_only(),
            ];
            let view = root.furnish(&mounts).expect("plan");
            let ended = sandbox.walk(&temporary, &[], |_| {
                check!(view.enter().is_ok());
                check!(exists(c"/proc/self/status") && exists(c"/data/file"));
                check!(create(c"/data/x") == Err(Errno::ROFS));
                check!(write(c"/dev/null", b"x").is_ok() && exists(c"/dev/pts/ptmx"));
                check!(exists(c"/dev/mqueue") == new.ipc);
                let mut buffer = [0; 8];
                check!(read(c"/proc/interrupts", &mut buffer) == Ok(0));
                Ok(())
            });
            assert_eq!(ended, Ended::Well, "{sandbox:?}");
        }
    }
}

#[test]
fn a_read_only_tmpfs_gets_its_mount_points_first() {
    for sandbox in Sandbox::everyone() {
        let temporary = Temporary::new();
        let furniture = sandbox.furniture([
            Mount::dev().read_only(),
            Mount::tmpfs("/run").read_only(),
            Mount::tmpfs("/run/inner/deep"),
        ]);
        let furniture = Furniture { console: true, ..furniture };
        let ended = sandbox.run(&temporary, &furniture, |_| {
            check!(create(c"/run/x") == Err(Errno::ROFS) && create(c"/dev/x") == Err(Errno::ROFS));
            check!(create(c"/run/inner/deep/x").is_ok() && create(c"/dev/shm/x").is_ok());
            check!(write(c"/dev/null", b"x").is_ok() && exists(c"/dev/console"));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}

#[test]
fn options_of_a_bind_never_clear_what_the_source_has() {
    require_root!();
    fn read_only(paths: &Paths) -> Result<(), Errno> {
        let flags = rustix::mount::MountFlags::RDONLY;
        rustix::fs::mkdirat(CWD, &paths.source_sub, 0o777.into())?;
        rustix::mount::mount(c"sub", &paths.source_sub, c"tmpfs", flags, c"")
    }
    for sandbox in Sandbox::everyone() {
        let sandbox = Sandbox { host: read_only, ..sandbox };
        let temporary = Temporary::new();
        let bind = Mount::bind(temporary.source(), "/data").options(["rw", "suid", "dev"]);
        let ended = sandbox.run(&temporary, &sandbox.furniture([bind]), |_| {
            check!(create(c"/data/x").is_ok() && create(c"/data/sub/x") == Err(Errno::ROFS));
            check!(!mount_flags(c"/data").contains(StatVfsMountFlags::NOSUID));
            Ok(())
        });
        assert_eq!(ended, Ended::Well, "{sandbox:?}");
    }
}
