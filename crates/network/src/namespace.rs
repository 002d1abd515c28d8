//! Parent: the network namespace that is to be given its interfaces.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;
use rustix::net::sockopt::{socket_domain, socket_protocol};
use rustix::net::{AddressFamily, RecvFlags, recv};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Error, open_socket, sys};

/// A network namespace other than the caller's, held open: neither a process
/// id nor a path is looked at again (network_namespaces(7)).
#[derive(Debug)]
pub struct NetworkNamespace {
    inside: Inside,
}

#[derive(Debug)]
enum Inside {
    /// All there is: its answers go to one reader at a time.
    Socket {
        socket: OwnedFd,
        busy: AtomicBool,
    },
    Descriptor(OwnedFd),
}

impl NetworkNamespace {
    /// The namespace that a `NETLINK_ROUTE` socket was opened in, as the
    /// container's child sends it ([`open_socket`]). Neither setns(2) nor
    /// privileges on the host are needed for what is done inside. Whoever else
    /// holds the socket must not use it any more.
    ///
    /// # Errors
    /// [`Error::NotANetworkNamespace`] for any other descriptor.
    pub fn from_socket(socket: OwnedFd) -> Result<Self, Error> {
        let domain = socket_domain(&socket);
        // NETLINK_ROUTE is protocol 0, which rustix tells as no protocol.
        if domain != Ok(AddressFamily::NETLINK) || socket_protocol(&socket) != Ok(None) {
            return Err(Error::NotANetworkNamespace { what: "socket".to_owned() });
        }
        Ok(Self { inside: Inside::Socket { socket, busy: AtomicBool::new(false) } })
    }

    /// The network namespace that a process is in. The process is held by a
    /// pidfd meanwhile, so that a reused number cannot name a stranger.
    ///
    /// # Errors
    /// [`Error::Namespace`] where there is no such process or it may not be
    /// looked at (ptrace(2), `PTRACE_MODE_READ_FSCREDS`).
    pub fn of_process(pid: i32) -> Result<Self, Error> {
        let path = format!("/proc/{pid}/ns/net");
        let failed = |source: io::Error| Error::Namespace { what: path.clone(), source };
        let gone = || io::Error::from_raw_os_error(libc::ESRCH);
        let pid = (pid > 0).then(|| Pid::from_raw(pid)).flatten().ok_or_else(|| failed(gone()))?;
        let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| failed(errno.into()))?;
        let namespace = Self::open(&path)?;
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut ended, Some(&now)) {
            Ok(0) => Ok(namespace),
            Ok(_) => Err(failed(gone())),
            Err(errno) => Err(failed(errno.into())),
        }
    }

    /// The network namespace bound to a file, as `ip netns add` makes one.
    ///
    /// # Errors
    /// [`Error::Namespace`] where the file cannot be opened,
    /// [`Error::NotANetworkNamespace`] where it is something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let what = || path.display().to_string();
        // Not blocking: a FIFO would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| Error::Namespace { what: what(), source: errno.into() })?;
        match sys::namespace_type(file.as_fd()) {
            Ok(libc::CLONE_NEWNET) => Ok(Self { inside: Inside::Descriptor(file) }),
            _ => Err(Error::NotANetworkNamespace { what: what() }),
        }
    }

    /// A new network namespace that belongs to no process: it lives as long as
    /// this value, or a descriptor or process in it. Needs `CAP_SYS_ADMIN` in
    /// the caller's user namespace (unshare(2)). The caller's thread stays
    /// where it is.
    ///
    /// # Errors
    /// [`Error::Namespace`] where the kernel refuses.
    pub fn new() -> Result<Self, Error> {
        let made = on_own_thread(|| {
            sys::unshare_network()?;
            sys::namespace_of_socket(open_socket()?.as_fd())
        });
        let made = made.map_err(|source| Error::Namespace {
            what: "new network namespace".to_owned(),
            source,
        })?;
        Ok(Self { inside: Inside::Descriptor(made) })
    }

    /// A descriptor of the namespace for setns(2), close on exec.
    ///
    /// # Errors
    /// [`Error::Namespace`]; for a namespace [`from_socket`](Self::from_socket)
    /// `EPERM` without `CAP_NET_ADMIN` over it.
    pub fn descriptor(&self) -> Result<OwnedFd, Error> {
        let descriptor = match &self.inside {
            Inside::Socket { socket, .. } => sys::namespace_of_socket(socket.as_fd()),
            Inside::Descriptor(file) => file.try_clone(),
        };
        descriptor.map_err(unusable)
    }

    /// A socket in the namespace, for one reader.
    pub(crate) fn session(&self) -> Result<Session<'_>, Error> {
        match &self.inside {
            Inside::Socket { socket, busy } => {
                if busy.swap(true, Ordering::Acquire) {
                    return Err(Error::Busy);
                }
                let turn = Turn(busy);
                drain(socket.as_fd());
                let socket = socket.try_clone().map_err(unusable)?;
                Ok(Session { socket, _turn: Some(turn) })
            }
            Inside::Descriptor(file) => {
                let socket = socket_in(file.as_fd()).map_err(unusable)?;
                Ok(Session { socket, _turn: None })
            }
        }
    }
}

/// A socket in the namespace, and the right to read from it.
pub(crate) struct Session<'a> {
    pub(crate) socket: OwnedFd,
    _turn: Option<Turn<'a>>,
}

struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Throws away answers that nobody waited for: the connection to come counts its
/// requests from the beginning again and would take them for its own. All are
/// there, for the kernel answers before sendmsg(2) returns.
fn drain(socket: BorrowedFd<'_>) {
    let mut byte = [0];
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    while retry_on_intr(|| recv(socket, &mut byte, flags)).is_ok() {}
}

fn socket_in(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    on_own_thread(|| {
        move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
        Ok(open_socket()?)
    })
}

/// A thread's namespace is its own: one that ends afterwards takes the change
/// with it, and the caller's is never in a wrong place.
fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("network namespace".to_owned())
            .spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the helper thread ended early")))
    })
}

fn unusable(source: io::Error) -> Error {
    Error::Namespace { what: "network namespace".to_owned(), source }
}
