//! Parent: changes asked of the kernel over rtnetlink, on the runtime.

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_util::StreamExt;
use netlink_packet_route::address::{AddressAttribute, AddressFlags};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute};
use netlink_packet_route::route::RouteMessage;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::proto::{Connection, ConnectionHandle, from_socket_with_codec};
use rtnetlink::sys::SocketAddr;
use rtnetlink::{
    AddressMessageBuilder, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth,
    RouteMessageBuilder,
};

use crate::change::Change;
use crate::socket::{Refusal, refusal, with_kernel_words};
use crate::{Error, IpCidr, MacAddress, Route, Side, sys};

/// One side's connection: it has to be driven while requests are under way.
pub(crate) type Driver = Connection<Change>;

/// One side's requests.
pub(crate) struct Kernel {
    handle: ConnectionHandle<Change>,
    side: Side,
}

/// What a veth pair is made of.
pub(crate) struct Pair<'a> {
    pub(crate) host_name: &'a str,
    pub(crate) host_mac: MacAddress,
    pub(crate) bridge: u32,
    pub(crate) name: &'a str,
    pub(crate) mac: Option<MacAddress>,
    pub(crate) mtu: u32,
    pub(crate) namespace: BorrowedFd<'a>,
}

impl Kernel {
    /// A connection on a socket, in the current runtime.
    pub(crate) fn connect(socket: OwnedFd, side: Side) -> Result<(Driver, Self), Error> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::NoRuntime);
        }
        with_kernel_words(socket.as_fd()).map_err(|source| Error::Socket { source })?;
        let (driver, handle, _unsolicited) = from_socket_with_codec(sys::tokio_socket(socket));
        Ok((driver, Self { handle, side }))
    }

    /// Makes a pair: the host's end up and a port of the bridge, the other
    /// born in the namespace under its final name. That one must not be up
    /// yet: the kernel configures it before the two are tied, `ENOTCONN`.
    pub(crate) async fn create_pair(&self, pair: &Pair<'_>) -> Result<(), Refusal> {
        let mut inner = LinkUnspec::new_with_name(pair.name).mtu(pair.mtu);
        if let Some(mac) = pair.mac {
            inner = inner.address(mac.octets().to_vec());
        }
        let inner = inner.setns_by_fd(pair.namespace.as_raw_fd()).build();
        let message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
            .name(pair.host_name.to_owned())
            .address(pair.host_mac.octets().to_vec())
            .mtu(pair.mtu)
            .controller(pair.bridge)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(inner)))
            .up()
            .build();
        self.make(Change::CreateLink(message)).await
    }

    /// Makes a bridge, down. Its hardware address is given: left to itself it
    /// takes the lowest of its ports' and changes whenever one comes or goes.
    pub(crate) async fn create_bridge(&self, name: &str, mac: MacAddress) -> Result<(), Refusal> {
        let message = LinkBridge::new(name).address(mac.octets().to_vec()).build();
        self.make(Change::CreateLink(message)).await
    }

    pub(crate) async fn set_alias(&self, index: u32, name: &str, alias: &str) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(index)
            .append_extra_attribute(LinkAttribute::IfAlias(alias.to_owned()))
            .build();
        let done = self.make(Change::SetLink(message)).await;
        done.map_err(|refusal| self.error(name, "set alias", refusal))
    }

    pub(crate) async fn set_up(&self, index: u32, name: &str) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(index).up().build();
        let done = self.make(Change::SetLink(message)).await;
        done.map_err(|refusal| self.error(name, "bring up", refusal))
    }

    /// Adds an address; an IPv6 address can be used at once.
    pub(crate) async fn add_address(
        &self,
        index: u32,
        name: &str,
        address: IpCidr,
    ) -> Result<(), Error> {
        let message = match address {
            IpCidr::V4(cidr) => {
                let builder = AddressMessageBuilder::<Ipv4Addr>::new().index(index);
                let mut message = builder.address(cidr.address(), cidr.prefix()).build();
                if cidr.prefix() >= 31 {
                    // Of two addresses none is for everybody (RFC 3021).
                    message.attributes.retain(|a| !matches!(a, AddressAttribute::Broadcast(_)));
                }
                message
            }
            IpCidr::V6(cidr) => {
                let builder = AddressMessageBuilder::<Ipv6Addr>::new().index(index);
                let mut message = builder.address(cidr.address(), cidr.prefix()).build();
                message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
                message
            }
        };
        let done = self.make(Change::AddAddress(message)).await;
        done.map_err(|refusal| self.error(name, &format!("add address {address}"), refusal))
    }

    pub(crate) async fn add_route(
        &self,
        index: u32,
        name: &str,
        route: Route,
    ) -> Result<(), Error> {
        let done = self.make(Change::AddRoute(route_message(index, route))).await;
        done.map_err(|refusal| self.error(name, &format!("add route {route}"), refusal))
    }

    /// Asks for a change, and waits for the acknowledgement.
    async fn make(&self, change: Change) -> Result<(), Refusal> {
        let answers = self.handle.request(change.into_message(), SocketAddr::new(0, 0));
        let closed = |_| std::io::Error::from_raw_os_error(libc::ECONNRESET);
        let mut answers = answers.map_err(closed)?;
        // The acknowledgement is the end of them.
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(message) = answer.payload {
                return Err(refusal(message.raw_code(), &message.header));
            }
        }
        Ok(())
    }

    /// A refusal with the words for what was asked of which link.
    pub(crate) fn error(&self, name: &str, action: &str, refusal: Refusal) -> Error {
        refusal.of_link(name, self.side, action)
    }
}

impl Refusal {
    /// The error that names the link and what was asked for.
    pub(crate) fn of_link(self, name: &str, side: Side, action: &str) -> Error {
        let Self { words, source } = self;
        Error::Link {
            name: name.to_owned(),
            side,
            action: action.to_owned(),
            kernel: words,
            source,
        }
    }
}

/// Runs `work` while driving the connections beside it, so that no task stays
/// behind in the caller's runtime.
pub(crate) async fn drive<T>(
    mut drivers: [Driver; 2],
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut work = pin!(work);
    poll_fn(|turn| {
        // The connections first: the end of one would look like an
        // acknowledgement to the request that waits for it.
        for driver in &mut drivers {
            if Pin::new(driver).poll(turn).is_ready() {
                let source = std::io::Error::from_raw_os_error(libc::ECONNRESET);
                return Poll::Ready(Err(Error::Socket { source }));
            }
        }
        work.as_mut().poll(turn)
    })
    .await
}

fn route_message(index: u32, route: Route) -> RouteMessage {
    use std::net::IpAddr::{V4, V6};
    match route.gateway {
        V4(gateway) => {
            let mut builder =
                RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).output_interface(index);
            if let Some(IpCidr::V4(to)) = route.destination {
                builder = builder.destination_prefix(to.address(), to.prefix());
            }
            builder.build()
        }
        V6(gateway) => {
            let mut builder =
                RouteMessageBuilder::<Ipv6Addr>::new().gateway(gateway).output_interface(index);
            if let Some(IpCidr::V6(to)) = route.destination {
                builder = builder.destination_prefix(to.address(), to.prefix());
            }
            builder.build()
        }
    }
}
