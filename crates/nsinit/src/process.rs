//! Parent: which process it is, told apart from a stranger with the same pid.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
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
        // A child that has ended already is nobody to come back to.
        let start_time = start_time(pid).unwrap_or(0);
        let boot_id = boot_id().map_err(Error::io("read boot_id"))?;
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
    #[must_use]
    pub fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.pid).filter(|_| self.pid > 0)?;
        // The pidfd first: what is examined afterwards is then what it holds, or gone.
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        start_time(self.pid).filter(|time| self.is(*time)).map(|_| pidfd)
    }
}

/// The pid that a pidfd holds, in this PID namespace (pidfd_open(2), fdinfo).
pub(crate) fn pid_of(pidfd: &OwnedFd) -> Option<Pid> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    Pid::from_raw(pid.trim().parse().ok().filter(|pid| *pid > 0)?)
}

/// The kernel's identity of this boot.
fn boot_id() -> io::Result<String> {
    Ok(read_line("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// A file of /proc that is one line, in one read: its size says nothing.
fn read_line(path: &str) -> io::Result<String> {
    let mut line = [0; 4096];
    let length = File::open(path)?.read(&mut line)?;
    Ok(String::from_utf8_lossy(&line[..length]).into_owned())
}

/// When a process started, in clock ticks since boot; None when there is none, or
/// only its remains.
fn start_time(pid: i32) -> Option<u64> {
    parse_start_time(&read_line(&format!("/proc/{pid}/stat")).ok()?)
}

fn parse_start_time(stat: &str) -> Option<u64> {
    // The name in parentheses can hold anything, parentheses and blanks included.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    match fields.first()? {
        &"Z" | &"X" => None,
        _ => fields.get(19)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_hostile_name() {
        let stat = "42 (a) b) (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(parse_start_time(stat), Some(987654));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let stat = "42 (x) Z 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(parse_start_time(stat), None);
    }

    #[test]
    fn this_process_has_a_start_time() {
        assert!(start_time(std::process::id() as i32).is_some());
    }
}
