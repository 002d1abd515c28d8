//! Parent: the one loop that waits while a container runs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::session::Session;
use super::signals::stop_by;
use super::{Signals, Terminal};

/// Signals by which somebody wants all of it to end.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// How long a reader may take none of the rest of the output after such a signal.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

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

/// Waits until init has ended and all its output has been delivered, or, after
/// a signal that wants the end, has found no reader for half a second.
///
/// A signal goes to `forward`, except the size of the terminal (SIGWINCH) and
/// stopping and continuing the launcher (SIGTSTP, SIGCONT) where the container
/// has a terminal of its own. Without one the launcher stops after forwarding
/// SIGTSTP, so that the shell gets its terminal back.
///
/// When the user's output cannot be written to, the container's terminal is
/// hung up, so that its program gets SIGHUP and EIO and its exit status is
/// still waited for. The user's terminal is in raw mode from here to the return.
///
/// # Errors
/// The descriptors of the launcher cannot be used: poll, signalfd, termios.
pub(crate) fn relay(ends: RelayEnds<'_>, mut forward: impl FnMut(Signal)) -> io::Result<End> {
    let RelayEnds { init, terminal, signals } = ends;
    let mut session = terminal.map(Session::begin).transpose()?;
    let mut end = End::default();
    let (mut init_runs, mut in_a_hurry) = (true, false);
    loop {
        let patience = (!init_runs && in_a_hurry).then_some(&PATIENCE);
        let waited_for = init_runs.then_some(init);
        let Some(ready) = wait(waited_for, signals, session.as_ref(), patience)? else {
            return Ok(end);
        };
        if let Some(Err(errno)) = session.as_mut().map(|session| session.carry(ready.session)) {
            // Closes the pty: the container's terminal is hung up.
            session = None;
            end = End::without_output(errno);
        }
        while let Some(signal) = if ready.signals { signals.next()? } else { None } {
            in_a_hurry |= ENDING.contains(&signal);
            pass_on(signal, session.as_ref(), &mut forward)?;
        }
        if ready.init {
            init_runs = false;
            session.iter_mut().for_each(Session::program_ended);
        }
        if !init_runs {
            match session.as_mut().map_or(Ok(true), Session::drain) {
                Ok(false) => (),
                Ok(true) => return Ok(end),
                Err(errno) => return Ok(End::without_output(errno)),
            }
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

/// Waits for any of it; `None` when `patience` has run out.
fn wait(
    init: Option<BorrowedFd<'_>>,
    signals: &Signals,
    session: Option<&Session<'_>>,
    patience: Option<&Timespec>,
) -> io::Result<Option<Ready>> {
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
        match poll(&mut polled, patience) {
            Ok(0) => return Ok(None),
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
    Ok(Some(Ready {
        init: !init.is_empty(),
        signals: !signals.is_empty(),
        session: [user_in, user_out, master],
    }))
}
