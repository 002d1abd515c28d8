//! Parent: `nsinit doctor` where a container lives: what was asked for, and what it has.
//!
//! Asked is what the container was started with, as it was sealed; got is what the kernel
//! says of the program now. A program may give up more than it was asked to, and others may
//! have changed what is around it.

mod places;
mod process;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::indented;
use crate::diagnosis::read;
use crate::error::Result;
use crate::host::Host;
use crate::join::{self, Joining};
use crate::plan::Plan;
use crate::state::State;

/// A running container, compared with its configuration.
#[derive(Debug, Serialize)]
pub(crate) struct Audit {
    directory: PathBuf,
    init: i32,
    program: i32,
    /// Whether it has nothing that was not asked for, as far as can be seen.
    as_asked: bool,
    comparisons: Vec<Comparison>,
}

#[derive(Debug, Serialize)]
struct Comparison {
    name: String,
    asked: String,
    got: String,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// It has what was asked for.
    Same,
    /// It has less freedom than was asked for.
    Narrower,
    /// It has more.
    Wider,
    /// This user cannot see it.
    Unknown,
}

impl Comparison {
    fn new(
        name: impl Into<String>,
        asked: impl Into<String>,
        got: impl Into<String>,
        verdict: Verdict,
    ) -> Comparison {
        Comparison { name: name.into(), asked: asked.into(), got: got.into(), verdict }
    }

    /// Of a limit; None is none.
    fn of_limit(name: impl Into<String>, asked: Option<u64>, got: Option<u64>) -> Comparison {
        let words = |limit: Option<u64>| limit.map_or("unlimited".into(), |most| most.to_string());
        let order = got.unwrap_or(u64::MAX).cmp(&asked.unwrap_or(u64::MAX));
        let verdict = match order {
            std::cmp::Ordering::Less => Verdict::Narrower,
            std::cmp::Ordering::Equal => Verdict::Same,
            std::cmp::Ordering::Greater => Verdict::Wider,
        };
        Comparison::new(name, words(asked), words(got), verdict)
    }
}

/// What the comparisons are made from.
struct Subject<'a> {
    state: &'a State,
    host: &'a Host,
    /// The program's pid.
    pid: i32,
    /// What a process that joins the container would do.
    plan: Plan,
}

impl Subject<'_> {
    /// A file of the program in /proc; empty when it cannot be read.
    fn read(&self, file: &str) -> String {
        read(&format!("/proc/{}/{file}", self.pid))
    }
}

impl Audit {
    /// Looks at a container whose program lives.
    pub(crate) fn of(directory: &Path, state: &State, host: &Host) -> Result<Audit> {
        let (plan, pid) = join::plan_of(&Joining { state, host, environment: &[] })?;
        let subject = Subject { state, host, pid, plan };
        let mut comparisons = process::compare(&subject);
        comparisons.extend(places::compare(&subject));
        Ok(Audit {
            directory: directory.to_owned(),
            init: state.init.as_ref().map_or(pid, |init| init.pid),
            program: pid,
            as_asked: !comparisons.iter().any(|one| one.verdict == Verdict::Wider),
            comparisons,
        })
    }

    /// 0 where nothing was found that was not asked for, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(!self.as_asked)
    }

    pub(crate) fn to_json_pretty(&self) -> String {
        // Only keys that are not strings make this fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Audit { directory, init, program, comparisons, .. } = self;
        writeln!(f, "{} runs: init is pid {init}, the program pid {program}", directory.display())?;
        for Comparison { name, asked, got, verdict } in comparisons {
            let (mark, words) = match verdict {
                Verdict::Same => ("=", got.clone()),
                Verdict::Narrower => ("less", format!("{got} (asked: {asked})")),
                Verdict::Wider => ("MORE", format!("{got} (asked: {asked})")),
                Verdict::Unknown => ("?", format!("not to be seen (asked: {asked})")),
            };
            writeln!(f, "  {mark:5} {name:18} {}", indented(&words, 27))?;
        }
        match comparisons.iter().filter(|one| one.verdict == Verdict::Wider).count() {
            0 => writeln!(f, "it has nothing that was not asked for"),
            1 => writeln!(f, "it has more than was asked for, in one point"),
            count => writeln!(f, "it has more than was asked for, in {count} points"),
        }
    }
}
