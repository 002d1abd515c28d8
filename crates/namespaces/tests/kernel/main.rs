//! Parent: acts on real namespaces. Every scenario runs in a process of its
//! own with one thread (this program, executed again), as root and as an
//! ordinary user; a caller who is not root sees the scenarios for root skipped,
//! loudly, and as failures with `NSINIT_TEST_REQUIRE=1`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod away;
mod clones;
mod commands;
mod denials;
mod joins;
mod maps;
mod scene;
#[expect(unsafe_code, reason = "clone is unsafe to call")]
mod sys;
mod times;

use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Who runs a scenario.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Root,
    User,
    /// Once as root, once as an ordinary user.
    Both,
}

type Scenario = (&'static str, As, fn());

/// The user and group that belong to nobody.
const NOBODY: u32 = 65534;

/// A scenario that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The status of a scenario that cannot run here.
const SKIPPED: i32 = 77;

/// Names the scenario to the program executed again.
const SCENARIO: &str = "NSINIT_TEST_SCENARIO";
const AS_USER: &str = "NSINIT_TEST_AS_USER";

fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    [away::ALL, clones::ALL, commands::ALL, denials::ALL, joins::ALL, maps::ALL, times::ALL]
        .into_iter()
        .flatten()
}

fn main() -> ExitCode {
    if let Ok(wanted) = std::env::var(SCENARIO) {
        if std::env::var_os(AS_USER).is_some() {
            scene::become_user(NOBODY);
        }
        let (.., run) = scenarios().find(|(name, ..)| *name == wanted).unwrap();
        run();
        return ExitCode::SUCCESS;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let filter = args.iter().find(|arg| !arg.starts_with('-')).cloned().unwrap_or_default();
    let skipped: Vec<&str> = args.iter().filter_map(|arg| arg.strip_prefix("--skip=")).collect();
    let root = rustix::process::geteuid().is_root();
    let chosen = runs(root)
        .map(|(name, who)| (title(name, who), name, who))
        .filter(|(title, ..)| title.contains(&filter))
        .filter(|(title, ..)| skipped.iter().all(|skipped| !title.contains(skipped)))
        .collect();
    let asked = |option: &str| args.iter().any(|arg| arg == option);
    if asked("--list") { list(chosen) } else { run_all(chosen, root, asked("--nocapture")) }
}

/// Its name to those who run it, the name that it is found by, and who runs it.
type Chosen = Vec<(String, &'static str, As)>;

fn title(name: &str, who: As) -> String {
    format!("{}::{name}", if who == As::Root { "root" } else { "user" })
}

fn list(chosen: Chosen) -> ExitCode {
    let mut out = std::io::stdout().lock();
    chosen.iter().for_each(|(title, ..)| writeln!(out, "{title}: test").unwrap());
    ExitCode::SUCCESS
}

/// Says what other test programs say, which those who count the tests read: what
/// a test printed at once, or at the end if it succeeded.
fn run_all(chosen: Chosen, root: bool, at_once: bool) -> ExitCode {
    let require = std::env::var_os("NSINIT_TEST_REQUIRE").is_some_and(|value| value == "1");
    let (mut failed, mut later) = (0, String::new());
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nrunning {} tests", chosen.len()).unwrap();
    for (title, name, who) in &chosen {
        write!(out, "test {title} ... ").unwrap();
        out.flush().unwrap();
        let (verdict, text) = if *who == As::Root && !root {
            (Some(SKIPPED), "SKIPPED: needs root\n".to_owned())
        } else {
            run_alone(name, root && *who == As::User)
        };
        let ok = verdict == Some(0) || verdict == Some(SKIPPED) && !require;
        if at_once || !ok {
            write!(out, "{text}").unwrap();
        } else if verdict == Some(SKIPPED) {
            later.push_str(&format!("---- {title} stdout ----\n{text}\n"));
        }
        writeln!(out, "{}", if ok { "ok" } else { "FAILED" }).unwrap();
        failed += usize::from(!ok);
    }
    if !later.is_empty() {
        writeln!(out, "\nsuccesses:\n\n{later}").unwrap();
    }
    let (passed, word) = (chosen.len() - failed, if failed == 0 { "ok" } else { "FAILED" });
    writeln!(out, "\ntest result: {word}. {passed} passed; {failed} failed").unwrap();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every scenario with who is to run it; "user" is the caller itself when that
/// is not root.
fn runs(root: bool) -> impl Iterator<Item = (&'static str, As)> {
    scenarios().flat_map(move |&(name, who, _)| {
        let all: &[As] = match who {
            As::Root => &[As::Root],
            As::User => &[As::User],
            As::Both if root => &[As::Root, As::User],
            As::Both => &[As::User],
        };
        all.iter().map(move |who| (name, *who))
    })
}

/// Runs a scenario in a process of its own; its code (none: a signal) and
/// what it said.
fn run_alone(name: &str, as_user: bool) -> (Option<i32>, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(SCENARIO, name).stdout(Stdio::null()).stderr(Stdio::piped());
    if as_user {
        command.env(AS_USER, "1");
    }
    let mut child = command.spawn().unwrap();
    let Some(status) = wait(&mut child) else {
        child.kill().unwrap();
        child.wait().unwrap();
        return (None, "hangs".to_owned());
    };
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (status.code(), text)
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}
