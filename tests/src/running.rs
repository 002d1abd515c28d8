//! A run that has not ended.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::{Outcome, caller};

/// What a run may take at most. Far above what one takes: it tells a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// `nsinit` in the background. Dropping it kills it and waits.
///
/// It has no threads and no intervals: on an emulated machine these would cost more
/// than what is tested. So the program's output is taken while somebody waits only.
#[derive(Debug)]
pub struct Running {
    child: Child,
    process: OwnedFd,
    command: String,
    stdout: Heard,
    stderr: Heard,
    /// So much of standard output [`Running::until`] has looked at.
    looked_at: usize,
    ended: bool,
    pid_file: PathBuf,
}

/// A pipe, which is gone after its end, and what came through it.
#[derive(Debug)]
struct Heard {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Heard {
    fn new(pipe: Option<impl Into<OwnedFd>>) -> Heard {
        let pipe = pipe.expect("the output is a pipe").into();
        fcntl_setfl(&pipe, OFlags::NONBLOCK).expect("a pipe");
        Heard { pipe: Some(pipe), bytes: Vec::new() }
    }

    /// Takes what is there.
    fn take(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(pipe) = &self.pipe {
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => panic!("the program's output: {errno}"),
            }
        }
    }
}

impl Running {
    pub(crate) fn new(mut command: Command, pid_file: PathBuf) -> Running {
        let shown = caller::shown(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        Running {
            process: process.expect("a child of this process"),
            command: shown,
            stdout: Heard::new(child.stdout.take()),
            stderr: Heard::new(child.stderr.take()),
            child,
            looked_at: 0,
            ended: false,
            pid_file,
        }
    }

    /// Waits until something is heard, with `end` also until the launcher has ended;
    /// false after the deadline.
    fn hear(&mut self, end: bool, deadline: Instant) -> bool {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
        let sources = [&self.stdout.pipe, &self.stderr.pipe].map(Option::as_ref);
        let sources = sources.into_iter().flatten().chain(end.then_some(&self.process));
        let mut polled: Vec<_> = sources.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let left = Timespec::try_from(left).expect("some seconds");
        match poll(&mut polled, Some(&left)) {
            Ok(0) => return false,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => panic!("{}: {errno}", self.command),
        }
        self.stdout.take();
        self.stderr.take();
        true
    }

    /// Waits until the program has printed this line.
    ///
    /// # Panics
    ///
    /// When it ends or takes too long before that.
    #[track_caller]
    #[must_use]
    pub fn until(mut self, line: &str) -> Running {
        let deadline = Instant::now() + PATIENCE;
        while !self.has_printed(line) {
            if self.stdout.pipe.is_none() || !self.hear(false, deadline) {
                let err = self.end();
                let out = String::from_utf8_lossy(&self.stdout.bytes);
                panic!("{} never printed {line:?}: {out}{err}", self.command);
            }
        }
        self
    }

    /// Whether this line is among those not looked at, as far as it.
    fn has_printed(&mut self, line: &str) -> bool {
        let new = self.stdout.bytes[self.looked_at..].split_inclusive(|byte| *byte == b'\n');
        for text in new.filter(|text| text.ends_with(b"\n")) {
            self.looked_at += text.len();
            if text.strip_suffix(b"\n") == Some(line.as_bytes()) {
                return true;
            }
        }
        false
    }

    /// Kills the launcher and returns its standard error.
    fn end(&mut self) -> String {
        self.ended = true;
        drop(self.child.kill());
        drop(self.child.wait());
        // Somebody who outlives the launcher may hold it open.
        let deadline = Instant::now() + PATIENCE / 6;
        while self.stderr.pipe.is_some() && self.hear(false, deadline) {}
        String::from_utf8_lossy(&self.stderr.bytes).into_owned()
    }

    /// The launcher's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pid of the container's init, from the `pid` file.
    ///
    /// # Panics
    ///
    /// When there is no such file.
    #[track_caller]
    #[must_use]
    pub fn init(&self) -> u32 {
        let text =
            fs::read_to_string(&self.pid_file).expect("a pid file while the container lives");
        text.trim().parse().expect("a pid file holds a pid")
    }

    /// Sends a signal to the launcher.
    pub fn signal(&self, signal: Signal) -> &Running {
        send(self.pid(), signal);
        self
    }

    /// Sends a signal to the container's init.
    pub fn signal_init(&self, signal: Signal) -> &Running {
        send(self.init(), signal);
        self
    }

    /// Writes to the program's standard input.
    ///
    /// # Panics
    ///
    /// When it is closed.
    #[track_caller]
    pub fn input(&mut self, text: &str) -> &mut Running {
        let stdin = self.child.stdin.as_mut().expect("standard input is open");
        stdin.write_all(text.as_bytes()).expect("the program reads");
        self
    }

    /// Closes the program's standard input.
    pub fn close_input(&mut self) -> &mut Running {
        drop(self.child.stdin.take());
        self
    }

    /// The launcher's children in this moment.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let pid = self.pid();
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        text.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Whether the launcher ends within that time, whoever else lives on.
    ///
    /// # Panics
    ///
    /// When the launcher is not a child of this process.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            if self.child.try_wait().expect("a child of this process").is_some() {
                return true;
            }
            if !self.hear(true, deadline) {
                return false;
            }
        }
    }

    /// Closes the program's standard input and waits for the end of the run.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    #[track_caller]
    pub fn finish(self) -> Outcome {
        self.finish_within(PATIENCE)
    }

    /// [`Running::finish`], where more than that is too long. The end of a run is the
    /// end of everybody who holds its output.
    ///
    /// # Panics
    ///
    /// When it takes longer.
    #[track_caller]
    pub fn finish_within(mut self, patience: Duration) -> Outcome {
        self.close_input();
        let deadline = Instant::now() + patience;
        if !self.ends_within(patience) {
            let command = self.command.clone();
            panic!("{command}: did not end: {}", self.end());
        }
        let status = self.child.wait().expect("a child of this process");
        let deadline = deadline.max(Instant::now() + PATIENCE / 300);
        let is_open = |run: &Running| run.stdout.pipe.is_some() || run.stderr.pipe.is_some();
        while is_open(&self) && self.hear(false, deadline) {}
        self.ended = true;
        assert!(!is_open(&self), "{}: {status}, but somebody outlives the launcher", self.command);
        let [stdout, stderr] =
            [&mut self.stdout, &mut self.stderr].map(|heard| std::mem::take(&mut heard.bytes));
        Outcome { command: self.command.clone(), status, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
        }
    }
}

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid is positive");
    kill_process(pid, signal)
        .unwrap_or_else(|errno| panic!("signal {signal:?} to {pid:?}: {errno}"));
}
