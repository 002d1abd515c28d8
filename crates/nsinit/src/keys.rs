//! Parent: which key of the configuration asked for what failed.

use std::io;
use std::path::Path;

use nsinit_cgroups::Error as Cgroup;
use nsinit_config::{Cgroups, Container, Network, NetworkKind};
use nsinit_namespaces::Error as Namespaces;
use nsinit_network::Error as Link;
use nsinit_rootfs::Error as Rootfs;

use crate::error::Error;
use crate::lower::interface_name;

/// The key, such as `mounts[2].source`; None where no single one can be named.
pub(crate) fn of(container: &Container, error: &Error) -> Option<String> {
    match error {
        Error::Container { key, .. } => Some(key.clone()),
        Error::Rootfs(error) => of_rootfs(container, error),
        Error::Network(error) => of_network(container, error),
        Error::Cgroup(error) => of_cgroup(container, error),
        Error::Namespaces(error) => of_namespace(container, error),
        _ => None,
    }
}

/// What the configuration itself could say about it.
pub(crate) fn remedy(key: &str, error: &Error) -> Option<String> {
    match error {
        Error::Rootfs(Rootfs::Io { source, .. })
            if source.kind() == io::ErrorKind::NotFound && key.ends_with(".source") =>
        {
            Some("make it, or leave it out where it is missing: \"optional\": true".into())
        }
        _ => None,
    }
}

fn of_rootfs(container: &Container, error: &Rootfs) -> Option<String> {
    let mounts = &container.mounts;
    let path = error.path();
    let source = || {
        let at = mounts.iter().position(|mount| mount.source.as_deref() == Some(path))?;
        Some(format!("mounts[{at}].source"))
    };
    let destination = |key: &str| {
        let at = mounts.iter().rposition(|mount| mount.destination == path)?;
        Some(format!("mounts[{at}].{key}"))
    };
    let named = match error {
        Rootfs::Io { .. } => source().or_else(|| destination("destination")),
        Rootfs::MountOption { .. } => destination("options"),
        Rootfs::Device { .. } => {
            let at = container.devices.iter().position(|device| device.path == path);
            at.map(|at| format!("devices[{at}].path"))
        }
        _ => destination("destination"),
    };
    named.or_else(|| container.rootfs.as_ref().map(|_| "rootfs".to_owned()))
}

fn of_network(container: &Container, error: &Link) -> Option<String> {
    let networks = container.networks.iter().enumerate();
    let veths = networks.filter(|(_, network)| network.kind == NetworkKind::Veth);
    let with_context = |key: &str, value: &str| {
        let named = |network: &Network| {
            let context = network.context.as_ref()?;
            if key == "bridge" { context.bridge.clone() } else { context.prefix.clone() }
        };
        let at = container.networks.iter().position(|n| named(n).as_deref() == Some(value))?;
        Some(format!("networks[{at}].context.{key}"))
    };
    let of_family = |is_v4: bool, v4, v6| if is_v4 { v4 } else { v6 };
    let (interface, key) = match error {
        Link::Undo { first, .. } => return of_network(container, first),
        Link::NoSuchBridge { name, .. }
        | Link::NotABridge { name, .. }
        | Link::Name { what: "bridge", name, .. } => return with_context("bridge", name),
        Link::Name { what: "host prefix", name, .. } | Link::NoFreeName { prefix: name, .. } => {
            return with_context("prefix", name);
        }
        Link::Address { interface, address, .. }
        | Link::AddressInUse { interface, address, .. } => {
            (interface, of_family(address.is_ipv4(), "address", "ipv6_address"))
        }
        Link::Gateway { interface, gateway, .. } => {
            (interface, of_family(gateway.is_ipv4(), "gateway", "ipv6_gateway"))
        }
        Link::Route { interface, .. } => (interface, "routes"),
        Link::Mac { interface, .. } => (interface, "mac_address"),
        Link::Mtu { interface, .. } => (interface, "mtu"),
        Link::Name { name, .. } | Link::NameInUse { name } => (name, "name"),
        _ => return None,
    };
    let mut named = veths.enumerate();
    let (_, (at, _)) = named.find(|(number, (_, n))| interface_name(n, *number) == *interface)?;
    Some(format!("networks[{at}].{key}"))
}

fn of_cgroup(container: &Container, error: &Cgroup) -> Option<String> {
    let asked = container.cgroups.as_ref()?;
    let key = match error {
        Cgroup::Limit { name, .. } => match name.strip_prefix("unified ") {
            Some(file) => Some(format!("unified[{file}]")),
            None if name == "devices" => return None,
            None if name == "pids" => Some("pids_max".to_owned()),
            None => Some(name.clone()),
        },
        Cgroup::Io { path, .. } => key_of_file(path).map(str::to_owned),
        Cgroup::Controller { name, .. } => key_of_controller(asked, name),
        Cgroup::Path { .. } | Cgroup::Exists { .. } => asked.name.as_ref().map(|_| "name".into()),
        Cgroup::NotDelegated { .. } | Cgroup::Unavailable { .. } => None,
        _ => return None,
    };
    Some(key.map_or("cgroups".to_owned(), |key| format!("cgroups.{key}")))
}

/// The key that is written to a file of a cgroup.
fn key_of_file(path: &Path) -> Option<&'static str> {
    Some(match path.file_name()?.to_str()? {
        "memory.limit_in_bytes" | "memory.max" => "memory",
        "memory.memsw.limit_in_bytes" | "memory.swap.max" => "memory_swap",
        "memory.soft_limit_in_bytes" | "memory.low" => "memory_reservation",
        "memory.high" => "memory_high",
        "cpu.shares" | "cpu.weight" => "cpu_shares",
        "cpu.cfs_quota_us" | "cpu.max" => "cpu_quota",
        "cpu.cfs_period_us" => "cpu_period",
        "cpuset.cpus" => "cpuset_cpus",
        "cpuset.mems" => "cpuset_mems",
        "pids.max" => "pids_max",
        _ => return None,
    })
}

/// The first key that needs a controller.
fn key_of_controller(asked: &Cgroups, controller: &str) -> Option<String> {
    let keys = [
        ("memory", "memory", asked.memory.is_some()),
        ("memory", "memory_swap", asked.memory_swap.is_some()),
        ("memory", "memory_reservation", asked.memory_reservation.is_some()),
        ("memory", "memory_high", asked.memory_high.is_some()),
        ("memory", "oom_group", asked.oom_group.is_some()),
        ("cpu", "cpu_shares", asked.cpu_shares.is_some()),
        ("cpu", "cpu_quota", asked.cpu_quota.is_some()),
        ("cpu", "cpu_period", asked.cpu_period.is_some()),
        ("cpuset", "cpuset_cpus", asked.cpuset_cpus.is_some()),
        ("cpuset", "cpuset_mems", asked.cpuset_mems.is_some()),
        ("pids", "pids_max", asked.pids_max.is_some()),
    ];
    let own = keys.iter().find(|(of, _, given)| *of == controller && *given);
    own.map(|(_, key, _)| (*key).to_owned()).or_else(|| {
        let file = asked.unified.keys().find(|file| file.split('.').next() == Some(controller))?;
        Some(format!("unified[{file:?}]"))
    })
}

fn of_namespace(container: &Container, error: &Namespaces) -> Option<String> {
    let mapped = |key: &str| (!container.uid_mappings.is_empty()).then(|| key.to_owned());
    let file = match error {
        Namespaces::WrongNamespace { path, .. } => path.as_path(),
        Namespaces::Io { what, .. } => Path::new(what),
        Namespaces::IdRange { file, .. } if file.ends_with("subuid") => {
            return mapped("uid_mappings");
        }
        Namespaces::IdRange { .. } => return mapped("gid_mappings"),
        Namespaces::InvalidMap { map, .. } if map.starts_with("uid") => {
            return mapped("uid_mappings");
        }
        Namespaces::InvalidMap { .. } => return mapped("gid_mappings"),
        _ => return None,
    };
    let entries = container.namespaces.as_deref()?;
    let at = entries.iter().position(|entry| entry.path.as_deref() == Some(file))?;
    Some(format!("namespaces[{at}].path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(json: &str, error: Error) -> Option<String> {
        let container = Container::from_str(json, "c").unwrap_or_else(|faults| panic!("{faults}"));
        of(&container, &error)
    }

    #[test]
    fn a_controller_was_asked_for_by_the_first_key_that_needs_it() {
        let unified = [("io.weight".to_owned(), "1".to_owned())].into();
        let (memory_high, memory) = (Some(8192), Some(9000));
        let asked = Cgroups { memory_high, memory, unified, ..Cgroups::default() };
        assert_eq!(key_of_controller(&asked, "memory").as_deref(), Some("memory"));
        assert_eq!(key_of_controller(&asked, "io").as_deref(), Some("unified[\"io.weight\"]"));
        assert_eq!(key_of_controller(&asked, "devices"), None);
    }

    #[test]
    fn an_interface_is_found_by_its_default_name() {
        let json = r#"{"networks": [{"type": "loopback"},
            {"type": "veth", "context": {"bridge": "a"}, "name": "wan"},
            {"type": "veth", "context": {"bridge": "b"}, "address": "10.0.0.2/24"}]}"#;
        let used = |interface: &str| {
            Error::Network(Link::AddressInUse {
                interface: interface.to_owned(),
                address: "10.0.0.2".parse().expect("an address"),
                holder: "b".to_owned(),
            })
        };
        assert_eq!(key(json, used("eth1")).as_deref(), Some("networks[2].address"));
        assert_eq!(key(json, used("wan")).as_deref(), Some("networks[1].address"));
        let bridge = Error::Network(Link::NoSuchBridge { name: "b".to_owned() });
        assert_eq!(key(json, bridge).as_deref(), Some("networks[2].context.bridge"));
    }
}
