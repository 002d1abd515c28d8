//! Parent: checks of `networks`.

use std::collections::HashSet;
use std::net::IpAddr;

use nsinit_namespaces::Namespace;

use super::Findings;
use super::subnet::{Family, Subnet, parse_address};
use crate::key_path::At;
use crate::suggest::quoted;
use crate::{Container, Network, NetworkKind, Route};

/// IFNAMSIZ of if.h without the final NUL.
const LONGEST_NAME: usize = 15;

/// Letters that are added to `prefix` to name the host's end.
const SUFFIX: usize = 4;

/// Smallest packet that IPv4 needs (RFC 791), and IPv6 (RFC 8200).
const SMALLEST_MTU: u32 = 68;
const SMALLEST_MTU_IPV6: u32 = 1280;
const LARGEST_MTU: u32 = 65535;

pub(super) fn check(found: &mut Findings, container: &Container) {
    let all = At::Root.key("networks");
    if container.networks.is_empty() {
        return;
    }
    found.needs(all, container, Namespace::Net);
    let mut names: HashSet<String> = HashSet::new();
    let mut veths = 0;
    let mut loopbacks = 0;
    for (index, network) in container.networks.iter().enumerate() {
        let at = all.index(index);
        match network.kind {
            NetworkKind::Loopback => {
                loopbacks += 1;
                if loopbacks == 2 {
                    found.fault(at, "there is one loopback only").help("remove it");
                }
                loopback(found, at, network);
            }
            NetworkKind::Veth => {
                let name = network.name.clone().unwrap_or_else(|| format!("eth{veths}"));
                veths += 1;
                if name == "lo" {
                    found.fault(at.key("name"), "\"lo\" is the loopback's name");
                } else if let Some(name) = names.replace(name) {
                    let message = format!("{} is the name of another entry", quoted(&name));
                    found.fault(at.key("name"), message);
                }
                veth(found, at, network);
            }
        }
    }
}

/// The loopback is as the kernel makes it; what 2014 files say about it is
/// accepted and has no effect.
fn loopback(found: &mut Findings, at: At<'_>, network: &Network) {
    if let Some(text) = &network.address {
        match Subnet::parse(text, Family::V4) {
            Ok(subnet) if subnet.address.is_loopback() => {}
            Ok(_) => {
                let message = format!("the loopback's is 127.0.0.1/8, got {}", quoted(text));
                found.fault(at.key("address"), message).help("remove it");
            }
            Err(message) => {
                found.fault(at.key("address"), message);
            }
        }
    }
    let is_local = |text: &String| text == "localhost" || text.starts_with("127.");
    if let Some(gateway) = network.gateway.as_ref().filter(|text| !is_local(text)) {
        let message = format!("the loopback has no gateway, got {}", quoted(gateway));
        found.fault(at.key("gateway"), message).help("remove it");
    }
    for (key, given) in [
        ("context", network.context.is_some()),
        ("ipv6_address", network.ipv6_address.is_some()),
        ("ipv6_gateway", network.ipv6_gateway.is_some()),
        ("mac_address", network.mac_address.is_some()),
        ("routes", !network.routes.is_empty()),
        ("name", network.name.as_ref().is_some_and(|name| name != "lo")),
    ] {
        if given {
            found.fault(at.key(key), "does not apply to the loopback").help("remove it");
        }
    }
}

fn veth(found: &mut Findings, at: At<'_>, network: &Network) {
    if let Some(name) = &network.name {
        interface_name(found, at.key("name"), name, LONGEST_NAME);
    }
    host_side(found, at, network);
    if let Some(mac) = &network.mac_address {
        mac_address(found, at.key("mac_address"), mac);
    }
    mtu(found, at.key("mtu"), network);
    let v4 = subnet(found, at.key("address"), network.address.as_deref(), Family::V4);
    let v6 = subnet(found, at.key("ipv6_address"), network.ipv6_address.as_deref(), Family::V6);
    let (address, ipv6_address) = (at.key("address"), at.key("ipv6_address"));
    gateway(found, at.key("gateway"), network.gateway.as_deref(), &v4, address);
    gateway(found, at.key("ipv6_gateway"), network.ipv6_gateway.as_deref(), &v6, ipv6_address);
    for (index, route) in network.routes.iter().enumerate() {
        check_route(found, at.key("routes").index(index), route, [&v4, &v6]);
    }
}

fn host_side(found: &mut Findings, at: At<'_>, network: &Network) {
    let at_context = at.key("context");
    let Some(context) = &network.context else {
        found.fault(at, "missing key \"context\" with the bridge").because(at_context);
        return;
    };
    match &context.bridge {
        None => {
            let fault = found.fault(at_context, "missing key \"bridge\"");
            fault.because(at_context.key("bridge"));
        }
        Some(bridge) => interface_name(found, at_context.key("bridge"), bridge, LONGEST_NAME),
    }
    if let Some(prefix) = &context.prefix {
        interface_name(found, at_context.key("prefix"), prefix, LONGEST_NAME - SUFFIX);
    }
    if context.create && network.gateway.is_none() && network.ipv6_gateway.is_none() {
        let message = "needs a gateway, whose address the new bridge gets";
        let fault = found.fault(at_context.key("create"), message);
        fault.because(at.key("gateway")).because(at.key("ipv6_gateway"));
    }
}

/// `dev_valid_name` of the kernel, and `%`, which it replaces by a number.
fn interface_name(found: &mut Findings, at: At<'_>, name: &str, longest: usize) {
    if !found.text(at, name) {
        return;
    }
    let got = quoted(name);
    if name.len() > longest {
        found.fault(at, format!("{} bytes, limit {longest}, got {got}", name.len()));
    } else if name == "." || name == ".." {
        found.fault(at, format!("is not a name, got {got}"));
    } else if let Some(c) =
        name.chars().find(|c| matches!(c, '/' | ':' | '%') || !c.is_ascii_graphic())
    {
        let c = quoted(&c.to_string());
        found.fault(at, format!("must not contain {c}, got {got}"));
    }
}

fn mac_address(found: &mut Findings, at: At<'_>, text: &str) {
    let octet = |part: &str| match part.len() {
        2 if part.bytes().all(|b| b.is_ascii_hexdigit()) => u8::from_str_radix(part, 16).ok(),
        _ => None,
    };
    let octets: Option<Vec<u8>> = text.split(':').map(octet).collect();
    match octets.as_deref() {
        Some([first, ..]) if first & 1 == 1 && text.len() == 17 => {
            found.fault(at, format!("must be a unicast address, got {}", quoted(text)));
        }
        Some([0, 0, 0, 0, 0, 0]) => {
            found.fault(at, format!("must not be all zeros, got {}", quoted(text)));
        }
        Some([_, _, _, _, _, _]) => {}
        _ => {
            let message = format!("must be six hexadecimal octets, got {}", quoted(text));
            found.fault(at, message).help("as in \"02:42:ac:11:00:64\"");
        }
    }
}

fn mtu(found: &mut Findings, at: At<'_>, network: &Network) {
    let Some(mtu) = network.mtu else { return };
    if !(SMALLEST_MTU..=LARGEST_MTU).contains(&mtu) {
        found.fault(at, format!("must be from {SMALLEST_MTU} to {LARGEST_MTU}, got {mtu}"));
    } else if mtu < SMALLEST_MTU_IPV6 && network.ipv6_address.is_some() {
        found.fault(at, format!("IPv6 needs at least {SMALLEST_MTU_IPV6}, got {mtu}"));
    }
}

/// An address for the container: absent, faulty, or fit.
enum Address {
    Absent,
    Faulty,
    Fit(Subnet),
}

fn subnet(found: &mut Findings, at: At<'_>, text: Option<&str>, family: Family) -> Address {
    let Some(text) = text else { return Address::Absent };
    let message = match Subnet::parse(text, family) {
        Err(message) => message,
        Ok(subnet) => match subnet.unfit_for_host() {
            None => return Address::Fit(subnet),
            Some(message) => format!("{message}, got {}", quoted(text)),
        },
    };
    let no_prefix = message.starts_with("has no prefix length");
    let fault = found.fault(at, message);
    if no_prefix {
        let prefix = if text.contains(':') { 64 } else { 24 };
        fault.help(format!("as in {}", quoted(&format!("{text}/{prefix}"))));
    }
    Address::Faulty
}

fn gateway(found: &mut Findings, at: At<'_>, text: Option<&str>, own: &Address, at_own: At<'_>) {
    let Some(text) = text else { return };
    let v6 = matches!(at, At::Key(_, "ipv6_gateway"));
    let gateway = match parse_address(text, if v6 { Family::V6 } else { Family::V4 }) {
        Ok(gateway) => gateway,
        Err(message) => {
            found.fault(at, message);
            return;
        }
    };
    match own {
        Address::Faulty => {}
        Address::Absent => {
            let key = if v6 { "ipv6_address" } else { "address" };
            found.fault(at, format!("needs {key}")).because(at_own);
        }
        Address::Fit(subnet) => {
            if let Some(message) = unfit_gateway(subnet, gateway) {
                found.fault(at, format!("{message}, got {}", quoted(text)));
            }
        }
    }
}

fn unfit_gateway(own: &Subnet, gateway: IpAddr) -> Option<&'static str> {
    // Routers of IPv6 announce their link-local address (RFC 4861).
    let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if gateway == own.address {
        return Some("must not be the container's own address");
    }
    if !own.contains(gateway) && !link_local {
        return Some("must be in the subnet of the address");
    }
    own.edge(gateway)
}

fn check_route(found: &mut Findings, at: At<'_>, route: &Route, own: [&Address; 2]) {
    let destination = match Subnet::parse(&route.destination, Family::Either) {
        Ok(subnet) => subnet,
        Err(message) => {
            found.fault(at.key("destination"), message);
            return;
        }
    };
    if let Some(network) = destination.network_if_other() {
        let got = quoted(&route.destination);
        let fault = found.fault(at.key("destination"), format!("must be a network, got {got}"));
        fault.help(format!("did you mean {}?", quoted(&network)));
    }
    let v4 = destination.address.is_ipv4();
    let (own, key) = if v4 { (own[0], "address") } else { (own[1], "ipv6_address") };
    if matches!(own, Address::Absent) {
        found.fault(at.key("destination"), format!("a route of this family needs {key}"));
    }
    let text = &route.gateway;
    match parse_address(text, if v4 { Family::V4 } else { Family::V6 }) {
        Err(message) => {
            found.fault(at.key("gateway"), message);
        }
        Ok(gateway) => {
            let message = match own {
                Address::Fit(subnet) => unfit_gateway(subnet, gateway),
                _ => None,
            };
            if let Some(message) = message {
                found.fault(at.key("gateway"), format!("{message}, got {}", quoted(text)));
            }
        }
    }
}
