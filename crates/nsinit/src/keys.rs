//! Parent: which key of the configuration asked for what failed.

use std::io;
use std::path::Path;

use nsinit_config::{Container, NetworkKind};
use nsinit_rootfs as rootfs;

use crate::error::Error;

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
    let Error::Rootfs(rootfs::Error::Io { source, .. }) = error else { return None };
    let missing = source.kind() == io::ErrorKind::NotFound && key.ends_with(".source");
    missing.then(|| "make it, or leave it out where it is missing: \"optional\": true".into())
}

fn of_rootfs(container: &Container, error: &rootfs::Error) -> Option<String> {
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
        rootfs::Error::Io { .. } => source().or_else(|| destination("destination")),
        rootfs::Error::MountOption { .. } => destination("options"),
        rootfs::Error::Device { .. } => {
            let at = container.devices.iter().position(|device| device.path == path);
            at.map(|at| format!("devices[{at}].path"))
        }
        _ => destination("destination"),
    };
    named.or_else(|| container.rootfs.as_ref().map(|_| "rootfs".to_owned()))
}

fn of_network(container: &Container, error: &nsinit_network::Error) -> Option<String> {
    use nsinit_network::Error as Network;
    let networks = container.networks.iter().enumerate();
    let mut veths = networks.filter(|(_, network)| network.kind == NetworkKind::Veth);
    let on_bridge = |bridge: &str| {
        let of_it =
            |context: &nsinit_config::NetworkContext| context.bridge.as_deref() == Some(bridge);
        let at = container.networks.iter().position(|n| n.context.as_ref().is_some_and(of_it))?;
        Some(format!("networks[{at}].context.bridge"))
    };
    let (interface, key) = match error {
        Network::NoSuchBridge { name } | Network::NotABridge { name, .. } => {
            return on_bridge(name);
        }
        Network::Undo { first, .. } => return of_network(container, first),
        Network::AddressInUse { interface, address, .. } => {
            (interface, if address.is_ipv4() { "address" } else { "ipv6_address" })
        }
        Network::Mtu { interface, .. } => (interface, "mtu"),
        Network::NameInUse { name } => (name, "name"),
        _ => return None,
    };
    let mut unnamed = 0..;
    let at = veths.find_map(|(at, network)| {
        let number = unnamed.next()?;
        let name = network.name.clone().unwrap_or_else(|| format!("eth{number}"));
        (name == *interface).then_some(at)
    })?;
    Some(format!("networks[{at}].{key}"))
}

fn of_cgroup(container: &Container, error: &nsinit_cgroups::Error) -> Option<String> {
    use nsinit_cgroups::Error as Cgroup;
    container.cgroups.as_ref()?;
    let key = match error {
        Cgroup::Limit { name, .. } => match name.split(' ').next()? {
            "pids" => "pids_max",
            "devices" => return None,
            name => name,
        },
        Cgroup::Io { path, .. } => key_of_file(path)?,
        Cgroup::Controller { name: "memory", .. } => "memory",
        Cgroup::Path { .. } | Cgroup::Exists { .. } => "name",
        Cgroup::Controller { .. } | Cgroup::NotDelegated { .. } | Cgroup::Unavailable { .. } => {
            return Some("cgroups".into());
        }
        _ => return None,
    };
    Some(format!("cgroups.{key}"))
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

fn of_namespace(container: &Container, error: &nsinit_namespaces::Error) -> Option<String> {
    use nsinit_namespaces::Error as Namespaces;
    let file = match error {
        Namespaces::WrongNamespace { path, .. } => path.as_path(),
        Namespaces::Io { what, .. } => Path::new(what),
        _ => return None,
    };
    let entries = container.namespaces.as_deref()?;
    let at = entries.iter().position(|entry| entry.path.as_deref() == Some(file))?;
    Some(format!("namespaces[{at}].path"))
}
