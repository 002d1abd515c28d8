//! On the host: counts the system calls of nsinit.
//!
//! A launcher's are counted from the first that is its own: what a program does before
//! its `main` depends on how it is linked. Init's, and every other process's that a
//! launcher makes, are counted until its execve, and then it is left alone.

use std::collections::HashMap;
use std::{fs, io};

use crate::sys;

/// fcntl(2) that asks for a descriptor's flags. nsinit begins with that of descriptor 0.
/// None of them is counted: a debug build makes one more before each close.
const ASKS_FLAGS: (i64, u64) = (libc::SYS_fcntl, libc::F_GETFD.unsigned_abs() as u64);

/// Returns in a child that is traced until it and its children have ended. Then the
/// counts are in `path`, as `launcher N` and `init N`, and this process ends as it did.
pub(crate) fn follow_child(path: &str) -> io::Result<()> {
    let Some(launcher) = sys::split()? else {
        sys::be_traced()?;
        return sys::kill(0, libc::SIGSTOP);
    };
    sys::wait_for_any()?;
    sys::trace_calls_and_children(launcher)?;
    sys::resume(launcher, 0)?;
    let mut counter =
        Counter { launcher, counted: HashMap::from([(launcher, false)]), counts: [0; 2] };
    let code = counter.follow()?;
    let [launcher, init] = counter.counts;
    fs::write(path, format!("launcher {launcher}\ninit {init}\n"))?;
    sys::exit(code)
}

struct Counter {
    launcher: i32,
    /// Everybody, and whether the next call counts.
    counted: HashMap<i32, bool>,
    /// Of the launcher, and of everybody else.
    counts: [u32; 2],
}

impl Counter {
    /// Until the launcher ends; returns its exit code.
    fn follow(&mut self) -> io::Result<i32> {
        loop {
            let (pid, status) = sys::wait_for_any()?;
            if libc::WIFSTOPPED(status) {
                match self.stopped(pid, status) {
                    // Killed while it stood still.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                    outcome => outcome?,
                }
            } else if pid == self.launcher {
                let code = libc::WEXITSTATUS(status);
                return Ok(if libc::WIFEXITED(status) {
                    code
                } else {
                    128 + libc::WTERMSIG(status)
                });
            }
        }
    }

    fn stopped(&mut self, pid: i32, status: i32) -> io::Result<()> {
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let is_launcher = pid == self.launcher;
        let Some(counts) = self.counted.get_mut(&pid) else {
            // Its birth.
            self.counted.insert(pid, true);
            return sys::resume(pid, 0);
        };
        match event {
            libc::PTRACE_EVENT_EXEC if is_launcher => *counts = false,
            libc::PTRACE_EVENT_EXEC => return sys::let_go(pid),
            0 if signal == libc::SIGTRAP | 0x80 => {
                if let Some((number, [first, second])) = sys::begun_call(pid)? {
                    let asks = (number, second) == ASKS_FLAGS;
                    *counts |= is_launcher && asks && first == 0;
                    self.counts[usize::from(!is_launcher)] += u32::from(*counts && !asks);
                }
            }
            0 => return sys::resume(pid, signal),
            _ => {}
        }
        sys::resume(pid, 0)
    }
}
