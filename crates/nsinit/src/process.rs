//! Parent: which process it is, told apart from a stranger with the same pid.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A process that outlives the command that knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessId {
    /// Its pid in the launcher's PID namespace.
    pub pid: i32,
    /// Its start time in clock ticks since boot (proc_pid_stat(5)).
    pub start_time: u64,
    /// The kernel's `boot_id`.
    pub boot_id: String,
}

impl ProcessId {
    /// Of a process that cannot have been reaped: a child of the caller.
    ///
    /// # Errors
    ///
    /// When /proc does not tell.
    pub(crate) fn of_child(pid: Pid) -> Result<ProcessId> {
        let pid = pid.as_raw_nonzero().get();
        let start_time = match status(pid)? {
            Status::Runs { start_time } => start_time,
            // A child that has ended already is nobody to come back to.
            Status::Ended | Status::Hidden => 0,
        };
        let boot_id = boot_id()?;
        Ok(ProcessId { pid, start_time, boot_id })
    }

    /// Whether it is on its way out (`PF_EXITING` of proc_pid_stat(5)): an init waits
    /// there for every process of its namespace.
    pub(crate) fn is_exiting(&self) -> bool {
        const PF_EXITING: u32 = 4;
        let stat = read_line(&format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let flags =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(6));
        flags.and_then(|flags| flags.parse::<u32>().ok()).is_some_and(|f| f & PF_EXITING != 0)
    }

    /// Whether a living process with this pid, which started then, is that very one.
    pub(crate) fn is(&self, start_time: u64) -> bool {
        self.start_time == start_time && boot_id().is_ok_and(|id| id == self.boot_id)
    }

    /// A pidfd, if that very process lives.
    ///
    /// # Errors
    ///
    /// When that cannot be told: who takes a living one for dead ends it.
    pub fn open(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.pid > 0) else { return Ok(None) };
        if boot_id()? != self.boot_id {
            return Ok(None);
        }
        // The pidfd first: what is examined afterwards is then what it holds, or gone.
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            // Nobody, or a thread.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
            other => other.map_err(|errno| Error::io(whether_alive(self.pid))(errno.into()))?,
        };
        let lives = match status(self.pid)? {
            Status::Runs { start_time } => start_time == self.start_time,
            Status::Ended => false,
            // Of this user's processes only one that is closed to everybody is hidden: init.
            Status::Hidden => test_kill_process(pid).is_ok() && !has_ended(&pidfd),
        };
        Ok(lives.then_some(pidfd))
    }
}

fn whether_alive(pid: i32) -> String {
    format!("tell whether process {pid} lives")
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    matches!(rustix::event::poll(&mut fds, Some(&Timespec::default())), Ok(1))
}

/// The pid that a pidfd holds, in this PID namespace (pidfd_open(2), fdinfo).
pub(crate) fn pid_of(pidfd: &OwnedFd) -> Option<Pid> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    Pid::from_raw(pid.trim().parse().ok().filter(|pid| *pid > 0)?)
}

/// The kernel's identity of this boot.
fn boot_id() -> Result<String> {
    let line = read_line("/proc/sys/kernel/random/boot_id").map_err(Error::io("read boot_id"))?;
    Ok(line.trim().to_owned())
}

/// A file of /proc that is one line, in one read: its size says nothing.
fn read_line(path: &str) -> io::Result<String> {
    let mut line = [0; 4096];
    let length = File::open(path)?.read(&mut line)?;
    Ok(String::from_utf8_lossy(&line[..length]).into_owned())
}

/// What /proc says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Runs {
        /// In clock ticks since boot.
        start_time: u64,
    },
    /// Only its remains are there.
    Ended,
    /// It is not there, or /proc hides it (proc(5), `hidepid`).
    Hidden,
}

fn status(pid: i32) -> Result<Status> {
    match read_line(&format!("/proc/{pid}/stat")) {
        Ok(line) => {
            let wrong = || io::Error::other(format!("/proc/{pid}/stat is malformed"));
            parse_status(&line).ok_or_else(|| Error::io(whether_alive(pid))(wrong()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Status::Hidden),
        // It went while it was read.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(Status::Hidden),
        Err(error) => Err(Error::io(whether_alive(pid))(error)),
    }
}

fn parse_status(stat: &str) -> Option<Status> {
    // The name in parentheses can hold anything, parentheses and blanks included.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    Some(match fields.first()? {
        &"Z" | &"X" => Status::Ended,
        _ => Status::Runs { start_time: fields.get(19)?.parse().ok()? },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_hostile_name() {
        let stat = "42 (a) b) (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(parse_status(stat), Some(Status::Runs { start_time: 987654 }));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let stat = "42 (x) Z 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(parse_status(stat), Some(Status::Ended));
    }

    #[test]
    fn this_process_has_a_start_time() {
        let own = status(std::process::id() as i32).unwrap();
        assert!(matches!(own, Status::Runs { .. }), "{own:?}");
    }
}
