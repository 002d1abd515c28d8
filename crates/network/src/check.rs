//! Parent: what can be known to be wrong without asking the kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::connect::{LONGEST_NAME, veths};
use crate::socket::LinkFacts;
use crate::{Cidr4, Cidr6, Error, Interface, IpCidr, Route, Veth};

/// Digits of a host end's name that are always random.
const FEWEST_DIGITS: usize = 4;
/// What an Ethernet device takes, `ETH_MIN_MTU` and `ETH_MAX_MTU`.
const MTU: std::ops::RangeInclusive<u32> = 68..=65535;
/// RFC 8200, section 5.
const LEAST_IPV6_MTU: u32 = 1280;

/// Checks what [`connect`](crate::connect()) would refuse whatever the host is
/// like: names, sizes, addresses, gateways, routes. Changes nothing and asks
/// nobody.
///
/// # Errors
/// The first fault, with the interface's name.
pub fn validate(interfaces: &[Interface]) -> Result<(), Error> {
    for (position, interface) in interfaces.iter().enumerate() {
        let earlier = &interfaces[..position];
        let name = interface.name();
        if earlier.iter().any(|other| other.name() == name) {
            return Err(Error::Name {
                what: "interface",
                name: name.to_owned(),
                reason: "given twice",
            });
        }
        if let Interface::Veth(veth) = interface {
            check_names(veth)?;
            check_hardware(veth)?;
            if let Some(address) = veth.address {
                check_address4(veth, address)?;
            }
            if let Some(address) = veth.ipv6_address {
                check_address6(veth, address)?;
            }
            check_gateways(veth)?;
            veth.routes.iter().try_for_each(|route| check_route(veth, *route))?;
            check_earlier(veth, earlier)?;
        }
    }
    check_default_routes(interfaces)
}

/// What only the bridge can tell: whether its packets are large enough.
pub(crate) fn fits_bridge(veth: &Veth, bridge: &LinkFacts) -> Result<(), Error> {
    let mtu = veth.mtu.unwrap_or(bridge.mtu);
    if mtu > bridge.mtu {
        return Err(wrong_mtu(
            veth,
            mtu,
            &format!("above the {} of bridge {}", bridge.mtu, bridge.name),
        ));
    }
    check_ipv6_mtu(veth, mtu)
}

/// What the kernel's `dev_valid_name` asks, and what its templates (`eth%d`),
/// file names (`all` and `default` in `/proc/sys/net`) and terminals forbid.
pub(crate) fn check_name(what: &'static str, name: &str, longest: usize) -> Result<(), Error> {
    let wrong = |reason| Err(Error::Name { what, name: name.to_owned(), reason });
    match name {
        "" => return wrong("is empty"),
        "." | ".." | "all" | "default" => return wrong("is reserved"),
        _ => (),
    }
    if name.len() > longest {
        return wrong("is too long: 15 bytes at most, with 4 random digits after a host prefix");
    }
    if name.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'/' | b':' | b'%')) {
        return wrong("has a character that is not visible ASCII, or '/', ':' or '%'");
    }
    Ok(())
}

fn check_names(veth: &Veth) -> Result<(), Error> {
    check_name("interface", &veth.name, LONGEST_NAME)?;
    check_name("bridge", &veth.bridge, LONGEST_NAME)?;
    check_name("host prefix", &veth.host_prefix, LONGEST_NAME - FEWEST_DIGITS)
}

fn check_hardware(veth: &Veth) -> Result<(), Error> {
    if let Some(mac) = veth.mac.filter(|mac| !mac.is_unicast()) {
        return Err(Error::Mac { interface: veth.name.clone(), mac });
    }
    let Some(mtu) = veth.mtu else { return Ok(()) };
    if !MTU.contains(&mtu) {
        return Err(wrong_mtu(veth, mtu, "not between 68 and 65535"));
    }
    check_ipv6_mtu(veth, mtu)
}

fn check_ipv6_mtu(veth: &Veth, mtu: u32) -> Result<(), Error> {
    let too_small = veth.ipv6_address.is_some() && mtu < LEAST_IPV6_MTU;
    if too_small { Err(wrong_mtu(veth, mtu, "below the 1280 that IPv6 needs")) } else { Ok(()) }
}

fn check_address4(veth: &Veth, cidr: Cidr4) -> Result<(), Error> {
    let address = cidr.address();
    let has_hosts = cidr.prefix() < 31; // RFC 3021
    let reason = if cidr.prefix() == 0 {
        "has a prefix of no bits"
    } else if is_no_host4(address) {
        "is not the address of one host"
    } else if has_hosts && address == cidr.network() {
        "is its network's own"
    } else if has_hosts && address == cidr.broadcast() {
        "is its network's broadcast address"
    } else {
        return Ok(());
    };
    Err(Error::Address { interface: veth.name.clone(), address: address.into(), reason })
}

fn check_address6(veth: &Veth, cidr: Cidr6) -> Result<(), Error> {
    let address = cidr.address();
    let reason = if cidr.prefix() == 0 {
        "has a prefix of no bits"
    } else if is_no_host6(address) {
        "is not the address of one host"
    } else if cidr.prefix() < 127 && address == cidr.network() {
        "is its network's anycast address" // RFC 4291, section 2.6.1
    } else {
        return Ok(());
    };
    Err(Error::Address { interface: veth.name.clone(), address: address.into(), reason })
}

fn is_no_host4(address: Ipv4Addr) -> bool {
    // 0.0.0.0/8 and 240.0.0.0/4 hold the unspecified and the broadcast address.
    let first = address.octets()[0];
    first == 0 || address.is_loopback() || first >= 224
}

fn is_no_host6(address: Ipv6Addr) -> bool {
    address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.to_ipv4_mapped().is_some()
}

fn check_gateways(veth: &Veth) -> Result<(), Error> {
    let v4 = veth.gateway.map(IpAddr::V4);
    let v6 = veth.ipv6_gateway.map(IpAddr::V6);
    v4.into_iter().chain(v6).try_for_each(|gateway| check_next_hop(veth, gateway))
}

/// A next hop has to be a neighbour.
fn check_next_hop(veth: &Veth, gateway: IpAddr) -> Result<(), Error> {
    let reason = match (gateway, veth.address, veth.ipv6_address) {
        (IpAddr::V4(_), None, _) | (IpAddr::V6(_), _, None) => {
            "the interface has no address of its family"
        }
        (IpAddr::V4(gateway), Some(own), _) if gateway == own.address() => {
            "is the interface's own address"
        }
        (IpAddr::V6(gateway), _, Some(own)) if gateway == own.address() => {
            "is the interface's own address"
        }
        (IpAddr::V4(gateway), Some(own), _) if !own.contains(gateway) => {
            "is not in the interface's network"
        }
        (IpAddr::V6(gateway), ..) if is_no_host6(gateway) => "is not the address of one host",
        (IpAddr::V6(gateway), ..) if gateway.is_unicast_link_local() => return Ok(()),
        (IpAddr::V6(gateway), _, Some(own)) if !own.contains(gateway) => {
            "is not in the interface's network"
        }
        (IpAddr::V4(gateway), Some(own), _)
            if own.prefix() < 31 && (gateway == own.network() || gateway == own.broadcast()) =>
        {
            "is its network's own or broadcast address"
        }
        _ => return Ok(()),
    };
    Err(Error::Gateway { interface: veth.name.clone(), gateway, reason })
}

fn check_route(veth: &Veth, route: Route) -> Result<(), Error> {
    check_next_hop(veth, route.gateway)?;
    let wrong = |reason| Err(Error::Route { interface: veth.name.clone(), route, reason });
    match (route.destination, route.gateway) {
        (Some(IpCidr::V4(_)), IpAddr::V6(_)) | (Some(IpCidr::V6(_)), IpAddr::V4(_)) => {
            wrong("the destination and the gateway are of two families")
        }
        (Some(destination), _) if !destination.is_network() => {
            wrong("the destination has host bits")
        }
        (Some(IpCidr::V6(destination)), _) if destination.address().is_multicast() => {
            wrong("the destination is a multicast group")
        }
        (Some(IpCidr::V4(destination)), _) if destination.address().is_multicast() => {
            wrong("the destination is a multicast group")
        }
        _ => Ok(()),
    }
}

/// Two interfaces on one bridge with one address.
fn check_earlier(veth: &Veth, earlier: &[Interface]) -> Result<(), Error> {
    for other in veths(earlier).filter(|other| other.bridge == veth.bridge) {
        for address in veth.addresses().map(IpCidr::address) {
            if other.addresses().any(|theirs| theirs.address() == address) {
                let holder = other.name.clone();
                return Err(Error::AddressInUse { interface: veth.name.clone(), address, holder });
            }
        }
    }
    Ok(())
}

/// The kernel would refuse a second default route, after much work.
fn check_default_routes(interfaces: &[Interface]) -> Result<(), Error> {
    let (mut v4, mut v6) = (false, false);
    for veth in veths(interfaces) {
        let everything =
            |route: &Route| route.destination.is_none_or(|destination| destination.prefix() == 0);
        for route in veth.all_routes().filter(everything) {
            let seen = if route.gateway.is_ipv4() { &mut v4 } else { &mut v6 };
            if std::mem::replace(seen, true) {
                let reason = "there is a default route already";
                return Err(Error::Gateway {
                    interface: veth.name.clone(),
                    gateway: route.gateway,
                    reason,
                });
            }
        }
    }
    Ok(())
}

fn wrong_mtu(veth: &Veth, mtu: u32, reason: &str) -> Error {
    Error::Mtu { interface: veth.name.clone(), mtu, reason: reason.to_owned() }
}
