//! Parent: the one loop that waits while a container runs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::session::Session;
use super::signals::stop_by;
use super::{Signals, Terminal};

/// Signals that end the delivery of output when init has ended already.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// What the loop waits for.
#[derive(Debug)]
pub(crate) struct RelayEnds<'a> {
    /// A pidfd of the container's init, or of the process that joined it.
    pub(crate) init: BorrowedFd<'a>,
    /// The terminal, if the container has one of its own.
    pub(crate) terminal: Option<Terminal<'a>>,
    /// The signals to pass on.
    pub(crate) signals: &'a Signals,
}

/// How the loop ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// Why output could not be delivered, if that is worth telling: not when
    /// its reader has gone (EPIPE, EIO).
    pub(crate) lost_output: Option<Errno>,
}

/// Waits until init has ended and all its output has been delivered.
///
/// A signal goes to `forward`, except the size of the terminal (SIGWINCH) and
/// stopping and continuing the launcher (SIGTSTP, SIGCONT) where the container
/// has a terminal of its own. Without one the launcher stops after forwarding
/// SIGTSTP, so that the shell gets its terminal back. When the user's output cannot be written to, the
/// container's terminal is hung up, so that its program gets SIGHUP and EIO
/// and its exit status is still waited for. The user's terminal is in raw mode
/// from here to the return.
///
/// # Errors
/// The descriptors of the launcher cannot be used: poll, signalfd, termios.
pub(crate) fn relay(ends: RelayEnds<'_>, mut forward: impl FnMut(Signal)) -> io::Result<End> {
    let RelayEnds { init, terminal, signals } = ends;
    let mut session = terminal.map(Session::begin).transpose()?;
    let mut end = End::default();
    let mut init_runs = true;
    loop {
        if !init_runs {
            match session.as_mut().map_or(Ok(true), Session::drain) {
                Ok(false) => (),
                Ok(true) => return Ok(end),
                Err(errno) => return Ok(End::without_output(errno)),
            }
        }
        let ready = wait(init_runs.then_some(init), signals, session.as_ref())?;
        while let Some(signal) = if ready.signals { signals.next()? } else { None } {
            if !init_runs && ENDING.contains(&signal) {
                return Ok(end);
            }
            pass_on(signal, session.as_ref(), &mut forward)?;
        }
        if let Some(Err(errno)) = session.as_mut().map(|session| session.carry(ready.session)) {
            // Closes the pty: the container's terminal is hung up.
            session = None;
            end = End::without_output(errno);
        }
        if ready.init {
            init_runs = false;
            session.iter_mut().for_each(Session::program_ended);
        }
    }
}

impl End {
    fn without_output(errno: Errno) -> End {
        End { lost_output: (!matches!(errno, Errno::PIPE | Errno::IO)).then_some(errno) }
    }
}

fn pass_on(
    signal: Signal,
    session: Option<&Session<'_>>,
    forward: &mut impl FnMut(Signal),
) -> io::Result<()> {
    match (signal, session) {
        (Signal::WINCH, Some(session)) => session.resize(),
        (Signal::CONT, Some(session)) => session.resume(),
        (Signal::TSTP, Some(session)) => session.suspend()?,
        (Signal::TSTP, None) => {
            forward(signal);
            stop_by(signal)?;
        }
        _ => forward(signal),
    }
    Ok(())
}

/// What can be acted on now.
struct Ready {
    init: bool,
    signals: bool,
    session: [PollFlags; 3],
}

fn wait(
    init: Option<BorrowedFd<'_>>,
    signals: &Signals,
    session: Option<&Session<'_>>,
) -> io::Result<Ready> {
    let nothing = [(signals.as_fd(), PollFlags::empty()); 3];
    let interest = session.map_or(nothing, Session::interest);
    let init =
        (init.unwrap_or(signals.as_fd()), init.map_or(PollFlags::empty(), |_| PollFlags::IN));
    let [user_in, user_out, master] = interest;
    let asked = [init, (signals.as_fd(), PollFlags::IN), user_in, user_out, master];
    let mut polled: Vec<PollFd<'_>> = asked
        .iter()
        .filter(|(_, flags)| !flags.is_empty())
        .map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
        .collect();
    loop {
        match poll(&mut polled, None) {
            Ok(_) => break,
            Err(Errno::INTR) => (),
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut answers = polled.iter().map(PollFd::revents);
    let [init, signals, user_in, user_out, master] = asked.map(|(_, flags)| {
        if flags.is_empty() {
            PollFlags::empty()
        } else {
            answers.next().unwrap_or(PollFlags::empty())
        }
    });
    Ok(Ready {
        init: !init.is_empty(),
        signals: !signals.is_empty(),
        session: [user_in, user_out, master],
    })
}
