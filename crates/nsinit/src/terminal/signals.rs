//! Parent: the signals of the launcher, read from a descriptor while a container runs.

use std::ffi::c_int;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::sys;

/// Signals that stay as they are: those that cannot be blocked, those that
/// report a fault of this very thread, SIGCHLD (init is waited for by pidfd),
/// SIGURG (ignored by default), and SIGTTIN and SIGTTOU, which have to stop a
/// launcher that uses the terminal from the background like any other program.
const LEFT_ALONE: [c_int; 13] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGSYS,
    libc::SIGCHLD,
    libc::SIGURG,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// Of those that are blocked, the ones that end no process by default.
const NOT_DEADLY: [c_int; 3] = [libc::SIGCONT, libc::SIGTSTP, libc::SIGWINCH];

/// Blocked so that they do not end the launcher, but not passed on: they tell
/// of what the launcher wrote, and the write says so too.
const SWALLOWED: [c_int; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

/// A signalfd(2) record is this long, and begins with the number of the signal.
const RECORD: usize = 128;

/// All but those that stay as they are.
fn blocked() -> impl Iterator<Item = c_int> {
    let all = (1..=31).chain(sys::real_time_signals());
    all.filter(|signal| !LEFT_ALONE.contains(signal))
}

/// The signals that are passed on to a container, blocked in this thread.
///
/// To be made before the clone, so that no signal is lost between that and the
/// loop; to be dropped after the cleaning up, because a signal that came in the
/// meantime takes effect then. A signal that the process ignores (nohup, `&`
/// of a shell without job control) goes on being ignored.
///
/// Only this thread's mask is changed: a program with more threads has to block
/// the signals in those as well.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: OwnedFd,
    blocked: sys::Mask,
    before: sys::Mask,
    /// The mask is the thread's, so the guard must not leave it.
    of_this_thread: PhantomData<*const ()>,
}

impl Signals {
    /// Blocks the signals and opens a descriptor for them.
    pub(crate) fn block() -> io::Result<Signals> {
        let mut mask = sys::Mask::empty();
        blocked().for_each(|signal| mask.insert(signal));
        let fd = sys::signalfd(&mask)?;
        let before = sys::block(&mask)?;
        Ok(Signals { fd, blocked: mask, before, of_this_thread: PhantomData })
    }

    /// Those that would end this command.
    pub(crate) fn deadly(&self) -> io::Result<Deadly> {
        let mut deadly = self.blocked;
        for signal in blocked() {
            if NOT_DEADLY.contains(&signal) || sys::is_ignored(signal) {
                deadly.remove(signal);
            }
        }
        sys::signalfd(&deadly).map(Deadly)
    }

    /// The next signal that has arrived, if there is one.
    pub(super) fn next(&self) -> io::Result<Option<Signal>> {
        loop {
            let mut record = [0; RECORD];
            match rustix::io::read(&self.fd, &mut record) {
                Ok(RECORD) => (),
                Ok(_) | Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            let [a, b, c, d, ..] = record;
            let number = c_int::from_ne_bytes([a, b, c, d]);
            // One that is ignored is kept for the descriptor, too, while it is blocked.
            if SWALLOWED.contains(&number) || sys::is_ignored(number) {
                continue;
            }
            if let Some(signal) = sys::signal(number) {
                return Ok(Some(signal));
            }
        }
    }
}

/// A descriptor for the signals that would end this command. None is taken from it.
#[derive(Debug)]
pub(crate) struct Deadly(OwnedFd);

impl Deadly {
    /// Waits until a descriptor can be read; `Interrupted` when a signal is there before,
    /// which takes effect when the [`Signals`] are dropped. (A mask that lets it in meanwhile,
    /// as of ppoll(2), would be too open: the kernel decides on a deadly signal when it is
    /// sent, not when the thread runs again.)
    pub(crate) fn wait_for(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let mut fds =
            [PollFd::from_borrowed_fd(fd, PollFlags::IN), PollFd::new(&self.0, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        match fds[0].revents().is_empty() {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        sys::consume(&SWALLOWED);
        // Fails for an invalid `how` only.
        let _ = sys::set_mask(&self.before);
    }
}

/// Lets a stop signal do what it does by default: stop this process until
/// SIGCONT, or nothing in an orphaned process group, where no shell would
/// continue it (POSIX, General Terminal Interface).
pub(super) fn stop_by(signal: Signal) -> io::Result<()> {
    let mut mask = sys::Mask::empty();
    mask.insert(signal.as_raw());
    sys::raise(signal.as_raw());
    let before = sys::unblock(&mask)?;
    sys::set_mask(&before)
}
