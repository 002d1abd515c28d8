//! Parent: a change of links, addresses or routes, as it is sent to the kernel.
//!
//! rtnetlink's own requests carry every kind of message that there is, and with them the code
//! that reads and writes each: a tenth of the executable, to be told that a change was made.

use std::fmt;

use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::RouteMessage;
use rtnetlink::packet_core::{
    Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkDeserializable,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};

/// One change.
pub(crate) enum Change {
    CreateLink(LinkMessage),
    SetLink(LinkMessage),
    AddAddress(AddressMessage),
    AddRoute(RouteMessage),
}

impl Change {
    /// As a message that is to be acknowledged. What is made must not be there yet.
    pub(crate) fn into_message(self) -> NetlinkMessage<Change> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK;
        if !matches!(self, Change::SetLink(_)) {
            header.flags |= NLM_F_CREATE | NLM_F_EXCL;
        }
        NetlinkMessage::new(header, NetlinkPayload::InnerMessage(self))
    }

    fn content(&self) -> &dyn Emitable {
        match self {
            Change::CreateLink(link) | Change::SetLink(link) => link,
            Change::AddAddress(address) => address,
            Change::AddRoute(route) => route,
        }
    }
}

impl NetlinkSerializable for Change {
    fn message_type(&self) -> u16 {
        match self {
            Change::CreateLink(_) => libc::RTM_NEWLINK,
            Change::SetLink(_) => libc::RTM_SETLINK,
            Change::AddAddress(_) => libc::RTM_NEWADDR,
            Change::AddRoute(_) => libc::RTM_NEWROUTE,
        }
    }

    fn buffer_len(&self) -> usize {
        self.content().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        self.content().emit(buffer);
    }
}

/// Only acknowledgements come back, which are nobody's own kind of message.
impl NetlinkDeserializable for Change {
    type Error = std::io::Error;

    fn deserialize(_: &NetlinkHeader, _: &[u8]) -> Result<Self, Self::Error> {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}

/// For the log of the crate that sends it.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Change").field(&self.message_type()).finish()
    }
}
