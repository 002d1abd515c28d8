//! Parent: what was done when, by the launcher and by init: `nsinit exec --trace FILE`.

mod chrome;
mod file;
mod ring;
mod summary;

use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;
use rustix::time::ClockId;

pub use ring::Ring;
use ring::{now, time_of};

use crate::error::Result;
use crate::plan::Plan;
use crate::step::Step;
use file::TraceFile;

/// One launch or join. All times are of the monotonic clock.
#[derive(Debug)]
pub(crate) struct Trace {
    /// As far as can be told: the processor time that this process had used when it
    /// looked at the clock first, a re-execution included, before that.
    start: Duration,
    /// What the launcher did, each with its end. One thing begins where another ends.
    launcher: RefCell<Vec<(String, Duration)>>,
    init: RefCell<Option<Init>>,
    /// When the program was seen to run.
    executed: Cell<Option<Duration>>,
    failure: OnceCell<(String, Duration)>,
    file: OnceCell<TraceFile>,
}

/// What is known of init.
#[derive(Debug)]
struct Init {
    ring: Ring,
    /// The plan's words for its steps.
    steps: Vec<String>,
    program: String,
    pid: Pid,
    /// The steps after this one are done by the process that becomes the program.
    fork: Option<usize>,
    second: Option<Pid>,
}

/// A step of init, with its beginning and its end. One that has no end was not finished.
struct Done<'a> {
    number: usize,
    name: &'a str,
    pid: Pid,
    start: Duration,
    end: Option<Duration>,
}

impl Trace {
    pub(crate) fn start() -> Trace {
        let (now, used) = (now(), time_of(ClockId::ProcessCPUTime));
        let start = now.saturating_sub(used);
        let launcher = vec![("start nsinit (processor time)".to_owned(), now)];
        Trace {
            start,
            launcher: RefCell::new(launcher),
            init: RefCell::new(None),
            executed: Cell::new(None),
            failure: OnceCell::new(),
            file: OnceCell::new(),
        }
    }

    /// The launcher has done that, and begins with the next.
    pub(crate) fn done(&self, what: String) {
        self.launcher.borrow_mut().push((what, now()));
    }

    /// Init is there, and walks the plan's steps.
    pub(crate) fn follow(&self, plan: &Plan, ring: Ring, pid: Pid) {
        let forks = |step: &Step| matches!(step, Step::StayInit | Step::EnterPidNamespace);
        let program = plan.program.name().to_string_lossy().into_owned();
        let (steps, fork) = (plan.steps().collect(), plan.all_steps().position(forks));
        *self.init.borrow_mut() = Some(Init { ring, steps, program, pid, fork, second: None });
    }

    /// The program runs in that process.
    pub(crate) fn executed(&self, program: Pid) {
        self.executed.set(Some(now()));
        if let Some(init) = &mut *self.init.borrow_mut() {
            init.second = init.fork.and(Some(program));
        }
    }

    /// Why the command failed; whether that was before the program ran.
    pub(crate) fn failed(&self, why: String) -> bool {
        let _ = self.failure.set((why, now()));
        self.executed.get().is_none()
    }

    /// Which process has done what, how long ago.
    pub(crate) fn each_step(&self, tell: impl Fn(i32, Duration, &str)) {
        let now = now();
        for Done { number, name, pid, end, .. } in self.init.borrow().iter().flat_map(Init::steps) {
            let pid = pid.as_raw_nonzero().get();
            match end {
                Some(end) => tell(pid, now.saturating_sub(end), &format!("step {number}: {name}")),
                None => tell(pid, Duration::ZERO, &format!("step {number} was not done: {name}")),
            }
        }
    }

    /// Writes to this file from now on.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or lies where a container can write.
    pub(crate) fn open(&self, path: &Path, writable: &[PathBuf]) -> Result<()> {
        if self.file.get().is_none() {
            let _ = self.file.set(TraceFile::open(path, writable)?);
        }
        Ok(())
    }

    /// Writes what is known by now, in place of what was.
    pub(crate) fn write(&self) -> Result<()> {
        self.file.get().map_or(Ok(()), |file| file.write(&chrome::text(self)))
    }

    /// One screen, if there is a file.
    pub(crate) fn summary(&self) -> Option<String> {
        self.file.get().map(|file| summary::text(self, file.path()))
    }

    /// When the program ran, or the launch failed.
    fn end(&self) -> Option<Duration> {
        self.executed.get().or(self.failure.get().map(|(_, at)| *at))
    }
}

impl Init {
    /// The steps that were done, and the one that was begun.
    fn steps(&self) -> Vec<Done<'_>> {
        let Some(mut start) = self.ring.began() else { return Vec::new() };
        let mut list = Vec::new();
        for (index, name) in self.steps.iter().enumerate() {
            let second = self.fork.is_some_and(|fork| index > fork);
            let pid = self.second.filter(|_| second).unwrap_or(self.pid);
            let end = self.ring.time(index as u32);
            list.push(Done { number: index + 1, name, pid, start, end });
            let Some(end) = end else { break };
            start = end;
        }
        list
    }
}
