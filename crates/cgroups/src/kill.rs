//! Parent: ending every process of a cgroup, whatever it does and whatever state it is in.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::cgroup::{Cgroup, processes};
use crate::dir::Dir;
use crate::error::Error;

/// How long all processes together get to die.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Kills every process of the cgroup and below it; returns when none is left.
    ///
    /// On v2 by `cgroup.kill` (Linux 5.14), which no fork can outrun; elsewhere
    /// all are stopped, sent SIGKILL and let go, until nobody is left. A frozen
    /// cgroup is thawed for it. Only processes that are in the cgroup while the
    /// signal is sent get it: each is held by a pidfd and looked up again before.
    ///
    /// # Errors
    /// [`Error::Timeout`] after ten seconds, with what is left and its state
    /// (`D` is waiting in the kernel); it may be called again.
    /// [`Error::State`] when the caller itself is in the cgroup.
    pub fn kill(&self) -> Result<(), Error> {
        self.refuse_own("killing it")?;
        let deadline = Instant::now() + PATIENCE;
        let killed = self.kill_until(deadline);
        if killed.is_err() {
            self.thaw_quietly();
        }
        killed
    }

    fn kill_until(&self, deadline: Instant) -> Result<(), Error> {
        let mut pause = crate::freeze::Pause::new();
        loop {
            let at_once = self.kill_unified()?;
            // Stopped in v1 they could not die.
            self.thaw_quietly();
            if self.is_empty()? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.survivors());
            }
            // What is only in a v1 hierarchy does not hear of `cgroup.kill`.
            if !at_once || !self.unified_has_all()? {
                self.freeze_quietly(Duration::from_millis(200));
                let signalled = self.signal_all();
                self.thaw_quietly();
                signalled?;
            }
            pause.sleep();
        }
    }

    /// Writes `cgroup.kill`; `false` where there is none.
    fn kill_unified(&self) -> Result<bool, Error> {
        let Some(member) = self.unified() else { return Ok(false) };
        match member.leaf().write_raw("cgroup.kill", "1") {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NODEV) => Ok(false),
            // A threaded cgroup; its processes are killed one by one, if they can be read.
            Err(Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => {
                Err(Error::io("write 1", member.leaf().path().join("cgroup.kill"), errno))
            }
        }
    }

    fn unified_has_all(&self) -> Result<bool, Error> {
        match self.unified() {
            Some(member) => Ok(self.is_subset(&processes(member.leaf())?)?),
            None => Ok(false),
        }
    }

    fn is_subset(&self, of: &BTreeSet<u32>) -> Result<bool, Error> {
        Ok(self.processes()?.iter().all(|pid| of.contains(pid)))
    }

    fn signal_all(&self) -> Result<(), Error> {
        self.members().iter().try_for_each(|member| signal_all(member.leaf()))
    }

    fn survivors(&self) -> Error {
        let path = self.paths().into_iter().next().unwrap_or_default();
        let awaited = "its processes to die";
        match self.processes() {
            Ok(left) if left.is_empty() => Error::Timeout {
                path,
                awaited,
                found: "those that are left are outside of this pid namespace".to_owned(),
            },
            Ok(left) => {
                let mut found = describe(&left);
                // Our own freezing was undone: the cause is above.
                if let Some((_, state)) = self.frozen() {
                    found.push_str(&format!(", {state} by a cgroup above"));
                }
                Error::Timeout { path, awaited, found }
            }
            Err(error) => error,
        }
    }
}

/// Sends SIGKILL to the processes of one directory and below.
fn signal_all(dir: &Dir) -> Result<(), Error> {
    let mut held = Vec::new();
    for number in processes(dir)? {
        // 0 stands for a process of another pid namespace, and would mean our own group.
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { continue };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => held.push((number, pid, Some(pidfd))),
            // Gone, or a thread whose leader has left; looked up again in the next round.
            Err(Errno::SRCH | Errno::INVAL) => {}
            // An outer container's filter may know no pidfd.
            Err(Errno::NOSYS) => held.push((number, pid, None)),
            Err(errno) => return Err(Error::io("pidfd_open", format!("process {pid}"), errno)),
        }
    }
    // A number that was given to another process meanwhile is not in the cgroup any more.
    let present = processes(dir)?;
    for (number, pid, pidfd) in held.iter().filter(|(number, ..)| present.contains(number)) {
        if *number == std::process::id() {
            continue;
        }
        let sent = match pidfd {
            Some(pidfd) => pidfd_send_signal(pidfd, Signal::KILL),
            None => kill_process(*pid, Signal::KILL),
        };
        match sent {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(Error::io("kill", format!("process {pid}"), errno)),
        }
    }
    Ok(())
}

/// `12 (D), 13 (S)`: at most eight, with the states of proc_pid_stat(5).
pub(crate) fn describe(pids: &[u32]) -> String {
    let state = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
        format!("{pid} ({})", state.unwrap_or("gone"))
    };
    let mut text = pids.iter().take(8).map(state).collect::<Vec<_>>().join(", ");
    if pids.len() > 8 {
        text.push_str(&format!(" and {} more", pids.len() - 8));
    }
    if pids.len() == 1 { format!("process {text}") } else { format!("processes {text}") }
}
