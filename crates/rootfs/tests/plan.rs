//! Parent: furniture → words, without touching the kernel's mounts.

use nsinit_rootfs::{
    CgroupMode, Device, Facts, Furniture, Hierarchy, Mount, NewNamespaces, Pivot, Propagation,
    Rootfs, Step, TmpfsRoot,
};

fn facts() -> Facts {
    Facts {
        user_namespace: false,
        can_mknod: true,
        new: NewNamespaces { pid: true, net: true, ipc: true, cgroup: true },
        cgroup: CgroupMode::Unified,
        mount_setattr: true,
        openat2: true,
        maps_tty_gid: true,
    }
}

fn furniture() -> Furniture {
    let masked = vec!["/proc/kcore".into()];
    let read_only = vec!["/proc/sys".into()];
    Furniture { masked, read_only, facts: facts(), ..Furniture::default() }
}

fn steps(furniture: &Furniture) -> Vec<Step> {
    Rootfs::tmpfs(TmpfsRoot::default()).steps(furniture).expect("plan")
}

fn words(furniture: &Furniture) -> Vec<String> {
    steps(furniture).iter().map(ToString::to_string).collect()
}

#[test]
fn the_default_plan_reads_like_this() {
    let furniture = Furniture { console: true, read_only_root: true, ..furniture() };
    let expected = "\
make all mounts slaves of the host's
open a detached procfs
take a new tmpfs as root filesystem (nosuid,nodev)
make a tmpfs for masks
mount proc on /proc (nosuid,nodev,noexec)
mount tmpfs on /dev (nosuid,mode=755,size=1m,nr_inodes=1k)
make device /dev/null (1:3, mode 0666)
make device /dev/zero (1:5, mode 0666)
make device /dev/full (1:7, mode 0666)
make device /dev/random (1:8, mode 0666)
make device /dev/urandom (1:9, mode 0666)
make device /dev/tty (5:0, mode 0666)
link fd, stdin, stdout, stderr, ptmx in /dev
mount devpts on /dev/pts (nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5)
mount tmpfs on /dev/shm (nosuid,nodev,noexec,mode=1777,size=67108864)
mount mqueue on /dev/mqueue (nosuid,nodev,noexec)
mask /proc/kcore
make /proc/sys read-only
open a terminal on /dev/console
mount sysfs on /sys (ro,nosuid,nodev,noexec)
mount cgroup2 on /sys/fs/cgroup (ro,nosuid,nodev,noexec)
make the root filesystem read-only
pivot_root";
    assert_eq!(words(&furniture).join("\n"), expected);
}

#[test]
fn equal_inputs_give_equal_plans() {
    assert_eq!(format!("{:?}", steps(&furniture())), format!("{:?}", steps(&furniture())));
}

#[test]
fn a_user_namespace_alone_takes_the_other_ways() {
    let new = NewNamespaces::default();
    let facts = Facts { user_namespace: true, new, maps_tty_gid: false, ..facts() };
    let words = words(&Furniture { facts, ..furniture() });
    for expected in [
        "open a detached copy of the host's /proc",
        "bind /proc on /proc (nosuid,nodev,noexec,private)",
        "bind device /dev/null of the host (1:3)",
        "mount devpts on /dev/pts (nosuid,noexec,newinstance,ptmxmode=0666,mode=0620)",
        "bind /sys on /sys (ro,nosuid,nodev,noexec,private)",
        "mask /sys/fs/cgroup",
    ] {
        assert!(words.iter().any(|step| step == expected), "{expected}: {words:#?}");
    }
    assert!(!words.iter().any(|step| step.contains("mqueue") || step.contains("cgroup2")));
}

#[test]
fn a_mount_on_the_same_destination_replaces_the_default_in_its_place() {
    let mut furniture = furniture();
    furniture.mounts.push(Mount::tmpfs("/dev/./shm").size(4096));
    let words = words(&furniture);
    let shm: Vec<_> = words.iter().enumerate().filter(|(_, step)| step.contains("shm")).collect();
    assert_eq!(shm.len(), 1, "{words:#?}");
    assert_eq!(shm[0].1, "mount tmpfs on /dev/./shm (nosuid,nodev,mode=755,size=4096)");
    assert!(words[shm[0].0 - 1].starts_with("mount devpts"));
}

#[test]
fn a_label_is_on_what_is_made_here_and_on_nothing_else() {
    let (label, other) = ("u:r:t:s0:c1,c2", "u:r:other_t:s0");
    let mut furniture = Furniture { label: Some(label.to_owned()), ..furniture() };
    furniture.mounts.push(Mount::tmpfs("/own").label(other));
    furniture.mounts.push(Mount::bind("/etc", "/bound"));
    let steps = steps(&furniture);
    let with = |label: &str| -> Vec<String> {
        let parameter = format!("key: \"context\", value: Some({label:?})");
        let steps = steps.iter().filter(|step| format!("{step:?}").contains(&parameter));
        steps
            .map(|step| step.to_string().split(" (").next().unwrap_or_default().to_owned())
            .collect()
    };
    let expected = [
        "take a new tmpfs as root filesystem",
        "make a tmpfs for masks",
        "mount tmpfs on /dev",
        "mount devpts on /dev/pts",
        "mount tmpfs on /dev/shm",
    ];
    assert_eq!(with(label), expected);
    assert_eq!(with(other), ["mount tmpfs on /own"]);
}

#[test]
fn version_one_hierarchies_come_one_by_one() {
    let of = |directory: &str, controllers: &str| Hierarchy {
        directory: directory.into(),
        controllers: controllers.into(),
    };
    let cgroup = CgroupMode::Legacy(vec![
        of("cpu,cpuacct", "cpu,cpuacct"),
        of("systemd", "name=systemd"),
        of("unified", ""),
    ]);
    let words = words(&Furniture { facts: Facts { cgroup, ..facts() }, ..furniture() });
    let first = words.iter().position(|step| step.contains("/sys/fs/cgroup")).expect("cgroups");
    let expected = [
        "mount tmpfs on /sys/fs/cgroup (nosuid,nodev,noexec,mode=755)",
        "mount cgroup on /sys/fs/cgroup/cpu,cpuacct (ro,nosuid,nodev,noexec,cpu,cpuacct)",
        "link /sys/fs/cgroup/cpu to cpu,cpuacct",
        "link /sys/fs/cgroup/cpuacct to cpu,cpuacct",
        "mount cgroup on /sys/fs/cgroup/systemd (ro,nosuid,nodev,noexec,none,name=systemd)",
        "mount cgroup2 on /sys/fs/cgroup/unified (ro,nosuid,nodev,noexec)",
        "make /sys/fs/cgroup read-only",
    ];
    assert_eq!(words[first..first + expected.len()], expected);
}

#[test]
fn a_bind_says_what_it_is() {
    let mut furniture = furniture();
    furniture.mounts.push(Mount::bind("/tmp", "/data").read_only());
    let private = Mount::bind("/dev/null", "/etc/null").propagation(Propagation::Private);
    furniture.mounts.push(private.recursive(false));
    let words = words(&furniture);
    assert!(words.contains(&"bind /tmp on /data (ro,nosuid,nodev,slave)".into()), "{words:#?}");
    let null = "bind /dev/null on /etc/null (nosuid,private) without the mounts below it";
    assert!(words.contains(&null.into()), "{words:#?}");
}

#[test]
fn every_step_names_its_object() {
    let furniture = Furniture { pivot: Pivot::MoveMount, ..furniture() };
    for step in steps(&furniture) {
        assert!(step.object().is_absolute(), "{step}");
    }
}

#[test]
fn devices_that_cannot_be_are_refused() {
    let refused = |device: Device, can_mknod| {
        let facts = Facts { can_mknod, ..facts() };
        let furniture = Furniture { devices: vec![device], facts, ..furniture() };
        let root = Rootfs::tmpfs(TmpfsRoot::default());
        root.steps(&furniture).expect_err("refusal").to_string()
    };
    let text = refused(Device::char("/etc/null", 1, 3), true);
    assert_eq!(text, "/etc/null: device nodes are made below /dev only");
    let text = refused(Device::char("/dev/pts/0", 136, 0), true);
    assert_eq!(text, "/dev/pts/0: the runtime puts something else there");
    let text = refused(Device::char("/dev/null", 1, 4), false);
    assert_eq!(text, "/dev/null: cannot be made here, and the host has no such node to bind");
    let text = refused(Device { mode: 0o4666, ..Device::char("/dev/x", 1, 3) }, true);
    assert_eq!(text, "/dev/x: mode has more than the nine permission bits");
}

#[test]
fn options_that_would_be_ignored_are_refused() {
    let refused = |mount: Mount| {
        let mut furniture = furniture();
        furniture.mounts.push(mount);
        let root = Rootfs::tmpfs(TmpfsRoot::default());
        root.steps(&furniture).expect_err("refusal").to_string()
    };
    let text = refused(Mount::file("/x", "", 0o644).options(["noexec"]));
    assert_eq!(text, "/x: option \"noexec\" is for mounts, not for generated files and links");
    let text = refused(Mount::symlink("/x", "y").propagation(Propagation::Private));
    assert_eq!(text, "/x: option \"private\" is for mounts, not for generated files and links");
    let text = refused(Mount::tmpfs("/x").options(["siez=1"]));
    assert_eq!(text, "/x: option \"siez=1\" is not known here");
    let text = refused(Mount::sysfs().options(["noexce"]));
    assert_eq!(text, "/sys: option \"noexce\" is not known here, did you mean \"noexec\"");
}
