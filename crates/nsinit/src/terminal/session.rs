//! Parent: the bytes between the user and one terminal in a container.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::termios::{LocalModes, SpecialCodeIndex};

use super::Terminal;
use super::raw::RawMode;
use super::ring::Ring;
use super::signals::stop_by;

/// Bytes written to the user at once: after POLLOUT a pipe takes as many
/// without blocking (pipe(7), PIPE_BUF).
const PIECE: usize = 4096;

/// More than a pty holds (64 KiB, and 4 KiB in its line discipline): after so
/// many bytes all that was written before init ended has been read.
const HELD_BY_PTY: usize = 128 << 10;

/// What VEOF is where the terminal has it switched off: ^D.
const DEFAULT_EOF: u8 = 4;

/// A terminal that is being relayed, with the user's own in raw mode.
#[derive(Debug)]
pub(super) struct Session<'a> {
    raw: Option<RawMode>,
    terminal: Terminal<'a>,
    to_program: Ring,
    to_user: Ring,
    user_in_open: bool,
    last_input: u8,
    /// After the end of init: how many bytes may still come; zero when none do.
    remaining: Option<usize>,
}

impl<'a> Session<'a> {
    pub(super) fn begin(terminal: Terminal<'a>) -> io::Result<Session<'a>> {
        Ok(Session {
            raw: RawMode::enter(terminal.user_in.as_fd())?,
            terminal,
            to_program: Ring::new(),
            to_user: Ring::new(),
            user_in_open: true,
            last_input: b'\n',
            remaining: None,
        })
    }

    /// What to wait for: the user's input, the user's output, the pty.
    /// Nothing is waited for that could not be acted on: poll(2) reports
    /// POLLHUP and POLLERR always, and the loop would spin.
    pub(super) fn interest(&self) -> [(BorrowedFd<'_>, PollFlags); 3] {
        let runs = self.remaining.is_none();
        let when = |condition, flag| if condition { flag } else { PollFlags::empty() };
        // Room for the two characters of `end_of_input`.
        let user_in = when(runs && self.user_in_open && self.to_program.room() > 2, PollFlags::IN);
        let user_out = when(!self.to_user.is_empty(), PollFlags::OUT);
        let master = when(runs && self.to_user.room() > 0, PollFlags::IN)
            | when(runs && !self.to_program.is_empty(), PollFlags::OUT);
        [
            (self.terminal.user_in.as_fd(), user_in),
            (self.terminal.user_out.as_fd(), user_out),
            (self.terminal.master.as_fd(), master),
        ]
    }

    /// Carries what can be carried now; an error says that output cannot be delivered.
    pub(super) fn carry(
        &mut self,
        [user_in, user_out, master]: [PollFlags; 3],
    ) -> Result<(), Errno> {
        if !user_in.is_empty() {
            self.read_user();
        }
        if master.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            self.read_program()?;
        }
        if !self.to_program.is_empty() {
            self.write_program();
        }
        if !user_out.is_empty() {
            self.write_user()?;
        }
        Ok(())
    }

    fn read_user(&mut self) {
        let room = self.to_program.room() - 2;
        let free = self.to_program.free();
        let room = room.min(free.len());
        match rustix::io::read(&self.terminal.user_in, &mut free[..room]) {
            Ok(0) => self.end_of_input(),
            Ok(count) => {
                self.last_input = free[count - 1];
                self.to_program.filled(count);
            }
            Err(Errno::AGAIN | Errno::INTR) => (),
            // EIO: hung up, or an orphaned process group in the background.
            Err(_) => self.user_in_open = false,
        }
    }

    /// A pty has no end of file; a program that reads lines is told by VEOF,
    /// of which the first one only delivers an unfinished line (termios(3)).
    /// A terminal ends when it is hung up, which SIGHUP tells.
    fn end_of_input(&mut self) {
        self.user_in_open = false;
        if rustix::termios::isatty(&self.terminal.user_in) {
            return;
        }
        let Ok(attributes) = rustix::termios::tcgetattr(&self.terminal.master) else { return };
        let eof = match attributes.special_codes[SpecialCodeIndex::VEOF] {
            0 => DEFAULT_EOF,
            eof => eof,
        };
        if attributes.local_modes.contains(LocalModes::ICANON)
            && !matches!(self.last_input, b'\n' | b'\r')
        {
            self.to_program.push(eof);
        }
        self.to_program.push(eof);
    }

    fn write_program(&mut self) {
        match rustix::io::write(&self.terminal.master, self.to_program.pending()) {
            Ok(count) => self.to_program.taken(count),
            Err(Errno::AGAIN | Errno::INTR) => (),
            // The slave has been hung up, and input is lost as on any terminal.
            Err(_) => self.to_program.clear(),
        }
    }

    /// Reads once; `Ok(0)` when there is nothing to read.
    fn read_program(&mut self) -> Result<usize, Errno> {
        match rustix::io::read(&self.terminal.master, self.to_user.free()) {
            Ok(count) => {
                self.to_user.filled(count);
                Ok(count)
            }
            Err(Errno::AGAIN) => Ok(0),
            Err(Errno::INTR) => self.read_program(),
            Err(Errno::IO) if self.remaining.is_some() => Ok(0),
            Err(Errno::IO) => self.terminal.open_slave().map(|()| 0),
            Err(errno) => Err(errno),
        }
    }

    fn write_user(&mut self) -> Result<(), Errno> {
        let pending = self.to_user.pending();
        match rustix::io::write(&self.terminal.user_out, &pending[..pending.len().min(PIECE)]) {
            Ok(count) => self.to_user.taken(count),
            Err(Errno::AGAIN | Errno::INTR) => (),
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// Init has ended: input has no reader any more, and output is what the pty holds.
    pub(super) fn program_ended(&mut self) {
        self.terminal.slave = None;
        self.to_program.clear();
        self.remaining = Some(HELD_BY_PTY);
    }

    /// After the end of init: takes from the pty what it holds and fits; true
    /// when all of it has been delivered.
    ///
    /// A read of the master first completes what is on its way through the
    /// pty, so "nothing there" is final as far as processes that have ended are
    /// concerned; others may keep the slave open and write for ever.
    pub(super) fn drain(&mut self) -> Result<bool, Errno> {
        while let Some(remaining @ 1..) = self.remaining {
            if self.to_user.room() == 0 {
                break;
            }
            let count = self.read_program()?;
            self.remaining = Some(if count == 0 { 0 } else { remaining.saturating_sub(count) });
        }
        Ok(self.remaining == Some(0) && self.to_user.is_empty())
    }

    /// Copies the window size to the container (SIGWINCH).
    pub(super) fn resize(&self) {
        self.terminal.copy_size();
    }

    /// Stops the launcher on SIGTSTP from outside, with the terminal as it was before.
    pub(super) fn suspend(&self) -> io::Result<()> {
        if let Some(raw) = &self.raw {
            raw.restore();
        }
        stop_by(Signal::TSTP)?;
        self.resume();
        Ok(())
    }

    /// Sets raw mode and the size anew: the shell had the terminal (SIGCONT).
    pub(super) fn resume(&self) {
        if let Some(raw) = &self.raw {
            // Fails when the terminal has been hung up, which reading from it will tell.
            let _ = raw.set();
        }
        self.resize();
    }
}
