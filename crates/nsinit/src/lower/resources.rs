//! Parent: the cgroup and the network.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nsinit_cgroups::{DeviceRule, Limits, Swap};
use nsinit_config::{CgroupDriver, MemorySwap, Network, NetworkKind};
use nsinit_namespaces::Kinds;
use nsinit_network::{Interface, Route, Veth};
use nsinit_security::Sysctl;

use super::{Namespaces, Source, filesystem, refuse, refused};
use crate::error::Result;
use crate::handshake::Tag;
use crate::plan::CgroupPlan;
use crate::step::Step;
use crate::systemd;

pub(super) fn cgroup(
    source: &Source<'_>,
    namespaces: &Namespaces,
    terminal: bool,
) -> Result<Option<CgroupPlan>> {
    filesystem::check_devices(source, namespaces)?;
    let Some(asked) = &source.container.cgroups else { return Ok(None) };
    let parent = asked.parent.as_deref().unwrap_or("nsinit").trim_matches('/');
    let name = asked.name.clone().unwrap_or_else(|| default_name(source.directory));
    let path = if parent.is_empty() { name } else { format!("{parent}/{name}") };
    let devices = match asked.device_access || namespaces.is_user() {
        true => None,
        false => Some(device_rules(source, terminal)?),
    };
    let limits = Limits {
        memory: asked.memory,
        memory_reservation: asked.memory_reservation,
        memory_high: asked.memory_high,
        memory_swap: asked.memory_swap.as_ref().map(|swap| match swap {
            MemorySwap::Total(bytes) => Swap::Total(*bytes),
            MemorySwap::Unlimited => Swap::Unlimited,
        }),
        cpu_shares: asked.cpu_shares,
        cpu_quota: asked.cpu_quota,
        cpu_period: asked.cpu_period,
        cpuset_cpus: asked.cpuset_cpus.clone(),
        cpuset_mems: asked.cpuset_mems.clone(),
        pids: asked.pids_max,
        oom_group: asked.oom_group,
        unified: asked.unified.clone().into_iter().collect(),
        ..Limits::NONE
    };
    let scope = match asked.driver {
        Some(CgroupDriver::Systemd) => Some(systemd::scope(&path, &asked.unit_properties)?),
        _ => None,
    };
    Ok(Some(CgroupPlan { path, limits, devices, scope }))
}

fn default_name(directory: &Path) -> String {
    // FNV-1a: the same for every build, which the standard library's hashes are not.
    let hash =
        directory.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("nsinit-{hash:016x}")
}

fn device_rules(source: &Source<'_>, terminal: bool) -> Result<Vec<DeviceRule>> {
    let mut rules = DeviceRule::container_defaults(terminal);
    for (index, device) in source.container.devices.iter().enumerate() {
        let kind = match device.kind {
            nsinit_config::DeviceKind::Char => 'c',
            nsinit_config::DeviceKind::Block => 'b',
            nsinit_config::DeviceKind::Fifo => continue,
        };
        let (major, minor) = (device.major.unwrap_or(0), device.minor.unwrap_or(0));
        let access = device.access.as_deref().unwrap_or("rwm");
        let rule = format!("{kind} {major}:{minor} {access}");
        let key = format!("devices[{index}].access");
        rules.push(rule.parse().map_err(|_| refuse(&key, "must be some of r, w and m", None))?);
    }
    Ok(rules)
}

/// A new network namespace.
#[derive(Default)]
pub(super) struct NewNetwork {
    /// For the launcher.
    pub(super) interfaces: Vec<Interface>,
    /// How the launcher makes it, while init does what does not need it.
    pub(super) launcher_steps: Vec<Step>,
    /// How init makes it, when there is a procfs: where there are user namespaces.
    pub(super) make: Vec<Step>,
    /// How init enters the launcher's: when the mounts that do not need it are made.
    pub(super) enter: Vec<Step>,
}

pub(super) fn network(source: &Source<'_>, namespaces: &Namespaces) -> Result<NewNetwork> {
    let networks = &source.container.networks;
    let is_veth = |(_, network): &(usize, &Network)| network.kind == NetworkKind::Veth;
    let veths: Vec<_> = networks.iter().enumerate().filter(is_veth).collect();
    if !namespaces.has(Kinds::NET) {
        // The host's network, or a joined one: nothing of it is ours to change.
        let enter = vec![Step::Report(Tag::Mounted)];
        return Ok(NewNetwork { enter, ..Default::default() });
    }
    if !veths.is_empty() && namespaces.is_user() && !source.host.privileged {
        return Err(refuse(
            "networks",
            "veth needs CAP_NET_ADMIN in the host's network namespace, which only root has",
            Some(
                "run as root, leave \"networks\" out (loopback only), or leave NEWNET out of \
                  \"namespaces\" (the host's network)",
            ),
        ));
    }
    let mut interfaces = Vec::new();
    for (ordinal, (index, network)) in veths.into_iter().enumerate() {
        let mut interface = veth(network, index)?;
        interface.name = interface_name(network, ordinal);
        interfaces.push(Interface::Veth(interface));
    }
    let mut steps = vec![Step::Unshare(Kinds::NET), Step::Loopback];
    steps.extend(parameters(source, namespaces)?);
    // Elsewhere it has to belong to init's, or the procfs by which the parameters are set
    // cannot be had without a PID namespace of one's own.
    if source.host.first_user_namespace && !namespaces.is_user() {
        let enter = vec![Step::EnterNetwork];
        return Ok(NewNetwork { interfaces, launcher_steps: steps, enter, ..Default::default() });
    }
    if !interfaces.is_empty() {
        // The parameters are for the interfaces, too, which the launcher connects.
        steps.push(Step::SendNetlink);
    }
    let enter = vec![Step::Report(Tag::Mounted)];
    Ok(NewNetwork { interfaces, make: steps, enter, ..Default::default() })
}

/// The new network namespace's own parameters: no autoconfiguration by whoever is on
/// the bridge (CVE-2020-13401), no IPv6 that nobody asked for, ping without NET_RAW.
fn parameters(source: &Source<'_>, namespaces: &Namespaces) -> Result<Vec<Step>> {
    let mut list = Vec::new();
    if source.host.ipv6 {
        list.push(("net.ipv6.conf.default.accept_ra", "0".to_owned()));
        if !source.container.networks.iter().any(|network| network.ipv6_address.is_some()) {
            // The loopback interface is there already, and keeps ::1.
            list.push(("net.ipv6.conf.default.disable_ipv6", "1".to_owned()));
        }
    }
    let highest = match &namespaces.id_maps {
        None => source.host.highest_gid,
        Some(maps) => {
            maps.gids.iter().map(|line| line.container_id + (line.size - 1)).max().unwrap_or(0)
        }
    };
    if namespaces.id_maps.as_ref().is_none_or(|maps| maps.maps_gid(0)) {
        list.push(("net.ipv4.ping_group_range", format!("0 {highest}")));
    }
    list.into_iter()
        .filter(|(key, _)| !source.container.sysctl.contains_key(*key))
        .map(|(key, value)| Sysctl::new(key, &value).map(Step::Sysctl).map_err(refused("networks")))
        .collect()
}

/// As it was given, or `eth0`, `eth1` and so on.
pub(crate) fn interface_name(network: &Network, ordinal: usize) -> String {
    network.name.clone().unwrap_or_else(|| format!("eth{ordinal}"))
}

/// A pair, but for its name.
fn veth(network: &Network, index: usize) -> Result<Veth> {
    /// Parses a field, which the configuration's own checks have seen already.
    fn parse<T: std::str::FromStr>(
        index: usize,
        key: &str,
        text: Option<&str>,
    ) -> Result<Option<T>> {
        let Some(text) = text else { return Ok(None) };
        let path = format!("networks[{index}].{key}");
        text.parse().map(Some).map_err(|_| refuse(&path, "is malformed", None))
    }
    let context = network.context.clone().unwrap_or_default();
    let mut routes = Vec::new();
    for route in &network.routes {
        let destination = parse(index, "routes", Some(&route.destination))?;
        let gateway = parse(index, "routes", Some(&route.gateway))?;
        routes.extend(gateway.map(|gateway| Route { destination, gateway }));
    }
    let defaults = Veth::default();
    Ok(Veth {
        host_prefix: context.prefix.unwrap_or(defaults.host_prefix),
        bridge: context.bridge.unwrap_or_default(),
        create_bridge: context.create,
        mtu: network.mtu,
        mac: parse(index, "mac_address", network.mac_address.as_deref())?,
        address: parse(index, "address", network.address.as_deref())?,
        gateway: parse(index, "gateway", network.gateway.as_deref())?,
        ipv6_address: parse(index, "ipv6_address", network.ipv6_address.as_deref())?,
        ipv6_gateway: parse(index, "ipv6_gateway", network.ipv6_gateway.as_deref())?,
        routes,
        ..defaults
    })
}
