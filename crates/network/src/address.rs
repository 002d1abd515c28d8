//! Parent: addresses as they are written in a configuration.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::Error;

/// An IPv4 address with the length of its network's prefix: `10.7.0.2/24`.
///
/// The host bits are kept, so the same type names an interface's address and a
/// route's destination (RFC 4632).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cidr4 {
    address: Ipv4Addr,
    prefix: u8,
}

/// An IPv6 address with the length of its network's prefix: `fd00:7::2/64`
/// (RFC 4291, section 2.3). A zone (`%eth0`) is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cidr6 {
    address: Ipv6Addr,
    prefix: u8,
}

/// A [`Cidr4`] or a [`Cidr6`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IpCidr {
    /// IPv4.
    V4(Cidr4),
    /// IPv6.
    V6(Cidr6),
}

/// A hardware address: six octets, `02:42:0a:07:00:02`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MacAddress([u8; 6]);

impl Cidr4 {
    /// An address and its prefix length, 0 to 32 bits.
    ///
    /// # Errors
    /// [`Error::Parse`] for a longer prefix.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Result<Self, Error> {
        if prefix > 32 {
            return Err(not_a_cidr4(&format!("{address}/{prefix}")));
        }
        Ok(Self { address, prefix })
    }

    /// The address, host bits included.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// The length of the network's prefix in bits, 0 to 32.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network's own address: all host bits zero.
    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() & self.mask())
    }

    /// The network's broadcast address: all host bits one.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask())
    }

    /// Whether `address` belongs to the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask() == self.network().to_bits()
    }

    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }
}

impl Cidr6 {
    /// An address and its prefix length, 0 to 128 bits.
    ///
    /// # Errors
    /// [`Error::Parse`] for a longer prefix.
    pub fn new(address: Ipv6Addr, prefix: u8) -> Result<Self, Error> {
        if prefix > 128 {
            return Err(not_a_cidr6(&format!("{address}/{prefix}")));
        }
        Ok(Self { address, prefix })
    }

    /// The address, host bits included.
    pub fn address(self) -> Ipv6Addr {
        self.address
    }

    /// The length of the network's prefix in bits, 0 to 128.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network's own address: all host bits zero.
    pub fn network(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.address.to_bits() & self.mask())
    }

    /// Whether `address` belongs to the network.
    pub fn contains(self, address: Ipv6Addr) -> bool {
        address.to_bits() & self.mask() == self.network().to_bits()
    }

    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0)
    }
}

impl IpCidr {
    /// The address, host bits included.
    pub fn address(self) -> IpAddr {
        match self {
            Self::V4(cidr) => cidr.address.into(),
            Self::V6(cidr) => cidr.address.into(),
        }
    }

    /// The length of the network's prefix in bits.
    pub fn prefix(self) -> u8 {
        match self {
            Self::V4(cidr) => cidr.prefix,
            Self::V6(cidr) => cidr.prefix,
        }
    }

    /// Whether all host bits are zero, as in a route's destination.
    pub fn is_network(self) -> bool {
        match self {
            Self::V4(cidr) => cidr.address == cidr.network(),
            Self::V6(cidr) => cidr.address == cidr.network(),
        }
    }
}

impl MacAddress {
    /// The address of these six octets, in the order in which they are sent.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The six octets, in the order in which they are sent.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether one interface may carry it: not a group address, not all zero
    /// (the kernel's `is_valid_ether_addr`).
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl From<Cidr4> for IpCidr {
    fn from(cidr: Cidr4) -> Self {
        Self::V4(cidr)
    }
}

impl From<Cidr6> for IpCidr {
    fn from(cidr: Cidr6) -> Self {
        Self::V6(cidr)
    }
}

impl FromStr for Cidr4 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (address, prefix) = split(text).ok_or_else(|| not_a_cidr4(text))?;
        let address = address.parse().map_err(|_| not_a_cidr4(text))?;
        Self::new(address, prefix).map_err(|_| not_a_cidr4(text))
    }
}

impl FromStr for Cidr6 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (address, prefix) = split(text).ok_or_else(|| not_a_cidr6(text))?;
        let address = address.parse().map_err(|_| not_a_cidr6(text))?;
        Self::new(address, prefix).map_err(|_| not_a_cidr6(text))
    }
}

impl FromStr for IpCidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.contains(':') { text.parse().map(Self::V6) } else { text.parse().map(Self::V4) }
    }
}

impl FromStr for MacAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Parse {
            text: text.to_owned(),
            expected: "a hardware address, as 02:42:0a:07:00:02",
        };
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(wrong)?;
            if !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(octets)) }
    }
}

impl fmt::Display for Cidr4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for Cidr6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for IpCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(cidr) => cidr.fmt(f),
            Self::V6(cidr) => cidr.fmt(f),
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text before the slash and the number after it; a sign or a leading zero
/// is no number here.
fn split(text: &str) -> Option<(&str, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let plain = prefix.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (prefix.len() > 1 && prefix.starts_with('0')) {
        return None;
    }
    Some((address, prefix.parse().ok()?))
}

fn not_a_cidr4(text: &str) -> Error {
    Error::Parse {
        text: text.to_owned(),
        expected: "an IPv4 address with a prefix length, as 10.7.0.2/24",
    }
}

fn not_a_cidr6(text: &str) -> Error {
    Error::Parse {
        text: text.to_owned(),
        expected: "an IPv6 address with a prefix length, as fd00:7::2/64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        for text in ["10.7.0.2/24", "0.0.0.0/0", "10.0.0.1/32"] {
            assert_eq!(text.parse::<Cidr4>().unwrap().to_string(), text);
        }
        for text in ["fd00:7::2/64", "::/0", "::1/128"] {
            assert_eq!(text.parse::<IpCidr>().unwrap().to_string(), text);
        }
        let mac = "02:42:0a:07:00:ff";
        assert_eq!(mac.parse::<MacAddress>().unwrap().to_string(), mac);
    }

    #[test]
    fn bad_text_is_refused_with_the_text() {
        for text in [
            "10.7.0.2",
            "10.7.0.2/33",
            "300.1.1.1/8",
            "10.7.0.2/+8",
            "10.7.0.2/08",
            "/24",
            "10.7.0.2/",
            "",
        ] {
            assert!(
                matches!(text.parse::<Cidr4>(), Err(Error::Parse { text: t, .. }) if t == text),
                "{text}"
            );
        }
        for text in ["fd00::2", "fd00::2/129", "fe80::1%eth0/64", "10.7.0.2/24"] {
            assert!(text.parse::<Cidr6>().is_err(), "{text}");
        }
        for text in [
            "02:42:0a:07:00",
            "02:42:0a:07:00:02:03",
            "2:42:0a:07:00:02",
            "02:42:0a:07:00:+2",
            "02-42-0a-07-00-02",
        ] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn network_and_broadcast_follow_the_prefix() {
        let cidr: Cidr4 = "10.7.1.2/23".parse().unwrap();
        assert_eq!(cidr.network().to_string(), "10.7.0.0");
        assert_eq!(cidr.broadcast().to_string(), "10.7.1.255");
        assert!(cidr.contains(Ipv4Addr::new(10, 7, 0, 9)));
        assert!(!cidr.contains(Ipv4Addr::new(10, 7, 2, 1)));
        assert!("0.0.0.0/0".parse::<Cidr4>().unwrap().contains(Ipv4Addr::BROADCAST));
        assert!("fd00::/8".parse::<Cidr6>().unwrap().contains("fdff::1".parse().unwrap()));
    }
}
