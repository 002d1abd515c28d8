//! Parent: `nsinit doctor`: would this configuration run here, as this user? Or, where its
//! container lives: has that what was asked for?
//!
//! The questions are those that are asked after a failure (`diagnosis.rs`), and what a
//! launch checks before it makes anything. What is made to find out is one process, in
//! the namespaces that are asked for, which ends at once.

mod alive;
mod checks;
mod facts;
mod files;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

pub(crate) use self::alive::Audit;
use crate::directory::{Directory, Origin, Place};
use crate::error::{Error, Result, printable};
use crate::host::Host;
use crate::plan::Plan;
use crate::state::RunDirectory;

/// What `nsinit doctor` found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether nothing stands in the way that could be found.
    runs: bool,
    host: Vec<Fact>,
    checks: Vec<Check>,
}

/// One fact about the host or the caller.
#[derive(Debug, Serialize)]
struct Fact {
    name: &'static str,
    /// For people.
    #[serde(skip)]
    words: String,
    /// For tools.
    value: Value,
}

/// One question and its answer.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    name: &'static str,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Debug, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
enum Answer {
    /// Nothing is in the way.
    Ok { message: String },
    /// It would fail.
    Problem { message: String, hint: Option<String> },
    /// Only the launch itself would tell.
    Unknown { message: String },
}

impl Check {
    fn ok(name: &'static str, message: impl Into<String>) -> Check {
        Check { name, answer: Answer::Ok { message: message.into() } }
    }

    fn problem(name: &'static str, message: impl Into<String>, hint: Option<String>) -> Check {
        Check { name, answer: Answer::Problem { message: message.into(), hint } }
    }

    fn unknown(name: &'static str, message: impl Into<String>) -> Check {
        Check { name, answer: Answer::Unknown { message: message.into() } }
    }

    fn of(name: &'static str, answer: std::result::Result<String, &Error>) -> Check {
        match answer {
            Ok(message) => Check::ok(name, message),
            Err(error) => Check::problem(name, error.to_string(), error.hint()),
        }
    }

    fn is_problem(&self) -> bool {
        matches!(self.answer, Answer::Problem { .. })
    }
}

/// A directory that was read, and the plan that was made of it.
pub(crate) struct Planned {
    pub(crate) directory: Directory,
    pub(crate) plan: Result<Plan>,
    /// Whether the plan's program is anybody's wish.
    pub(crate) program_is_named: bool,
}

impl Report {
    /// Examines the host, and what a plan would need of it.
    pub(crate) fn of(planned: Result<Planned>) -> Result<Report> {
        let host = facts::of(&Host::probe()?);
        let checks = match &planned {
            Err(error) => vec![Check::of("configuration", Err(error))],
            Ok(planned) => {
                let mut checks = vec![configuration(&planned.directory)];
                match &planned.plan {
                    Err(error) => checks.push(Check::of("plan", Err(error))),
                    Ok(plan) => checks.extend(checks::of(planned, plan)),
                }
                checks
            }
        };
        let runs = !checks.iter().any(Check::is_problem);
        Ok(Report { runs, host, checks })
    }

    /// 0 where nothing was found, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(!self.runs)
    }

    pub(crate) fn to_json_pretty(&self) -> String {
        // Only keys that are not strings make this fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn configuration(directory: &Directory) -> Check {
    let what = match &directory.origin {
        Origin::File(_) => format!("{}/container.json", directory.path.display()),
        _ => directory.remark().unwrap_or_default(),
    };
    Check::ok("configuration", what)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "host")?;
        for Fact { name, words, .. } in &self.host {
            writeln!(f, "  {name:18} {}", indented(words, 21))?;
        }
        writeln!(f, "checks")?;
        for Check { name, answer } in &self.checks {
            let (mark, message) = match answer {
                Answer::Ok { message } => ("ok", message),
                Answer::Problem { message, .. } => ("PROBLEM", message),
                Answer::Unknown { message } => ("?", message),
            };
            writeln!(f, "  {mark:8} {name:18} {}", indented(message, 30))?;
            if let Answer::Problem { hint: Some(hint), .. } = answer {
                writeln!(f, "{:30}hint: {}", "", indented(hint, 36))?;
            }
        }
        match self.checks.iter().filter(|check| check.is_problem()).count() {
            0 => writeln!(f, "nothing was found that stands in the way"),
            1 => writeln!(f, "it would not run here: one problem"),
            count => writeln!(f, "it would not run here: {count} problems"),
        }
    }
}

/// Further lines below the first one; nothing moves the cursor.
fn indented(text: &str, column: usize) -> String {
    let lines: Vec<_> = text.lines().map(printable).collect();
    lines.join(&format!("\n{:column$}", ""))
}

/// The container that lives in a directory, compared with what was asked for; None where
/// none does.
pub(crate) fn audit(place: &Place) -> Result<Option<Audit>> {
    let uid = rustix::process::geteuid().as_raw();
    let Ok(run) = RunDirectory::find(uid)? else { return Ok(None) };
    if run.peek(place.id)?.is_none() {
        return Ok(None);
    }
    // Whoever starts it has recorded all about it when the lock is free.
    let Some(state) = run.lock(place.id)?.read()? else { return Ok(None) };
    if state.program()?.is_none() {
        return Ok(None);
    }
    Audit::of(&place.path, &state, &Host::probe()?).map(Some)
}

/// The profile that lets this executable make user namespaces where AppArmor restricts
/// them.
pub(crate) fn apparmor_profile() -> Result<String> {
    let executable = std::env::current_exe().map_err(Error::io("find the own executable"))?;
    Ok(nsinit_security::apparmor_profile_for_executable(&executable))
}
