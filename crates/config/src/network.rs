//! Parent: network interfaces as written.

use serde::{Deserialize, Serialize};

use crate::forms;

crate::forms::objects!(Network, NetworkContext, Route);

/// One entry of `networks`.
///
/// Addresses stay strings, because 2014 files give the loopback a gateway
/// called `localhost`; those of a `veth` have been checked when
/// [`validate`](crate::Container::validate) is content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Network {
    /// What kind of interface.
    #[serde(rename = "type")]
    pub kind: NetworkKind,

    /// `veth`: its host side.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub context: Option<NetworkContext>,

    /// `veth`: name in the container, at most 15 bytes. Default: `eth0`, `eth1`
    /// and so on, counting the `veth` entries.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// IPv4 address with prefix length: `172.17.0.100/16`. No effect on the
    /// loopback.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,

    /// IPv4 address of the default route, in the subnet of `address`. No effect
    /// on the loopback.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,

    /// IPv6 address with prefix length: `fd00::2/64`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<String>,

    /// IPv6 address of the default route: in the subnet of `ipv6_address`, or
    /// link-local.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub ipv6_gateway: Option<String>,

    /// Six hexadecimal octets, unicast: `02:42:ac:11:00:64`. Default: random.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,

    /// Largest packet in bytes, 68 to 65535, and at least 1280 with IPv6.
    /// Default: that of the bridge.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,

    /// Routes beside those of the addresses and gateways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

impl Network {
    /// The loopback interface.
    pub fn loopback() -> Network {
        Network::of(NetworkKind::Loopback)
    }

    /// A virtual Ethernet pair whose host end is a port of `bridge`.
    pub fn veth(bridge: impl Into<String>) -> Network {
        let context = NetworkContext { bridge: Some(bridge.into()), ..NetworkContext::default() };
        Network { context: Some(context), ..Network::of(NetworkKind::Veth) }
    }

    fn of(kind: NetworkKind) -> Network {
        Network {
            kind,
            context: None,
            name: None,
            address: None,
            gateway: None,
            ipv6_address: None,
            ipv6_gateway: None,
            mac_address: None,
            mtu: None,
            routes: Vec::new(),
        }
    }
}

/// The `type` of a network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NetworkKind {
    /// `lo`; always there and up in a network namespace of the container's own.
    Loopback,
    /// A virtual Ethernet pair, one end in the container, one on a bridge.
    Veth,
}

/// The host side of a `veth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct NetworkContext {
    /// Name of the bridge, at most 15 bytes; required for a `veth`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,

    /// Beginning of the host end's name, at most 11 bytes (4 random ones
    /// follow). Default: `veth`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,

    /// Makes a missing bridge, with the gateway's address; it goes with its
    /// last port. Default: false, a missing bridge is an error.
    #[serde(default, skip_serializing_if = "forms::is_false")]
    pub create: bool,
}

/// A route of a `veth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Route {
    /// IPv4 or IPv6 network with prefix length: `10.0.0.0/8`.
    pub destination: String,

    /// Address of the next hop, of the same family.
    pub gateway: String,
}
