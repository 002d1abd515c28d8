//! Parent: addresses with prefix lengths.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::suggest::quoted;

/// An address and the length of its network part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subnet {
    pub(super) address: IpAddr,
    prefix: u8,
}

/// Which of the two protocols is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
    Either,
}

impl Family {
    fn name(self) -> &'static str {
        match self {
            Family::V4 => "an IPv4 address",
            Family::V6 => "an IPv6 address",
            Family::Either => "an IP address",
        }
    }
}

/// An address without a prefix length.
pub(super) fn parse_address(text: &str, family: Family) -> Result<IpAddr, String> {
    let got = quoted(text);
    if text.contains('%') {
        return Err(format!("must have no zone, got {got}"));
    }
    let address: IpAddr =
        text.parse().map_err(|_| format!("must be {}, got {got}", family.name()))?;
    match (family, address) {
        (Family::V4, IpAddr::V6(_)) | (Family::V6, IpAddr::V4(_)) => {
            Err(format!("must be {}, got {got}", family.name()))
        }
        _ => Ok(address),
    }
}

impl Subnet {
    pub(super) fn parse(text: &str, family: Family) -> Result<Subnet, String> {
        let Some((address, prefix)) = text.split_once('/') else {
            parse_address(text, family)?;
            return Err(format!("has no prefix length, got {}", quoted(text)));
        };
        let address = parse_address(address, family)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        match prefix.parse::<u8>() {
            Ok(prefix) if digits && prefix <= longest => Ok(Subnet { address, prefix }),
            _ => {
                let got = quoted(text);
                Err(format!("prefix length must be from 1 to {longest}, got {got}"))
            }
        }
    }

    /// Why a host cannot have this address in this network.
    pub(super) fn unfit_for_host(&self) -> Option<&'static str> {
        let address = self.address;
        if self.prefix == 0 {
            return Some("prefix length must not be 0");
        }
        if address.is_unspecified() {
            return Some("must not be the unspecified address");
        }
        if address.is_loopback() {
            return Some("must not be a loopback address");
        }
        if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Some("must not be a multicast or broadcast address");
        }
        self.edge(address)
    }

    /// True if `address` is in this network.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && self.network_of(address) == self.network_of(self.address)
    }

    /// The first or last address of an IPv4 network, which no host has; a /31
    /// has neither (RFC 3021).
    pub(super) fn edge(&self, address: IpAddr) -> Option<&'static str> {
        if !address.is_ipv4() || self.prefix > 30 {
            return None;
        }
        let hosts = bits(address) & !self.mask();
        if hosts == 0 {
            Some("must not be the network's own address")
        } else if hosts == (!self.mask() & u128::from(u32::MAX)) {
            Some("must not be the network's broadcast address")
        } else {
            None
        }
    }

    /// The network, if the host part is not zero: what a route must be to.
    pub(super) fn network_if_other(&self) -> Option<String> {
        let network = self.network_of(self.address);
        let address = match self.address {
            IpAddr::V4(_) => {
                IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(network).unwrap_or_default()))
            }
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(network)),
        };
        (address != self.address).then(|| format!("{address}/{}", self.prefix))
    }

    fn network_of(&self, address: IpAddr) -> u128 {
        bits(address) & self.mask()
    }

    fn mask(&self) -> u128 {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        let all = if width == 32 { u128::from(u32::MAX) } else { u128::MAX };
        match u32::from(self.prefix) {
            0 => 0,
            prefix => all & (all << (width - prefix)),
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        Subnet::parse(text, Family::Either).unwrap()
    }

    #[test]
    fn membership_follows_the_prefix() {
        let net = subnet("172.17.0.100/16");
        assert!(net.contains("172.17.42.1".parse().unwrap()));
        assert!(!net.contains("172.18.0.1".parse().unwrap()));
        assert!(!net.contains("::1".parse().unwrap()));
        assert!(subnet("fd00::2/64").contains("fd00::1".parse().unwrap()));
        assert!(!subnet("fd00::2/64").contains("fd00:0:0:1::1".parse().unwrap()));
    }

    #[test]
    fn edges_are_those_of_the_network() {
        for (text, unfit) in [
            ("10.0.0.0/24", true),
            ("10.0.0.255/24", true),
            ("10.0.0.0/31", false),
            ("10.0.0.255/32", false),
            ("10.0.0.255/16", false),
            ("fd00::/64", false),
            ("127.0.0.1/8", true),
            ("224.0.0.1/24", true),
            ("10.0.0.1/0", true),
        ] {
            assert_eq!(subnet(text).unfit_for_host().is_some(), unfit, "{text}");
        }
    }

    #[test]
    fn a_route_names_its_network() {
        assert_eq!(subnet("10.1.2.3/8").network_if_other().as_deref(), Some("10.0.0.0/8"));
        assert_eq!(subnet("10.0.0.0/8").network_if_other(), None);
        assert_eq!(subnet("0.0.0.0/0").network_if_other(), None);
    }
}
