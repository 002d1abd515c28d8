//! `to_json_pretty` loads again to an equal value.

use std::collections::BTreeMap;

use nsinit_config::{
    CgroupDriver, Cgroups, Container, DeathSignal, Device, DeviceKind, IdMapping, Labels,
    MemorySwap, Mount, MountKind, NamespaceEntry, Network, NetworkContext, Propagation, Rlimit,
    RootfsSource, Route, Seccomp, TimeOffsets, TmpfsRoot,
};
use nsinit_namespaces::Namespace;
use nsinit_security::{Capability, Resource};

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn process() -> Container {
    Container {
        args: Some(strings(&["sh", "-c", "echo \"hi\"\n\u{e4}\u{1f600}"])),
        environment: Some(strings(&["PATH=/bin", "EMPTY="])),
        working_dir: Some("/srv".into()),
        tty: Some(false),
        init: Some(true),
        user: Some("1000:100".into()),
        additional_groups: strings(&["audio", "44"]),
        umask: Some(0o027),
        oom_score_adj: Some(-500),
        parent_death_signal: Some(DeathSignal::TERM),
        capabilities_add: vec![Capability::NetRaw],
        capabilities_mask: vec![Capability::Mknod],
        no_new_privileges: Some(false),
        seccomp: Some(Seccomp::Unconfined),
        context: Some(Labels {
            apparmor_profile: Some("docker-default".into()),
            process_label: Some("system_u:system_r:container_t:s0".into()),
            mount_label: Some("system_u:object_r:container_file_t:s0".into()),
        }),
        rlimits: vec![
            Rlimit { resource: Resource::Nofile, soft: Some(1024), hard: Some(4096) },
            Rlimit { resource: Resource::Core, soft: Some(0), hard: None },
            Rlimit { resource: Resource::Stack, soft: None, hard: None },
        ],
        ..Container::default()
    }
}

fn cgroups() -> Cgroups {
    Cgroups {
        name: Some("koye".into()),
        parent: Some("a/b".into()),
        driver: Some(CgroupDriver::Systemd),
        unit_properties: vec![("Slice".into(), "system.slice".into())],
        device_access: true,
        memory: Some(1 << 30),
        memory_swap: Some(MemorySwap::Total(2 << 30)),
        memory_reservation: Some(1 << 20),
        memory_high: Some(1 << 29),
        oom_group: Some(false),
        cpu_shares: Some(2),
        cpu_quota: Some(-1),
        cpu_period: Some(1000),
        cpuset_cpus: Some("0-3,6".into()),
        cpuset_mems: Some("0".into()),
        pids_max: Some(1),
        unified: map(&[("memory.low", "1048576")]),
    }
}

fn networks() -> Vec<Network> {
    let veth = Network {
        context: Some(NetworkContext {
            bridge: Some("br0".into()),
            prefix: Some("veth".into()),
            create: true,
        }),
        name: Some("wan".into()),
        address: Some("10.7.0.2/24".into()),
        gateway: Some("10.7.0.1".into()),
        ipv6_address: Some("fd00::2/64".into()),
        ipv6_gateway: Some("fe80::1".into()),
        mac_address: Some("02:42:ac:11:00:64".into()),
        mtu: Some(1280),
        routes: vec![
            Route { destination: "10.0.0.0/8".into(), gateway: "10.7.0.254".into() },
            Route { destination: "fd01::/48".into(), gateway: "fd00::9".into() },
        ],
        ..Network::veth("br0")
    };
    vec![Network::loopback(), veth]
}

fn mounts() -> Vec<Mount> {
    let etc = Mount {
        recursive: Some(false),
        propagation: Some(Propagation::Shared),
        optional: true,
        writable: true,
        options: strings(&["noexec", "noatime"]),
        ..Mount::bind("/srv/data", "/data")
    };
    let tmp = Mount {
        options: strings(&["size=64m", "mode=1777"]),
        label: Some("system_u:object_r:tmp_t:s0".into()),
        private: true,
        ..Mount::tmpfs("/tmp")
    };
    let passwd =
        Mount { mode: Some(0o600), ..Mount::file("/etc/passwd", "root:x:0:0::/:/bin/sh\n") };
    let kinds = [MountKind::Sysfs, MountKind::Devpts, MountKind::Mqueue, MountKind::Cgroup];
    let places = ["/sys", "/dev/pts", "/dev/mqueue", "/sys/fs/cgroup"];
    let mut mounts = vec![etc, tmp, passwd, Mount::symlink("/bin", "usr/bin")];
    mounts.push(Mount { options: strings(&["hidepid=2"]), ..Mount::of(MountKind::Proc, "/proc") });
    mounts.extend(kinds.into_iter().zip(places).map(|(kind, place)| Mount::of(kind, place)));
    mounts
}

fn full() -> Container {
    let joined = NamespaceEntry::join(Namespace::Ipc, "/proc/7/ns/ipc");
    let own = [
        Namespace::Mount,
        Namespace::Uts,
        Namespace::User,
        Namespace::Pid,
        Namespace::Net,
        Namespace::Cgroup,
        Namespace::Time,
    ];
    let device = |path: &str, kind| Device {
        path: path.into(),
        kind,
        major: Some(10),
        minor: Some(229),
        mode: Some(0o660),
        uid: Some(0),
        gid: Some(5),
        access: Some("rw".into()),
    };
    let fifo =
        Device { major: None, minor: None, access: None, ..device("/run/p", DeviceKind::Fifo) };
    let ids = vec![
        IdMapping { container_id: 0, host_id: 1000, size: 1 },
        IdMapping { container_id: 1, host_id: 100_000, size: 65536 },
    ];
    Container {
        rootfs: Some(RootfsSource::Tmpfs(TmpfsRoot { size: Some(64 << 20), inodes: Some(16384) })),
        readonly_fs: true,
        no_pivot_root: true,
        hostname: Some("koye".into()),
        domainname: Some("example.org".into()),
        namespaces: Some(own.into_iter().map(NamespaceEntry::new).chain([joined]).collect()),
        uid_mappings: ids.clone(),
        gid_mappings: ids,
        time_offsets: Some(TimeOffsets { monotonic: -1, boottime: i64::MAX }),
        sysctl: map(&[("net.ipv4.ip_forward", "1")]),
        mounts: mounts(),
        devices: vec![
            device("/dev/fuse", DeviceKind::Char),
            device("/dev/x", DeviceKind::Block),
            fifo,
        ],
        masked_paths: Some(vec![]),
        readonly_paths: Some(vec!["/proc/sys".into()]),
        networks: networks(),
        cgroups: Some(cgroups()),
        ..process()
    }
}

fn again(container: &Container) -> Container {
    let text = container.to_json_pretty();
    Container::from_str(&text, "again").unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn a_container_with_every_key_comes_back() {
    let container = full();
    assert_eq!(again(&container), container);
    let text = container.to_json_pretty();
    let keys = serde_json::from_str::<serde_json::Value>(&text).unwrap();
    // All but `capabilities`, which excludes two others.
    assert_eq!(keys.as_object().unwrap().len(), nsinit_config::OBJECTS[0].keys.len() - 1);
}

#[test]
fn an_exact_set_of_no_capabilities_is_not_an_absent_one() {
    let container = Container { capabilities: Some(vec![]), ..Container::default() };
    assert_eq!(again(&container), container);
    let rootfs = Some(RootfsSource::Directory("../alpine".into()));
    let container = Container { rootfs, ..Container::default() };
    assert_eq!(again(&container), container);
}

#[test]
fn a_path_that_json_cannot_hold_is_a_fault_and_no_panic() {
    use std::os::unix::ffi::OsStringExt;
    let path = std::path::PathBuf::from(std::ffi::OsString::from_vec(vec![b'/', 0xff]));
    let mut container = Container::default();
    container.mounts.push(Mount::bind("/srv", path));
    let faults = container.validate().unwrap_err();
    assert!(faults.to_string().contains("mounts[0].destination: is not UTF-8"), "{faults}");
    assert!(container.to_json_pretty().contains('\u{fffd}'));
}
