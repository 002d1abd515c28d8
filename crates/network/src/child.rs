//! Child: the two things that are done within the namespace. Nothing here
//! allocates, locks or logs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::message::{ERROR, HEADER, i32_at, link_header, u32_at};
use crate::sys;

/// The kernel gives every loopback this index (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;
const LENGTH: usize = HEADER + 16;
const SEQUENCE: u32 = 1;

/// Opens a `NETLINK_ROUTE` socket in the caller's network namespace, close on
/// exec: what the child sends to its parent, for
/// [`NetworkNamespace::from_socket`](crate::NetworkNamespace::from_socket)
/// (netlink(7)).
///
/// # Errors
/// The number that socket(2) gives.
pub fn open_socket() -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
}

/// Brings the loopback of the socket's namespace up: one message and its
/// acknowledgement (rtnetlink(7), `RTM_NEWLINK`).
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` in the user namespace that owns the network
/// namespace, otherwise what the kernel acknowledged with.
pub fn loopback_up(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    const MESSAGE: [u8; LENGTH] = loopback_message();
    retry_on_intr(|| rustix::net::send(socket, &MESSAGE, SendFlags::empty()))?;
    let mut reply = [0_u8; 256];
    loop {
        let (_, length, sender) =
            retry_on_intr(|| rustix::net::recvfrom(socket, &mut reply, RecvFlags::empty()))?;
        // Only the kernel has port 0: others may send to this socket, too.
        let from_kernel =
            sender.is_some_and(|a| SocketAddrNetlink::try_from(a).is_ok_and(|a| a.pid() == 0));
        let reply = reply.get(..length).unwrap_or(&reply);
        let is_ours =
            reply.get(4..6) == Some(&ERROR.to_ne_bytes()) && u32_at(reply, 8) == Some(SEQUENCE);
        match i32_at(reply, HEADER) {
            Some(0) if from_kernel && is_ours => return Ok(()),
            Some(number) if from_kernel && is_ours => {
                return Err(Errno::from_raw_os_error(-number));
            }
            _ => (),
        }
    }
}

/// Enters the network namespace of a netlink socket, which another process may have opened
/// in it (`SIOCGSKNS`, setns(2)).
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` and `CAP_SYS_ADMIN` in the user namespace that owns the
/// network namespace, or without `CAP_SYS_ADMIN` in the caller's.
pub fn enter_namespace_of(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let unknown = |error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let namespace = sys::namespace_of_socket(socket).map_err(unknown)?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

/// `struct nlmsghdr` and `struct ifinfomsg`: set `IFF_UP` on the loopback.
const fn loopback_message() -> [u8; LENGTH] {
    let link = link_header(LOOPBACK, libc::IFF_UP as u32, libc::IFF_UP as u32);
    let mut bytes = [0; LENGTH];
    let mut at = 0;
    while at < link.len() {
        bytes[HEADER + at] = link[at];
        at += 1;
    }
    let length = (LENGTH as u32).to_ne_bytes();
    let kind = libc::RTM_NEWLINK.to_ne_bytes();
    let flags = ((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16).to_ne_bytes();
    let sequence = SEQUENCE.to_ne_bytes();
    (bytes[0], bytes[1], bytes[2], bytes[3]) = (length[0], length[1], length[2], length[3]);
    (bytes[4], bytes[5], bytes[6], bytes[7]) = (kind[0], kind[1], flags[0], flags[1]);
    (bytes[8], bytes[9], bytes[10], bytes[11]) =
        (sequence[0], sequence[1], sequence[2], sequence[3]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Request, messages};

    #[test]
    fn the_prepared_message_is_what_the_writer_writes() {
        let up = libc::IFF_UP as u32;
        let written = Request::new(
            libc::RTM_NEWLINK,
            libc::NLM_F_ACK,
            SEQUENCE,
            &link_header(LOOPBACK, up, up),
        )
        .finish();
        assert_eq!(loopback_message().as_slice(), written);
        assert_eq!(messages(&written).count(), 1);
    }
}
