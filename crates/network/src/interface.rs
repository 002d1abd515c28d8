//! Parent: the interfaces that a network namespace shall have, as plain data.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Cidr4, Cidr6, IpCidr, MacAddress};

/// One interface of a network namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Interface {
    /// The loopback, `lo`, which every network namespace is born with: it is
    /// brought up; the kernel gives it 127.0.0.1/8 and ::1/128.
    Loopback,
    /// One end of a virtual Ethernet pair (veth(4)) whose other end is a port
    /// of a bridge on the host.
    Veth(Veth),
}

/// A virtual Ethernet pair between the namespace and a bridge of the host.
///
/// ```
/// # fn main() -> Result<(), nsinit_network::Error> {
/// use nsinit_network::Veth;
/// let eth0 = Veth { bridge: "br0".into(), address: Some("10.7.0.2/24".parse()?), ..Veth::named("eth0") };
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Veth {
    /// Name in the namespace: 1 to 15 bytes, no `/`, `:`, `%` or white space.
    pub name: String,
    /// First part of the name of the host's end, at most 11 bytes; 4 to 8
    /// random hexadecimal digits follow. Default `veth`.
    pub host_prefix: String,
    /// The host's bridge that the host's end becomes a port of.
    pub bridge: String,
    /// Make the bridge if there is none. It then has the gateways' addresses,
    /// carries the mark [`BRIDGE_MARK`](crate::BRIDGE_MARK) and goes with its
    /// last port. A bridge that is there is used as it is.
    pub create_bridge: bool,
    /// Largest packet in bytes, 68 to 65535, at least 1280 with IPv6, and not
    /// above the bridge's. Absent: the bridge's.
    pub mtu: Option<u32>,
    /// Hardware address; absent: a random one of the kernel's.
    pub mac: Option<MacAddress>,
    /// IPv4 address and prefix length.
    pub address: Option<Cidr4>,
    /// Gateway of the IPv4 default route, in the address's network.
    pub gateway: Option<Ipv4Addr>,
    /// IPv6 address and prefix length; there is no duplicate address
    /// detection for it, so that it can be used at once (RFC 4862, 5.4). The
    /// namespace must have IPv6 enabled.
    pub ipv6_address: Option<Cidr6>,
    /// Gateway of the IPv6 default route, in the address's network or
    /// link-local.
    pub ipv6_gateway: Option<Ipv6Addr>,
    /// Further routes through this interface.
    pub routes: Vec<Route>,
}

/// A route through an interface.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Route {
    /// Where to, with all host bits zero; `None` is the default route of the
    /// gateway's family.
    pub destination: Option<IpCidr>,
    /// The next hop, in a network that the interface has an address in.
    pub gateway: IpAddr,
}

impl Veth {
    /// An interface of that name, and nothing else: a bridge has to be named.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The addresses of both families.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpCidr> {
        let v4 = self.address.map(IpCidr::V4);
        v4.into_iter().chain(self.ipv6_address.map(IpCidr::V6))
    }

    /// All routes: those of the gateways, then the further ones.
    pub(crate) fn all_routes(&self) -> impl Iterator<Item = Route> {
        let v4 = self.gateway.map(|gateway| Route { destination: None, gateway: gateway.into() });
        let v6 =
            self.ipv6_gateway.map(|gateway| Route { destination: None, gateway: gateway.into() });
        v4.into_iter().chain(v6).chain(self.routes.iter().copied())
    }

    /// The addresses that a bridge made for this interface gets: the gateway's
    /// with the prefix length of the interface's own.
    pub(crate) fn bridge_addresses(&self) -> impl Iterator<Item = IpCidr> {
        let v4 = self
            .address
            .zip(self.gateway)
            .and_then(|(own, gateway)| Cidr4::new(gateway, own.prefix()).ok());
        let v6 = self
            .ipv6_address
            .zip(self.ipv6_gateway)
            .and_then(|(own, gateway)| Cidr6::new(gateway, own.prefix()).ok());
        v4.map(IpCidr::V4).into_iter().chain(v6.map(IpCidr::V6))
    }
}

impl Default for Veth {
    /// `eth0`, host prefix `veth`, no bridge, nothing configured.
    fn default() -> Self {
        Self {
            name: "eth0".to_owned(),
            host_prefix: "veth".to_owned(),
            bridge: String::new(),
            create_bridge: false,
            mtu: None,
            mac: None,
            address: None,
            gateway: None,
            ipv6_address: None,
            ipv6_gateway: None,
            routes: Vec::new(),
        }
    }
}

impl From<Veth> for Interface {
    fn from(veth: Veth) -> Self {
        Self::Veth(veth)
    }
}

impl Interface {
    /// Name in the namespace.
    pub fn name(&self) -> &str {
        match self {
            Self::Loopback => "lo",
            Self::Veth(veth) => &veth.name,
        }
    }
}

/// `loopback lo`, `veth eth0 on br0`: for plans and messages.
impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback lo"),
            Self::Veth(veth) => write!(f, "veth {} on {}", veth.name, veth.bridge),
        }
    }
}

/// `default via 10.7.0.1`, as ip-route(8) prints it.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destination {
            None => write!(f, "default via {}", self.gateway),
            Some(destination) => write!(f, "{destination} via {}", self.gateway),
        }
    }
}
