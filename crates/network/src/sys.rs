//! Parent: the calls that need unsafe. Each is safe to call from here on.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use rtnetlink::sys::TokioSocket;
use rustix::thread::UnshareFlags;

/// `_IO(0xb7, 0x3)`, `<linux/nsfs.h>`.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703_u32 as libc::Ioctl;
/// `<linux/sockios.h>`.
const SIOCGSKNS: libc::Ioctl = 0x894c_u32 as libc::Ioctl;

/// The kind of the namespace behind a descriptor, as a `CLONE_NEW*` flag
/// (ioctl_nsfs(2)).
pub(crate) fn namespace_type(file: BorrowedFd<'_>) -> io::Result<i32> {
    // SAFETY: NS_GET_NSTYPE takes no argument, and every other kind of file answers ENOTTY.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// The network namespace that a socket belongs to, close on exec. Needs
/// `CAP_NET_ADMIN` in the user namespace that owns it.
pub(crate) fn namespace_of_socket(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: SIOCGSKNS takes no argument, and every other kind of file answers ENOTTY.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call made this descriptor for us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

/// Switches a netlink option on (netlink(7), "Socket options").
pub(crate) fn set_netlink_option(socket: BorrowedFd<'_>, option: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value is an int that lives until the call returns, and its size is given.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Moves the calling thread, and no other, into a new network namespace.
pub(crate) fn unshare_network() -> io::Result<()> {
    // SAFETY: CLONE_NEWNET leaves the descriptor table shared, which is what unshare endangers.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// The socket for the runtime's reactor, which must be running.
pub(crate) fn tokio_socket(socket: OwnedFd) -> TokioSocket {
    // SAFETY: the descriptor is open, and its ownership goes over to the result.
    unsafe { TokioSocket::from_raw_fd(socket.into_raw_fd()) }
}
