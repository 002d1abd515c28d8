//! Parent: which key of a configuration an error of a mechanism is about.

use std::path::Path;

use nsinit_cgroups as cgroups;
use nsinit_config::{Cgroups, Container, NetworkKind};
use nsinit_namespaces as namespaces;
use nsinit_network as network;

use crate::error::Error;
use crate::lower::interface_name;

/// The key, such as `networks[0].mtu`, what is wrong with its value, and what would
/// help; None where no key is at fault.
pub(crate) fn of(error: &Error, container: &Container) -> Option<(String, String, Option<String>)> {
    let key = match error {
        Error::Container { key, message, hint } => {
            return Some((key.clone(), message.clone(), hint.clone()));
        }
        // The file was sound: it is what the command line made of it.
        Error::Config(nsinit_config::Error::Faults(faults)) => {
            let fault = faults.iter().next()?.clone();
            return Some((fault.path, fault.message, fault.suggestion));
        }
        Error::Namespaces(error) => of_namespaces(error, container),
        Error::Cgroup(error) => {
            container.cgroups.as_ref().map(|asked| of_cgroup(error, asked, container))
        }
        Error::Network(error) => of_network(error, container),
        _ => None,
    }?;
    let message = match error {
        // The key and its value are shown.
        Error::Cgroup(cgroups::Error::Limit { reason, .. }) => reason.clone(),
        _ => error.to_string(),
    };
    let hint = match error {
        Error::Network(network::Error::NoSuchBridge { name }) => Some(format!(
            "make it (ip link add {name} type bridge), or have it made: \"create\": true"
        )),
        _ => error.hint(),
    };
    Some((key, message, hint))
}

fn of_namespaces(error: &namespaces::Error, container: &Container) -> Option<String> {
    let file = |path: &Path| {
        let entries = container.namespaces.iter().flatten();
        let at = entries.map(|entry| &entry.path).position(|own| own.as_deref() == Some(path))?;
        Some(format!("namespaces[{at}].path"))
    };
    let map = |is_uid: bool| {
        let given = !container.uid_mappings.is_empty();
        given.then(|| if is_uid { "uid_mappings" } else { "gid_mappings" }.to_owned())
    };
    match error {
        namespaces::Error::WrongNamespace { path, .. } => file(path),
        namespaces::Error::Io { what, .. } => file(Path::new(what)),
        namespaces::Error::IdRange { file, .. } => map(file.ends_with("subuid")),
        namespaces::Error::InvalidMap { map: lines, .. } => map(lines.starts_with("uid")),
        _ => None,
    }
}

fn of_cgroup(error: &cgroups::Error, asked: &Cgroups, container: &Container) -> String {
    let of_controller = |controller: &str| {
        let key = first_of_controller(controller, asked)?;
        Some(format!("cgroups.{key}"))
    };
    let key = match error {
        cgroups::Error::Limit { name, .. } => match name.strip_prefix("unified ") {
            Some(file) => Some(format!("cgroups.unified[{file}]")),
            None if name == "pids" => Some("cgroups.pids_max".to_owned()),
            None if name == "devices" => {
                Some("devices".to_owned()).filter(|_| !container.devices.is_empty())
            }
            None => Some(format!("cgroups.{name}")),
        },
        cgroups::Error::Path { .. } | cgroups::Error::Exists { .. } => {
            asked.name.as_ref().map(|_| "cgroups.name".to_owned())
        }
        cgroups::Error::Controller { name, .. } => of_controller(name),
        cgroups::Error::Io { path, .. } => {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            of_controller(file.split('.').next().unwrap_or_default())
        }
        _ => None,
    };
    key.unwrap_or_else(|| "cgroups".to_owned())
}

/// The first key that needs a controller.
fn first_of_controller(controller: &str, asked: &Cgroups) -> Option<String> {
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

fn of_network(error: &network::Error, container: &Container) -> Option<String> {
    use network::Error::{
        Address, AddressInUse, Gateway, Link, Mac, Mtu, Name, NameInUse, NoFreeName, NoSuchBridge,
        NotABridge, Route, Undo,
    };
    let is_veth =
        |(_, network): &(usize, &nsinit_config::Network)| network.kind == NetworkKind::Veth;
    let mut veths = container.networks.iter().enumerate().filter(is_veth);
    let bridge_of = |network: &nsinit_config::Network| network.context.clone()?.bridge;
    let of_interface = |name: &str, key: &str| {
        let mut named = veths.clone().enumerate();
        let (_, (index, _)) = named.find(|(at, (_, veth))| interface_name(veth, *at) == name)?;
        Some(format!("networks[{index}].{key}"))
    };
    match error {
        Undo { first, .. } => return of_network(first, container),
        NoSuchBridge { name } | NotABridge { name, .. } | Name { what: "bridge", name, .. } => {
            let (index, _) = veths.find(|(_, veth)| bridge_of(veth).as_ref() == Some(name))?;
            Some(format!("networks[{index}].context.bridge"))
        }
        Name { what: "host prefix", name, .. } | NoFreeName { prefix: name, .. } => {
            let prefix = |network: &nsinit_config::Network| network.context.clone()?.prefix;
            let (index, _) = veths.find(|(_, veth)| prefix(veth).as_ref() == Some(name))?;
            Some(format!("networks[{index}].context.prefix"))
        }
        Name { name, .. } | NameInUse { name } => of_interface(name, "name"),
        Mtu { interface, .. } => of_interface(interface, "mtu"),
        Mac { interface, .. } => of_interface(interface, "mac_address"),
        Address { interface, address, .. } | AddressInUse { interface, address, .. } => {
            of_interface(interface, if address.is_ipv4() { "address" } else { "ipv6_address" })
        }
        Gateway { interface, gateway, .. } => {
            of_interface(interface, if gateway.is_ipv4() { "gateway" } else { "ipv6_gateway" })
        }
        Route { interface, .. } => of_interface(interface, "routes"),
        Link { name, .. } => of_interface(name, "type"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(json: &str, error: Error) -> Option<String> {
        let container = Container::from_str(json, "c").unwrap_or_else(|faults| panic!("{faults}"));
        of(&error, &container).map(|(key, _, _)| key)
    }

    #[test]
    fn a_controller_is_blamed_on_the_first_key_that_needs_it() {
        let json =
            r#"{"cgroups": {"memory_high": 8192, "memory": 9000, "unified": {"io.weight": "1"}}}"#;
        let missing = |name| {
            let missing_at = "/sys/fs/cgroup".into();
            Error::Cgroup(cgroups::Error::Controller { name, missing_at, privileged: true })
        };
        assert_eq!(key(json, missing("memory")).as_deref(), Some("cgroups.memory"));
        assert_eq!(key(json, missing("io")).as_deref(), Some("cgroups.unified[\"io.weight\"]"));
        assert_eq!(key(json, missing("devices")).as_deref(), Some("cgroups"));
        assert_eq!(key("{}", missing("memory")), None);
    }

    #[test]
    fn an_interface_is_found_by_its_default_name() {
        let json = r#"{"networks": [{"type": "loopback"},
            {"type": "veth", "context": {"bridge": "a"}, "name": "wan"},
            {"type": "veth", "context": {"bridge": "b"}, "address": "10.0.0.2/24"}]}"#;
        let used = |interface: &str| {
            Error::Network(network::Error::AddressInUse {
                interface: interface.to_owned(),
                address: "10.0.0.2".parse().expect("an address"),
                holder: "b".to_owned(),
            })
        };
        assert_eq!(key(json, used("eth1")).as_deref(), Some("networks[2].address"));
        assert_eq!(key(json, used("wan")).as_deref(), Some("networks[1].address"));
        let bridge = Error::Network(network::Error::NoSuchBridge { name: "b".to_owned() });
        assert_eq!(key(json, bridge).as_deref(), Some("networks[2].context.bridge"));
    }
}
