//! A run that has not ended.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Outcome, caller};

/// What a run may take at most. Far above what one takes: it tells a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// `nsinit` in the background. Dropping it kills it and waits.
#[derive(Debug)]
pub struct Running {
    child: Child,
    command: String,
    lines: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// None after the end.
    stderr: Option<Receiver<Vec<u8>>>,
    pid_file: PathBuf,
}

impl Running {
    pub(crate) fn new(mut command: Command, pid_file: PathBuf) -> Running {
        let shown = caller::shown(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        let mut errors = child.stderr.take().expect("stderr is a pipe");
        let (sender, stderr) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            drop(errors.read_to_end(&mut bytes));
            drop(sender.send(bytes));
        });
        Running { child, command: shown, lines, seen: Vec::new(), stderr: Some(stderr), pid_file }
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
        loop {
            let Ok(next) =
                self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            else {
                let command = self.command.clone();
                let (out, err) = (self.seen.clone(), self.end());
                panic!("{command} never printed {line:?}: {}{err}", String::from_utf8_lossy(&out));
            };
            self.seen.extend_from_slice(&next);
            if next.strip_suffix(b"\n") == Some(line.as_bytes()) {
                return self;
            }
        }
    }

    /// Kills the launcher and returns its standard error.
    fn end(&mut self) -> String {
        drop(self.child.kill());
        drop(self.child.wait());
        // Somebody who outlives the launcher may hold it open.
        let stderr = self.stderr.take().and_then(|text| text.recv_timeout(PATIENCE / 6).ok());
        String::from_utf8_lossy(&stderr.unwrap_or_default()).into_owned()
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
        while Instant::now() < deadline {
            if self.child.try_wait().expect("a child of this process").is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
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
        let mut stdout = std::mem::take(&mut self.seen);
        let left = || deadline.saturating_duration_since(Instant::now()).max(PATIENCE / 300);
        while let Ok(line) = self.lines.recv_timeout(left()) {
            stdout.extend(line);
        }
        let stderr = self.stderr.take().and_then(|text| text.recv_timeout(left()).ok());
        let Some(stderr) = stderr else {
            panic!("{}: {status}, but somebody outlives the launcher", self.command);
        };
        Outcome { command: self.command.clone(), status, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stderr.is_some() {
            self.end();
        }
    }
}

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid is positive");
    kill_process(pid, signal)
        .unwrap_or_else(|errno| panic!("signal {signal:?} to {pid:?}: {errno}"));
}
