//! The configurations of 2014 load as they are.

use std::path::Path;

use nsinit_config::{Container, MemorySwap, Mount, NetworkKind};
use nsinit_namespaces::Namespace;
use nsinit_security::Capability;

const KOYE: &str = r#"{
    "hostname": "koye",
    "tty": true,
    "environment": [
        "HOME=/",
        "PATH=PATH=$PATH:/bin:/usr/bin:/sbin:/usr/sbin",
        "container=docker",
        "TERM=xterm-256color"
    ],
    "namespaces": ["NEWIPC", "NEWNS", "NEWPID", "NEWUTS", "NEWNET"],
    "capabilities_mask": [
        "SETPCAP", "SYS_MODULE", "SYS_RAWIO", "SYS_PACCT", "SYS_ADMIN", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "AUDIT_WRITE",
        "AUDIT_CONTROL", "MAC_OVERRIDE", "MAC_ADMIN", "NET_ADMIN"
    ],
    "networks": [
        {
            "type": "veth",
            "context": { "bridge": "docker0", "prefix": "veth" },
            "address": "172.17.0.100/16",
            "gateway": "172.17.42.1",
            "mtu": 1500
        },
        {
            "type": "loopback",
            "address": "127.0.0.1/0",
            "gateway": "localhost",
            "mtu": 1500
        }
    ],
    "cgroups": {
        "name": "docker-koye",
        "parent": "docker",
        "memory": 5248000
    },
    "context": {
        "apparmor_profile": "docker-default"
    }
}"#;

const EVERY_KEY: &str = r#"{
    "hostname": "koye",
    "readonly_fs": true,
    "no_pivot_root": true,
    "user": "daemon:daemon",
    "working_dir": "/srv",
    "environment": [],
    "tty": false,
    "namespaces": ["NEWNS", "NEWUTS", "NEWIPC", "NEWUSER", "NEWPID", "NEWNET"],
    "capabilities_mask": ["CAP_NET_ADMIN", "MKNOD"],
    "networks": [{ "type": "loopback", "mtu": 1500 }],
    "cgroups": {
        "name": "koye",
        "parent": "docker/web",
        "device_access": true,
        "memory": 5248000,
        "memory_swap": -1,
        "cpu_shares": 1024,
        "cpuset_cpus": "0-3,6",
        "unit_properties": [["Slice", "system.slice"]]
    },
    "context": {
        "apparmor_profile": "docker-default",
        "process_label": "system_u:system_r:svirt_lxc_net_t:s0:c1,c2",
        "mount_label": "system_u:object_r:svirt_lxc_file_t:s0:c1,c2"
    },
    "mounts": [
        { "source": "/srv/data", "destination": "/data", "writable": true, "private": true },
        { "source": "/etc/resolv.conf", "destination": "/etc/resolv.conf" }
    ]
}"#;

fn load(text: &str) -> Container {
    Container::from_str(text, "container.json").unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_sample_of_the_2014_readme_loads() {
    let container = load(KOYE);
    assert_eq!(container.hostname.as_deref(), Some("koye"));
    assert_eq!(container.tty, Some(true));
    assert_eq!(container.environment.unwrap()[1], "PATH=PATH=$PATH:/bin:/usr/bin:/sbin:/usr/sbin");
    let kinds: Vec<Namespace> = container.namespaces.unwrap().iter().map(|n| n.kind).collect();
    use Namespace::{Ipc, Mount, Net, Pid, Uts};
    assert_eq!(kinds, [Ipc, Mount, Pid, Uts, Net]);
    assert_eq!(container.capabilities_mask.len(), 15);
    assert_eq!(container.capabilities_mask[14], Capability::NetAdmin);
    assert_eq!(container.networks[0].kind, NetworkKind::Veth);
    assert_eq!(container.networks[0].context.as_ref().unwrap().bridge.as_deref(), Some("docker0"));
    assert_eq!(container.networks[1].kind, NetworkKind::Loopback);
    assert_eq!(container.cgroups.unwrap().memory, Some(5_248_000));
    assert_eq!(container.context.unwrap().apparmor_profile.as_deref(), Some("docker-default"));
}

#[test]
fn every_key_of_2014_loads() {
    let container = load(EVERY_KEY);
    assert!(container.readonly_fs && container.no_pivot_root);
    assert_eq!(container.working_dir.as_deref(), Some(Path::new("/srv")));
    let cgroups = container.cgroups.as_ref().unwrap();
    assert_eq!(cgroups.memory_swap, Some(MemorySwap::Unlimited));
    assert_eq!(cgroups.unit_properties, [("Slice".to_owned(), "system.slice".to_owned())]);
    let data = Mount { writable: true, private: true, ..Mount::bind("/srv/data", "/data") };
    assert_eq!(container.mounts[0], data);
    assert_eq!(load(&container.to_json_pretty()), container);
}

#[test]
fn an_empty_object_is_a_container() {
    assert_eq!(load("{}"), Container::default());
    assert_eq!(Container::default().to_json_pretty(), "{}\n");
}

#[test]
fn what_is_written_back_names_only_what_was_asked_for() {
    let text = load(KOYE).to_json_pretty();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let original: serde_json::Value = serde_json::from_str(KOYE).unwrap();
    assert_eq!(value, original);
}
