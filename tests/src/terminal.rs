//! A person at a terminal: the test holds the other end of it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::caller;
use crate::running::PATIENCE;

/// nsinit at a terminal of its own. Dropping it kills it and waits.
pub struct Terminal {
    child: Child,
    command: String,
    /// The person's side.
    ours: File,
    /// The program's side, for its attributes.
    theirs: File,
    output: Receiver<Vec<u8>>,
    seen: String,
    at_start: String,
}

impl Terminal {
    pub(crate) fn new(mut command: Command) -> Terminal {
        let ours =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
        grantpt(&ours).expect("a pty");
        unlockpt(&ours).expect("a pty");
        let name = ptsname(&ours, Vec::new()).expect("a pty has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs =
            File::from(rustix::fs::open(name.as_c_str(), flags, Mode::empty()).expect("a pty"));
        resize(&ours, 24, 80);
        let end = || theirs.try_clone().expect("a descriptor");
        command.stdin(end()).stdout(end()).stderr(end());
        let shown = caller::shown(&command);
        let at_start = attributes(&theirs);
        let child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        drop(command);
        let ours = File::from(ours);
        let output = read(ours.try_clone().expect("a descriptor"));
        Terminal { child, command: shown, ours, theirs, output, seen: String::new(), at_start }
    }

    /// Types these bytes.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    pub fn types(&mut self, text: &str) -> &mut Terminal {
        self.ours.write_all(text.as_bytes()).expect("the terminal takes input");
        self
    }

    /// Waits until this text has appeared, and forgets what came before it.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Terminal {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return self;
            }
            let Some(bytes) = self.next(deadline) else {
                panic!("{}: {text:?} did not appear, but: {:?}", self.command, self.seen);
            };
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// What appears next; `None` after the end or the deadline. The program's
    /// side stays open here, so that the end is the launcher's.
    fn next(&mut self, deadline: Instant) -> Option<Vec<u8>> {
        while Instant::now() < deadline {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            match self.output.recv_timeout(Duration::from_millis(100)) {
                Ok(bytes) => return Some(bytes),
                Err(_) if ended => return None,
                Err(_) => {}
            }
        }
        None
    }

    /// Changes the size, as a window manager would.
    pub fn resize(&mut self, rows: u16, columns: u16) -> &mut Terminal {
        resize(&self.ours, rows, columns);
        self
    }

    /// The attributes, in words that can be compared.
    #[must_use]
    pub fn attributes(&self) -> String {
        attributes(&self.theirs)
    }

    /// The attributes before the run.
    #[must_use]
    pub fn attributes_at_start(&self) -> &str {
        &self.at_start
    }

    /// The launcher's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the launcher.
    pub fn signal(&mut self, signal: Signal) -> &mut Terminal {
        let pid =
            i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a pid is positive");
        kill_process(pid, signal).expect("the launcher lives");
        self
    }

    /// Waits for the end and compares the exit code; returns how long it took.
    ///
    /// # Panics
    ///
    /// When the code differs, or it takes too long.
    #[track_caller]
    pub fn ends(&mut self, code: i32) -> Duration {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let ended = self.child.try_wait().expect("the launcher is a child of this process");
            if let Some(status) = ended {
                assert!(
                    status.code() == Some(code),
                    "{}: {status}, expected {code}: {:?}",
                    self.command,
                    self.seen
                );
                return start.elapsed();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{}: did not end: {:?}", self.command, self.seen);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn attributes(terminal: &File) -> String {
    let Termios { input_modes, output_modes, control_modes, local_modes, .. } =
        tcgetattr(terminal).expect("a terminal");
    format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}")
}

fn resize(terminal: &impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a terminal has a size");
}

/// Reads on a thread of its own, so that the terminal never stands still.
fn read(mut terminal: File) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(bytes) = terminal.read(&mut buffer) {
            if bytes == 0 || sender.send(buffer[..bytes].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}
