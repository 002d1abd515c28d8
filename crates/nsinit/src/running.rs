//! Parent: a container whose program runs, until it ends.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Output};

use nsinit_namespaces::Process;
use rustix::process::{Pid, Signal};

use crate::error::{Error, Result};
use crate::outside::Outside;
use crate::stdio::read_both;
use crate::trace::Ring;

/// A container whose program runs.
///
/// Dropping it kills the container and removes everything that it had outside.
#[derive(Debug)]
pub struct Running {
    pub(crate) init: Process,
    pub(crate) program: Option<Pid>,
    pub(crate) outside: Outside,
    pub(crate) ended: Option<ExitStatus>,
    pub(crate) out_of_memory: Option<u64>,
    pub(crate) ring: Option<Ring>,
    /// The writing end of standard input, with [`Stdio::piped`](crate::Stdio::piped).
    pub stdin: Option<File>,
    /// The reading end of standard output, with [`Stdio::piped`](crate::Stdio::piped).
    pub stdout: Option<File>,
    /// The reading end of standard error, with [`Stdio::piped`](crate::Stdio::piped).
    pub stderr: Option<File>,
    /// The pty's master, if the container has a terminal.
    pub terminal: Option<OwnedFd>,
}

impl Running {
    pub(crate) fn joined(init: Process, terminal: Option<OwnedFd>) -> Running {
        Running {
            init,
            program: None,
            outside: Outside::default(),
            ended: None,
            out_of_memory: None,
            ring: None,
            stdin: None,
            stdout: None,
            stderr: None,
            terminal,
        }
    }

    /// Init's process id, as the caller sees it.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.init.pid()
    }

    /// The program's process id, as the caller sees it, if it is not init's.
    #[must_use]
    pub fn program(&self) -> Option<Pid> {
        self.program
    }

    /// When each step was done, if that was asked for.
    #[must_use]
    pub fn trace(&self) -> Option<&Ring> {
        self.ring.as_ref()
    }

    /// The container's limit of memory in bytes, if the program was killed and the OOM killer
    /// was at work in the container's cgroup. Known after [`Running::wait`].
    #[must_use]
    pub fn out_of_memory(&self) -> Option<u64> {
        self.out_of_memory
    }

    /// Leaves what the container had outside to somebody else, who removes it.
    pub(crate) fn disown(&mut self) {
        self.outside.cgroup = None;
    }

    /// Sends a signal to the program, or to init if it stays as PID 1.
    ///
    /// # Errors
    ///
    /// `ESRCH` when it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(self.init.kill(signal)?)
    }

    /// Waits for the program's end, then removes what the container had outside.
    ///
    /// Closes standard input first, so that a program that reads it can end.
    ///
    /// # Errors
    ///
    /// When what the container had outside cannot be removed; `ECHILD` when somebody else in
    /// this process has waited for every child (waitpid(2) of -1), and has its status.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let status = self.init.wait().map_err(Error::io("wait for the program"))?;
        self.ended = Some(status);
        // What a shell and our own init make of SIGKILL.
        if status.signal() == Some(9) || status.code() == Some(137) {
            self.out_of_memory = self.outside.out_of_memory();
        }
        self.outside.remove()?;
        Ok(status)
    }

    /// Collects standard output and error until the program ends.
    ///
    /// # Errors
    ///
    /// As [`Running::wait`], and when a pipe cannot be read.
    pub fn wait_with_output(mut self) -> Result<Output> {
        drop(self.stdin.take());
        let mut output = Output { status: ExitStatus::default(), stdout: vec![], stderr: vec![] };
        let pipes = (self.stdout.take(), self.stderr.take());
        read_both(pipes, &mut output).map_err(Error::io("read the program's output"))?;
        output.status = self.wait()?;
        Ok(output)
    }
}

impl AsFd for Running {
    /// A pidfd: readable when init has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.init.pidfd()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // Both fail only when init is gone already.
            let _ = self.init.kill(Signal::KILL);
            let _ = self.init.wait();
        }
    }
}
