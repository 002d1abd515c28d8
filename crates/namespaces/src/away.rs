//! Parent: a thread that does something in a namespace of its own, and comes back.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::sys::BlockedSignals;
use crate::{Kinds, unshare};

const OWN: &CStr = c"/proc/thread-self/ns/net";

/// Does `work` in a new network namespace, which the calling thread makes and leaves again.
/// Whatever is opened in it, such as a netlink socket, keeps it.
///
/// The thread's signals are blocked meanwhile: their handlers would be in it, too. Other
/// threads stay where they are; one that `work` starts stays in the new namespace, with its
/// signals blocked. A thread that cannot come back aborts the process: what it
/// did next for its caller would be done in the wrong network.
///
/// # Errors
/// Errors of unshare(2) and setns(2): `EPERM` without `CAP_SYS_ADMIN`, also over the network
/// namespace to return to, which a user namespace does not give; `ENOSPC` when there are too
/// many. Errors of open(2), for the namespace file of the thread in /proc. Then nothing was done.
///
/// ```
/// # if !rustix::process::geteuid().is_root() { return Ok(()); }
/// use std::fs::read_link;
/// let own = || read_link("/proc/thread-self/ns/net").unwrap();
/// let before = own();
/// assert_ne!(nsinit_namespaces::in_new_network(own)?, before);
/// assert_eq!(own(), before);
/// # Ok::<(), rustix::io::Errno>(())
/// ```
pub fn in_new_network<T>(work: impl FnOnce() -> T) -> Result<T, Errno> {
    let home = openat(CWD, OWN, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let _signals = BlockedSignals::all_but_the_c_librarys();
    // Whether it may return is known before it leaves.
    enter(&home)?;
    unshare(Kinds::NET)?;
    let _home = Home(home);
    Ok(work())
}

/// Where the thread returns to when this goes, by whatever way.
struct Home(OwnedFd);

impl Drop for Home {
    fn drop(&mut self) {
        if enter(&self.0).is_err() {
            std::process::abort();
        }
    }
}

fn enter(network: &OwnedFd) -> Result<(), Errno> {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
}
