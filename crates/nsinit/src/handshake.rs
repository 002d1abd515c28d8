//! Both ends: the conversation between the launcher and init.
//!
//! The 2014 runtime spoke over a one-way pipe; this is a `SOCK_SEQPACKET` pair
//! (docs/decisions/0001): two-way, with message borders, and able to carry a
//! descriptor.
//!
//! ```text
//!   launcher (launch.rs)                   init (init.rs)
//!   clone3 ─────────────────────────────▶
//!   write uid_map, gid_map
//!   Mapped ─────────────────────────────▶  become root     only with a user namespace
//!   make the network namespace             mounts, masks   or init does, with user namespaces
//!   Netlink + socket ───────────────────▶                  (then ◀── Netlink, with interfaces)
//!   connect interfaces
//!   Proceed ────────────────────────────▶                  only with interfaces
//!        ◀────────────────────── Mounted                   only where the launcher makes none
//!   write state and pid file               /sys, pivot_root, names, parameters
//!        ◀─────────────── Console + pty    only with a terminal
//!        ◀──────────────────────── Ready
//!   Start ──────────────────────────────▶  last steps
//!        ◀─────────────── Program + pidfd  only when init stays as PID 1
//!                                          execve
//!        ◀─────────────────────────── EOF  the program runs
//!        ◀──── Failed { step, errno } + /  at any time; then init waits to be looked at
//! ```
//!
//! Where the launcher has nothing to do between Ready and Start, it sends Start as soon as
//! it can, and init does not wait.
//!
//! What comes from init is not trusted: a message has a fixed size, at most one
//! descriptor, and a tag that is expected at that point, or the launch ends.

use std::io;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
    recvmsg, sendmsg, shutdown, socketpair,
};

/// What a message says. The numbers are the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Tag {
    /// Launcher: the id maps are written, and systemd has moved init where it belongs.
    Mapped = 1,
    /// A netlink socket born in the new network namespace, attached: from who has made that.
    Netlink,
    /// Launcher: the interfaces are connected.
    Proceed,
    /// Init: the pty master, attached.
    Console,
    /// Init: everything up to the last steps is done.
    Ready,
    /// Launcher: go on to the program.
    Start,
    /// Init: a step failed; its root directory is attached where it could be opened.
    Failed,
    /// Init: the pidfd of another process, which will be the program, attached.
    Program,
    /// Init: most is mounted, and the launcher may hold it up a little, which has had nothing
    /// to do so far.
    Mounted,
}

impl Tag {
    fn from_raw(raw: u32) -> Option<Tag> {
        use Tag::{Console, Failed, Mapped, Mounted, Netlink, Proceed, Program, Ready, Start};
        [Mapped, Netlink, Proceed, Console, Ready, Start, Failed, Program, Mounted]
            .into_iter()
            .find(|tag| *tag as u32 == raw)
    }
}

/// One message: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: Tag,
    /// Index of the step that failed.
    pub(crate) step: u32,
    /// The errno of the failure.
    pub(crate) errno: i32,
    /// What only that step knows, such as the index of a search path element.
    pub(crate) detail: u32,
}

const SIZE: usize = 16;

impl Message {
    fn of(tag: Tag) -> Message {
        Message { tag, step: 0, errno: 0, detail: 0 }
    }

    fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[0..4].copy_from_slice(&(self.tag as u32).to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.step.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.errno.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.detail.to_ne_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; SIZE]) -> Option<Message> {
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        Some(Message {
            tag: Tag::from_raw(u32::from_ne_bytes(word(0)))?,
            step: u32::from_ne_bytes(word(4)),
            errno: i32::from_ne_bytes(word(8)),
            detail: u32::from_ne_bytes(word(12)),
        })
    }
}

/// A failed step, as init reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) step: u32,
    pub(crate) errno: Errno,
    pub(crate) detail: u32,
}

/// A connected pair of ends, close-on-exec.
pub(crate) fn pair() -> io::Result<(ParentEnd, ChildEnd)> {
    let (parent, child) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((ParentEnd(parent), ChildEnd(child)))
}

fn send(socket: BorrowedFd<'_>, message: Message, fd: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let bytes = message.to_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds;
    if let Some(fd) = fd {
        fds = [fd];
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    rustix::io::retry_on_intr(|| {
        sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// The next message and its descriptor, close-on-exec; None at the end. `PROTO`: it is
/// malformed, and its descriptors are closed.
fn receive(socket: BorrowedFd<'_>) -> Result<Option<(Message, Option<OwnedFd>)>, Errno> {
    let mut bytes = [0; SIZE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let into = &mut [IoSliceMut::new(&mut bytes)];
        recvmsg(socket, into, &mut control, RecvFlags::CMSG_CLOEXEC)
    });
    let received = match received {
        // The other one has left messages unread.
        Err(Errno::CONNRESET) => return Ok(None),
        other => other?,
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let message = Message::from_bytes(bytes);
    // A failure is told even if there is no descriptor left to take it by.
    let torn = match message.map(|message| message.tag) {
        Some(Tag::Failed) => ReturnFlags::TRUNC,
        _ => ReturnFlags::TRUNC | ReturnFlags::CTRUNC,
    };
    // There is room for more than one: the space is aligned. What is not taken is closed.
    let fds = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let mut fds = fds.flatten();
    let (fd, another) = (fds.next(), fds.next());
    let whole = received.bytes == SIZE && another.is_none() && !received.flags.intersects(torn);
    Ok(Some((message.filter(|_| whole).ok_or(Errno::PROTO)?, fd)))
}

/// The launcher's end.
#[derive(Debug)]
pub(crate) struct ParentEnd(OwnedFd);

/// What the launcher read.
#[derive(Debug)]
pub(crate) enum Received {
    Message(Message, Option<OwnedFd>),
    /// Every copy of the other end is closed: execve succeeded, or init died.
    End,
}

impl ParentEnd {
    pub(crate) fn send(&self, tag: Tag, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        Ok(send(self.0.as_fd(), Message::of(tag), fd)?)
    }

    /// Waits until init says no more: every message before its last one would wake the
    /// launcher, and where both have one processor hold init up.
    pub(crate) fn wait_for_end(&self) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.0, PollFlags::RDHUP)];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        Ok(())
    }

    /// The next message.
    ///
    /// A datagram of the wrong size, with an unknown tag or with more than one
    /// descriptor is `InvalidData`; its descriptors are closed.
    pub(crate) fn receive(&self) -> io::Result<Received> {
        match receive(self.0.as_fd()) {
            Ok(None) => Ok(Received::End),
            Ok(Some((message, fd))) => Ok(Received::Message(message, fd)),
            Err(Errno::PROTO) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "malformed message from init"))
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for ParentEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Init's end. Its methods run in the child: no allocation.
#[derive(Debug)]
pub(crate) struct ChildEnd(OwnedFd);

impl ChildEnd {
    pub(crate) fn send(&self, tag: Tag, fd: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        send(self.0.as_fd(), Message::of(tag), fd)
    }

    /// Tells a failure, and waits until the launcher has looked at it: the mounts, the
    /// cgroup and whatever else may be the cause are gone with the process.
    pub(crate) fn fail(&self, failure: Failure, root: Option<BorrowedFd<'_>>) {
        let message = Message {
            tag: Tag::Failed,
            step: failure.step,
            errno: failure.errno.raw_os_error(),
            detail: failure.detail,
        };
        // The kernel may refuse the descriptor only (unix(7), ETOOMANYREFS). Nobody is left
        // to hear of a failure to report the failure.
        if send(self.0.as_fd(), message, root).is_err() {
            let _ = send(self.0.as_fd(), message, None);
        }
        // For who waits for the end only.
        let _ = shutdown(&self.0, Shutdown::Write);
        let mut bytes = [0; SIZE];
        while matches!(rustix::io::read(&self.0, &mut bytes), Ok(1..) | Err(Errno::INTR)) {}
    }

    /// The next message; the launcher's death is `EPIPE`.
    pub(crate) fn receive(&self) -> Result<(Tag, Option<OwnedFd>), Errno> {
        let (message, fd) = receive(self.0.as_fd())?.ok_or(Errno::PIPE)?;
        Ok((message.tag, fd))
    }

    /// `EPIPE` when the launcher has gone.
    pub(crate) fn check_launcher(&self) -> Result<(), Errno> {
        let mut fds = [PollFd::new(&self.0, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::io::retry_on_intr(|| poll(&mut fds, Some(&now)))?;
        if fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR) {
            return Err(Errno::PIPE);
        }
        Ok(())
    }
}

impl AsFd for ChildEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_wire() {
        let message = Message { tag: Tag::Failed, step: 7, errno: 13, detail: 2 };
        assert_eq!(Message::from_bytes(message.to_bytes()), Some(message));
    }

    #[test]
    fn a_descriptor_travels_with_its_message() {
        let (parent, child) = pair().unwrap();
        let (read, _write) = rustix::pipe::pipe().unwrap();
        child.send(Tag::Netlink, Some(read.as_fd())).unwrap();
        let Received::Message(message, Some(_)) = parent.receive().unwrap() else {
            panic!("no descriptor arrived");
        };
        assert_eq!(message.tag, Tag::Netlink);
    }

    #[test]
    fn closing_the_childs_end_is_the_end() {
        let (parent, child) = pair().unwrap();
        drop(child);
        assert!(matches!(parent.receive().unwrap(), Received::End));
    }

    #[test]
    fn malformed_messages_are_refused() {
        for bytes in [&[0u8; 4][..], &[0xff; 16], &[1; 64]] {
            let (parent, child) = pair().unwrap();
            rustix::io::write(&child, bytes).unwrap();
            assert_eq!(parent.receive().unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn whoever_failed_stays_until_the_launcher_lets_go() {
        let (parent, child) = pair().unwrap();
        let failure = Failure { step: 3, errno: Errno::PERM, detail: 0 };
        let root = std::fs::File::open("/").unwrap();
        let failing = std::thread::spawn(move || child.fail(failure, Some(root.as_fd())));
        parent.send(Tag::Start, None).unwrap();
        let Received::Message(message, Some(_)) = parent.receive().unwrap() else {
            panic!("the failure came without the root directory");
        };
        assert_eq!((message.tag, message.step), (Tag::Failed, 3));
        assert!(!failing.is_finished());
        drop(parent);
        failing.join().unwrap();
    }

    #[test]
    fn a_flood_of_descriptors_is_refused_and_closed() {
        let (parent, child) = pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let fds = [null.as_fd(), null.as_fd(), null.as_fd(), null.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let bytes = Message::of(Tag::Netlink).to_bytes();
        sendmsg(&child, &[IoSlice::new(&bytes)], &mut control, SendFlags::empty()).unwrap();
        assert_eq!(parent.receive().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_childs_wait_ends_when_the_launcher_dies() {
        let (parent, child) = pair().unwrap();
        assert_eq!(child.check_launcher(), Ok(()));
        drop(parent);
        assert_eq!(child.check_launcher(), Err(Errno::PIPE));
        assert_eq!(child.receive().unwrap_err(), Errno::PIPE);
    }
}
