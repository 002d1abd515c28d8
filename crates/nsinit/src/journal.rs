//! Parent: what a command tells of its work to who asked: lines in the log, times in the
//! trace.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;

use crate::error::{Error, Result};
use crate::log::{self, Log};
use crate::plan::Plan;
use crate::running::Running;
use crate::trace::{Ring, Trace};

/// Log and trace of one command.
#[derive(Debug)]
pub(crate) struct Journal {
    log: Log,
    /// None where nobody asked: then nobody looks at the clock.
    trace: Option<Trace>,
}

impl Journal {
    /// For callers of the library.
    pub(crate) const SILENT: Journal = Journal { log: Log::NONE, trace: None };

    pub(crate) fn new(log: Log, traced: bool) -> Journal {
        let trace = (traced || log.takes_debug()).then(Trace::start);
        Journal { log, trace }
    }

    /// Where the trace is to be written to; no container may write in `writable`.
    ///
    /// # Errors
    ///
    /// When it cannot be written there.
    pub(crate) fn open_trace(&self, file: &Path, writable: &[PathBuf]) -> Result<()> {
        self.trace.as_ref().map_or(Ok(()), |trace| trace.open(file, writable))
    }

    /// What the command does, in a sentence.
    pub(crate) fn event(&self, message: fmt::Arguments<'_>) {
        self.log.event(message);
    }

    /// The launcher has done that.
    pub(crate) fn done(&self, what: impl FnOnce() -> String) {
        let Some(trace) = &self.trace else { return };
        let what = what();
        self.log.debug(log::own_pid(), Duration::ZERO, &what);
        trace.done(what);
    }

    /// Whether init's steps are to have their times.
    pub(crate) fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Init is there, and walks the plan's steps.
    pub(crate) fn follow(&self, plan: &Plan, ring: Option<&Ring>, pid: Pid) {
        if let (Some(trace), Some(ring)) = (&self.trace, ring) {
            trace.follow(plan, ring.clone(), pid);
            self.done(|| "find words for the steps".into());
        }
    }

    /// The program runs.
    pub(crate) fn executed(&self, running: &Running) {
        let Some(trace) = &self.trace else { return };
        self.done(|| "wait for execve".into());
        trace.executed(running.program().unwrap_or(running.pid()));
    }

    /// Tells what is known by now: the program may run for days.
    pub(crate) fn publish(&self) {
        let Some(trace) = &self.trace else { return };
        if self.log.takes_debug() {
            trace.each_step(|pid, ago, words| self.log.debug(pid, ago, words));
        }
        // If it cannot be written, that is told in the end.
        let _ = trace.write();
    }

    /// Why the command fails.
    pub(crate) fn failed(&self, error: &Error) {
        if self.trace.as_ref().is_some_and(|trace| trace.failed(error.to_string())) {
            self.publish();
        }
        self.log.failed(error);
    }

    /// Says something to people that is no error.
    pub(crate) fn remark(&self, message: &str) {
        match self.log.is_json_on_stderr() {
            true => self.log.event(format_args!("{message}")),
            false => say(&format!("nsinit: {message}\n")),
        }
    }

    /// The command is at its end.
    pub(crate) fn close(&self) {
        let Some(trace) = &self.trace else { return };
        match (trace.write(), trace.summary()) {
            (Err(error), _) => self.remark(&error.to_string()),
            (Ok(()), Some(summary)) if !self.log.is_json_on_stderr() => say(&summary),
            (Ok(()), _) => {}
        }
    }
}

/// On standard error.
fn say(text: &str) {
    // Nobody is left to be told when it is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogFormat;

    #[test]
    fn without_a_trace_nothing_is_put_into_words() {
        Journal::SILENT.done(|| unreachable!());
        let info = Log::open("stderr".as_ref(), LogFormat::Text, false).unwrap();
        Journal::new(info, false).done(|| unreachable!());
        assert!(!Journal::new(Log::NONE, false).is_traced());
        assert!(Journal::new(Log::NONE, true).is_traced());
    }
}
