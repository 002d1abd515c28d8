//! Parent: a process held by its pidfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::OnceLock;

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid,
};

/// A process and its pidfd (pidfd_open(2)), which never names another one.
///
/// Dropping it neither ends nor reaps the process, as with
/// [`std::process::Child`].
#[derive(Debug)]
#[must_use = "a process that nobody waits for stays a zombie"]
pub struct Process {
    pidfd: OwnedFd,
    pid: Pid,
    status: OnceLock<ExitStatus>,
}

impl Process {
    /// The process behind `pidfd`; `pid` is its id in the caller's pid
    /// namespace, which is not checked.
    pub fn from_pidfd(pidfd: OwnedFd, pid: Pid) -> Self {
        Self { pidfd, pid, status: OnceLock::new() }
    }

    /// Its id in the pid namespace of the process that made it. After
    /// [`wait`](Self::wait) the number may be another process's.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its pidfd: readable for poll(2) when the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits until the process has ended, and reaps it (waitid(2), `P_PIDFD`).
    /// Further calls give the same status. Signals do not interrupt it.
    ///
    /// # Errors
    /// `ECHILD` when the process is not a child of the caller, or was reaped
    /// by another.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.reap(WaitIdOptions::EXITED)? {
                return Ok(status);
            }
        }
    }

    /// Like [`wait`](Self::wait) but does not block: `None` while it runs.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.reap(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Sends `signal` by the pidfd: it cannot hit another process.
    ///
    /// # Errors
    /// Errors of pidfd_send_signal(2): `ESRCH` when the process was reaped,
    /// `EPERM`.
    pub fn kill(&self, signal: Signal) -> Result<(), Errno> {
        pidfd_send_signal(&self.pidfd, signal)
    }

    fn reap(&self, options: WaitIdOptions) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.status.get() {
            return Ok(Some(*status));
        }
        let ended = retry_on_intr(|| waitid(WaitId::PidFd(self.pidfd.as_fd()), options));
        match ended {
            Ok(Some(ended)) => Ok(Some(*self.status.get_or_init(|| exit_status(&ended)))),
            Ok(None) => Ok(None),
            // Another thread may have reaped it in the meantime.
            Err(errno) => self.status.get().copied().map(Some).ok_or_else(|| errno.into()),
        }
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd()
    }
}

/// The status word of wait(2) that std's `ExitStatus` is made from.
fn exit_status(ended: &WaitIdStatus) -> ExitStatus {
    const CORE_DUMPED: i32 = 0x80;
    let word = match (ended.exit_status(), ended.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) if ended.dumped() => signal | CORE_DUMPED,
        (None, signal) => signal.unwrap_or(0),
    };
    ExitStatus::from_raw(word)
}
