//! Parent: the user's side of the terminal, and waiting for the container's init.
//!
//! ```text
//!   user's stdin  ──▶ ring ──▶ pty master ┊ pty slave ──▶ program
//!   user's stdout ◀── ring ◀── pty master ┊ pty slave ◀── program
//! ```
//!
//! One thread and one poll loop carry both directions, the signals and the
//! end of init. The order of use:
//!
//! ```text
//! let signals = Signals::block()?;                            before the clone
//! let terminal = Terminal::connect(stdin, stdout, master)?;   before the program starts
//! relay(RelayEnds { init, terminal: Some(terminal), signals: &signals }, |signal| …)?;
//! drop(signals);                                              after the cleaning up
//! ```

mod raw;
mod relay;
mod ring;
mod session;
mod signals;
#[expect(unsafe_code, reason = "signal masks and signalfd, which rustix does not have")]
mod sys;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{InputModes, OptionalActions, SpecialCodeIndex};

pub(crate) use relay::{RelayEnds, relay};
pub(crate) use signals::Signals;

/// Characters with a meaning that the container's terminal takes over from the
/// user's, so that erasing, interrupting and ending work with the usual keys.
const SPECIAL_CODES: [SpecialCodeIndex; 12] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VERASE,
    SpecialCodeIndex::VKILL,
    SpecialCodeIndex::VEOF,
    SpecialCodeIndex::VEOL,
    SpecialCodeIndex::VEOL2,
    SpecialCodeIndex::VSTART,
    SpecialCodeIndex::VSTOP,
    SpecialCodeIndex::VSUSP,
    SpecialCodeIndex::VWERASE,
    SpecialCodeIndex::VLNEXT,
];

/// The user's two descriptors, and both ends of the container's pty.
#[derive(Debug)]
pub(crate) struct Terminal<'a> {
    user_in: UserEnd<'a>,
    user_out: UserEnd<'a>,
    master: OwnedFd,
    /// Kept open until init has ended: a program that closes its terminal and
    /// opens it again later must not look like the end of output.
    slave: Option<OwnedFd>,
}

impl<'a> Terminal<'a> {
    /// Gives the container's pty the size and the special characters of the
    /// user's terminal, if there is one, and makes `master` ready for [`relay`].
    ///
    /// To be called before the program starts, which may ask for the size first.
    pub(crate) fn connect(
        user_in: BorrowedFd<'a>,
        user_out: BorrowedFd<'a>,
        master: OwnedFd,
    ) -> io::Result<Terminal<'a>> {
        // This description is ours alone: the child has closed its copy by execve.
        rustix::io::ioctl_fionbio(&master, true)?;
        let (user_in, user_out) = (UserEnd::of(user_in), UserEnd::of(user_out));
        let mut terminal = Terminal { user_in, user_out, master, slave: None };
        terminal.open_slave()?;
        terminal.copy_special_codes()?;
        terminal.copy_size();
        Ok(terminal)
    }

    /// Opens the slave, for the first time or after vhangup(2), with which
    /// getty takes the terminal away from everyone who has it open.
    fn open_slave(&mut self) -> Result<(), Errno> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        self.slave = Some(rustix::pty::ioctl_tiocgptpeer(&self.master, flags)?);
        Ok(())
    }

    /// The descriptor of the user that is a terminal, standard input first.
    fn users_terminal(&self) -> Option<BorrowedFd<'_>> {
        [self.user_in.as_fd(), self.user_out.as_fd()]
            .into_iter()
            .find(|fd| rustix::termios::isatty(fd))
    }

    /// Copies the window size; a terminal that cannot tell it leaves the pty as it is.
    fn copy_size(&self) {
        let size = self.users_terminal().and_then(|fd| rustix::termios::tcgetwinsize(fd).ok());
        if let Some(size) = size {
            // Fails only when the slave has been hung up, and then nobody looks at the size.
            let _ = rustix::termios::tcsetwinsize(&self.master, size);
        }
    }

    /// Copies the special characters and whether input is UTF-8, but no mode:
    /// the user's terminal may be raw already, and a shell wants a cooked one.
    fn copy_special_codes(&self) -> io::Result<()> {
        let Some(users) = self.users_terminal().and_then(|fd| rustix::termios::tcgetattr(fd).ok())
        else {
            return Ok(());
        };
        let mut attributes = rustix::termios::tcgetattr(&self.master)?;
        for code in SPECIAL_CODES {
            attributes.special_codes[code] = users.special_codes[code];
        }
        attributes
            .input_modes
            .set(InputModes::IUTF8, users.input_modes.contains(InputModes::IUTF8));
        Ok(rustix::termios::tcsetattr(&self.master, OptionalActions::Now, &attributes)?)
    }
}

/// A descriptor of the user, and for a terminal a description of our own on it.
///
/// O_NONBLOCK belongs to the open file description, which is shared with the
/// shell and whatever else has the terminal (open(2)); so it is only set on a
/// description that was opened here. A terminal that may not be opened again
/// (it belongs to another user after su), a pipe and a file are used as they
/// are, after poll(2) has said that they are ready.
#[derive(Debug)]
struct UserEnd<'a> {
    shared: BorrowedFd<'a>,
    own: Option<OwnedFd>,
}

impl<'a> UserEnd<'a> {
    fn of(shared: BorrowedFd<'a>) -> UserEnd<'a> {
        let own = rustix::termios::isatty(shared).then(|| reopen(shared)).flatten();
        UserEnd { shared, own }
    }
}

impl AsFd for UserEnd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.own.as_ref().map_or(self.shared, AsFd::as_fd)
    }
}

fn reopen(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    let access = rustix::fs::fcntl_getfl(fd).ok()? & OFlags::RWMODE;
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(format!("/proc/self/fd/{}", fd.as_raw_fd()), flags, Mode::empty()).ok()
}
