//! Parent: a netlink socket used in place, without a runtime.
//!
//! The kernel works a request off within sendmsg(2), so that the answer is
//! there when it returns. This is what looks things up, and what removes links
//! when a value is dropped, where nobody can be waited for.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, SendFlags};

use crate::message::{
    ADDRESS_HEADER, DONE, ERROR, LINK_HEADER, Message, Request, attributes, i32_at, kernel_words,
    link_header, messages, text_of, u32_at,
};
use crate::{open_socket, sys};

const NETLINK_EXT_ACK: i32 = 11;
const NETLINK_GET_STRICT_CHK: i32 = 12;
const NETLINK_CAP_ACK: i32 = 10;
/// What iproute2 reads with: the kernel fills at most this much per datagram.
const DATAGRAM: usize = 32 * 1024;
/// An answer that takes longer than this is none.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// Above every number that a connection of the runtime counts up to.
const FIRST_SEQUENCE: u32 = 1 << 31;

/// What the kernel says to a request that it refuses.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) words: Option<String>,
    pub(crate) source: io::Error,
}

impl Refusal {
    pub(crate) fn is(&self, errno: i32) -> bool {
        self.source.raw_os_error() == Some(errno)
    }
}

impl From<io::Error> for Refusal {
    fn from(source: io::Error) -> Self {
        Self { words: None, source }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// What is asked of a link, as far as anyone here wants to know.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct LinkFacts {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// `veth`, `bridge`, …; empty for hardware and the loopback.
    pub(crate) kind: String,
    /// Index of the bridge that it is a port of.
    pub(crate) controller: Option<u32>,
    pub(crate) alias: Option<String>,
    pub(crate) mtu: u32,
}

/// What the ports of a bridge are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    None,
    /// All are of the kind that is left while the namespace of the other end goes.
    WithoutCarrier,
    Alive,
}

/// netdevice(7): the other end is there and up. Not among the constants of the C library.
const IFF_LOWER_UP: u32 = 1 << 16;

/// A route socket in one network namespace.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: AtomicU32,
}

impl Socket {
    /// A socket in the calling thread's namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = Self::from_fd(open_socket()?)?;
        // Without it the kernel ignores the filters of a dump of addresses.
        sys::set_netlink_option(socket.fd.as_fd(), NETLINK_GET_STRICT_CHK)?;
        Ok(socket)
    }

    /// A socket that was opened somewhere else.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        with_kernel_words(fd.as_fd())?;
        Ok(Self { fd, sequence: AtomicU32::new(FIRST_SEQUENCE) })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The link of exactly this name; an alternative name is none.
    pub(crate) fn link_by_name(&self, name: &str) -> Result<Option<LinkFacts>, Refusal> {
        let request =
            self.request(libc::RTM_GETLINK, 0, &link_header(0, 0, 0)).text(libc::IFLA_IFNAME, name);
        Ok(self.one_link(request)?.filter(|link| link.name == name))
    }

    /// The link of this index.
    pub(crate) fn link_by_index(&self, index: u32) -> Result<Option<LinkFacts>, Refusal> {
        self.one_link(self.request(libc::RTM_GETLINK, 0, &link_header(index, 0, 0)))
    }

    /// The ports of a bridge. The kernel picks them: at most 1023.
    pub(crate) fn ports(&self, bridge: u32) -> Result<Ports, Refusal> {
        let request = self
            .request(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link_header(0, 0, 0))
            .attribute(libc::IFLA_MASTER, &bridge.to_ne_bytes());
        let mut found = Ports::None;
        self.exchange(request, |message| {
            let facts = link_facts(message.body);
            if facts.is_some_and(|link| link.controller == Some(bridge)) {
                // The flags of the header, linux/if_link.h.
                let flags = u32_at(message.body, 8).unwrap_or(0);
                found = match (flags & IFF_LOWER_UP, found) {
                    (0, Ports::None | Ports::WithoutCarrier) => Ports::WithoutCarrier,
                    _ => Ports::Alive,
                };
            }
        })?;
        Ok(found)
    }

    /// The names of all bridges.
    pub(crate) fn bridges(&self) -> Result<Vec<String>, Refusal> {
        let mut names = Vec::new();
        let all = self.request(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link_header(0, 0, 0));
        self.exchange(all, |message| {
            let bridge = link_facts(message.body).filter(|link| link.kind == "bridge");
            names.extend(bridge.map(|link| link.name));
        })?;
        Ok(names)
    }

    /// Whether a link has this address. The kernel picks the link's addresses.
    pub(crate) fn has_address(&self, index: u32, address: IpAddr) -> Result<bool, Refusal> {
        let mut fixed = [0; ADDRESS_HEADER];
        fixed[0] = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
        fixed[4..].copy_from_slice(&index.to_ne_bytes());
        let wanted = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let mut found = false;
        self.exchange(self.request(libc::RTM_GETADDR, libc::NLM_F_DUMP, &fixed), |message| {
            let fixed = message.body.get(..ADDRESS_HEADER);
            if fixed.and_then(|fixed| u32_at(fixed, 4)) == Some(index) {
                let given = message.body.get(ADDRESS_HEADER..).unwrap_or_default();
                found |= attributes(given).any(|(kind, value)| {
                    (kind == libc::IFA_LOCAL || kind == libc::IFA_ADDRESS) && value == wanted
                });
            }
        })?;
        Ok(found)
    }

    /// Removes a link, unless its index has another name by now.
    /// A link that is gone already is as good as removed.
    pub(crate) fn delete(&self, index: u32, name: &str) -> Result<(), Refusal> {
        // The kernel looks at the index only, and gives none out again soon.
        match self.link_by_index(index)? {
            Some(link) if link.name == name => (),
            _ => return Ok(()),
        }
        let request = self.request(libc::RTM_DELLINK, libc::NLM_F_ACK, &link_header(index, 0, 0));
        match self.exchange(request, |_| ()) {
            Err(refusal) if refusal.is(libc::ENODEV) => Ok(()),
            done => done,
        }
    }

    fn one_link(&self, request: Request) -> Result<Option<LinkFacts>, Refusal> {
        let mut found = None;
        match self.exchange(request, |message| found = link_facts(message.body)) {
            Err(refusal) if refusal.is(libc::ENODEV) => Ok(None),
            Err(refusal) => Err(refusal),
            Ok(()) => Ok(found),
        }
    }

    fn request(&self, kind: u16, flags: i32, fixed: &[u8]) -> Request {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) | FIRST_SEQUENCE;
        Request::new(kind, flags, sequence, fixed)
    }

    /// Sends a request and reads its answer to the end: an acknowledgement,
    /// the end of a dump, or for a plain question its one message.
    fn exchange(&self, request: Request, mut each: impl FnMut(Message<'_>)) -> Result<(), Refusal> {
        let request = request.finish();
        let (flags, sequence) =
            messages(&request).next().map_or((0, 0), |sent| (sent.flags, sent.sequence));
        let many = i32::from(flags) & (libc::NLM_F_DUMP | libc::NLM_F_ACK) != 0;
        retry_on_intr(|| rustix::net::send(&self.fd, &request, SendFlags::empty()))?;
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let Some(length) = self.receive(&mut buffer)? else { continue };
            let datagram = buffer.get(..length).ok_or(Errno::MSGSIZE)?;
            for message in messages(datagram).filter(|message| message.sequence == sequence) {
                match (message.kind, i32_at(message.body, 0)) {
                    (ERROR | DONE, Some(0) | None) => return Ok(()),
                    (ERROR, Some(number)) => return Err(refusal(number, &message.body[4..])),
                    (DONE, Some(number)) => return Err(refusal(number, &[])),
                    _ => each(message),
                }
                if !many {
                    return Ok(());
                }
            }
        }
    }

    /// One datagram of the kernel's, and its whole length; nothing where the
    /// sender was somebody else.
    fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        loop {
            match retry_on_intr(|| rustix::net::recvfrom(&self.fd, &mut *buffer, flags)) {
                Err(Errno::AGAIN) => self.wait()?,
                Err(errno) => return Err(errno),
                Ok((_, length, sender)) => {
                    // Only the kernel has port 0.
                    let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
                    return Ok(sender.filter(|sender| sender.pid() == 0).map(|_| length));
                }
            }
        }
    }

    fn wait(&self) -> Result<(), Errno> {
        let mut readable = [PollFd::new(&self.fd, PollFlags::IN)];
        match retry_on_intr(|| poll(&mut readable, Some(&PATIENCE)))? {
            0 => Err(Errno::TIMEDOUT),
            _ => Ok(()),
        }
    }
}

/// Asks for the kernel's own words in errors, and for errors without the
/// request in them, so that the words have a known place.
pub(crate) fn with_kernel_words(socket: BorrowedFd<'_>) -> io::Result<()> {
    sys::set_netlink_option(socket, NETLINK_CAP_ACK)?;
    sys::set_netlink_option(socket, NETLINK_EXT_ACK)
}

pub(crate) fn refusal(number: i32, after: &[u8]) -> Refusal {
    Refusal {
        words: kernel_words(after),
        source: io::Error::from_raw_os_error(number.saturating_neg()),
    }
}

fn link_facts(body: &[u8]) -> Option<LinkFacts> {
    let mut facts = LinkFacts { index: u32_at(body, 4)?, ..LinkFacts::default() };
    for (kind, value) in attributes(body.get(LINK_HEADER..)?) {
        match kind {
            libc::IFLA_IFNAME => facts.name = text_of(value).unwrap_or_default(),
            libc::IFLA_IFALIAS => facts.alias = text_of(value),
            libc::IFLA_MASTER => facts.controller = u32_at(value, 0),
            libc::IFLA_MTU => facts.mtu = u32_at(value, 0)?,
            libc::IFLA_LINKINFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                facts.kind = kind.and_then(|(_, value)| text_of(value)).unwrap_or_default();
            }
            _ => (),
        }
    }
    Some(facts)
}
