//! `cargo xtask test`: builds what the tests start, runs them all, and says
//! which did not run and why.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use crate::Result;
use crate::cargo::{build, cargo, host_triple, static_rustflags};

/// How many tests passed, failed and were skipped, and why.
#[derive(Default)]
pub(crate) struct Report {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// Reason → the tests that did not run for it.
    skips: BTreeMap<String, Vec<String>>,
}

impl Report {
    /// A run that did not come to its tests.
    pub(crate) fn not_run() -> Report {
        Report { failed: 1, ..Report::default() }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.failed == 0
    }

    /// `N passed, N failed, N skipped`.
    pub(crate) fn summary(&self) -> String {
        let skipped: usize = self.skips.values().map(Vec::len).sum();
        let passed = self.passed.saturating_sub(skipped);
        format!("{passed} passed, {} failed, {} skipped", self.failed, skipped + self.ignored)
    }

    fn print(&self) {
        println!();
        for (reason, tests) in &self.skips {
            println!("SKIPPED: {reason}: {}", tests.join(", "));
        }
        if self.ignored > 0 {
            println!(
                "SKIPPED: marked as ignored, or an example that is only compiled: {}",
                self.ignored
            );
        }
        println!(
            "{} tests ran",
            self.passed + self.failed - self.skips.values().map(Vec::len).sum::<usize>()
        );
        println!("{}", self.summary());
    }
}

/// The whole command; `arguments` choose packages and tests.
pub(crate) fn run(arguments: &[String]) -> Result<Report> {
    let (cargo_arguments, test_arguments) = split(arguments);
    let staged = Staged::new()?;
    let mut command = cargo(["test", "--no-fail-fast"]);
    command.args(cargo_arguments).arg("--").arg("--show-output").args(test_arguments);
    command.env("NSINIT_TEST_BIN", &staged.nsinit).env("NSINIT_TEST_PROBE", &staged.probe);
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("cargo test: {error}"))?;
    let mut reader = Reader::default();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        reader.line(&line.map_err(|error| format!("output of cargo test: {error}"))?);
    }
    let status = child.wait().map_err(|error| format!("cargo test: {error}"))?;
    let mut report = reader.report;
    if !status.success() && report.failed == 0 {
        eprintln!("xtask: cargo test: {status}: a test program did not compile or did not finish");
        report.failed = 1;
    }
    report.print();
    Ok(report)
}

/// Cargo's arguments and the test programs'; every package unless some are named.
fn split(arguments: &[String]) -> (Vec<String>, &[String]) {
    let at = arguments.iter().position(|argument| argument == "--");
    let (ours, theirs) = match at {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let mut ours = ours.to_vec();
    let names_package =
        |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
    if !ours.iter().any(names_package) {
        ours.insert(0, "--workspace".to_owned());
    }
    (ours, theirs)
}

/// Copies of the two programs in a directory that every user can reach: the
/// tests of an ordinary user could not start them below somebody's home.
struct Staged {
    directory: PathBuf,
    nsinit: PathBuf,
    probe: PathBuf,
}

impl Staged {
    fn new() -> Result<Staged> {
        let nsinit = build(&mut cargo(["build", "--package", "nsinit", "--bin", "nsinit"]))?;
        let probe = build_probe()?;
        let directory = std::env::temp_dir().join(format!("nsinit-staged-{}", std::process::id()));
        fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let staged =
            Staged { nsinit: directory.join("nsinit"), probe: directory.join("probe"), directory };
        open_to_all(&staged.directory)?;
        install(&nsinit, &staged.nsinit)?;
        install(&probe, &staged.probe)?;
        Ok(staged)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("xtask: {}: {error}", self.directory.display());
        }
    }
}

/// The static program that runs inside the containers.
pub(crate) fn build_probe() -> Result<PathBuf> {
    let triple = host_triple()?;
    let mut command = cargo(["build", "--package", "probe", "--target", &triple]);
    command.args(["--config", "profile.dev.strip=true"]).env("RUSTFLAGS", static_rustflags());
    build(&mut command)
}

fn install(from: &Path, to: &Path) -> Result {
    fs::copy(from, to)
        .map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))?;
    open_to_all(to)
}

fn open_to_all(path: &Path) -> Result {
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, mode).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads what the test programs print, and lets through what a person wants to see.
#[derive(Default)]
struct Reader {
    report: Report,
    /// Inside the output of tests that passed: read for skips, not shown.
    in_successes: bool,
    /// The test whose output is being read, and whether it was counted as skipped.
    current: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if line.starts_with("running ") || line == "failures:" || line.starts_with("test result: ")
        {
            self.in_successes = false;
        }
        if line == "successes:" {
            self.in_successes = true;
            self.current = None;
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.count(counts);
        }
        if !self.in_successes {
            println!("{line}");
        } else if let Some(name) = line.strip_prefix("---- ") {
            self.current = name.split_whitespace().next().map(str::to_owned);
        } else if let Some((_, reason)) = line.split_once("SKIPPED: ") {
            if let Some(test) = self.current.take() {
                self.report.skips.entry(reason.to_owned()).or_default().push(test);
            }
        }
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …`
    fn count(&mut self, counts: &str) {
        let number = |what: &str| {
            let words: Vec<&str> =
                counts.split([' ', ';']).filter(|word| !word.is_empty()).collect();
            let at = words.iter().position(|word| *word == what)?;
            words.get(at.checked_sub(1)?)?.parse::<usize>().ok()
        };
        self.report.passed += number("passed").unwrap_or(0);
        self.report.failed += number("failed").unwrap_or(0);
        self.report.ignored += number("ignored").unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    fn read(text: &str) -> Reader {
        let mut reader = Reader::default();
        text.lines().for_each(|line| reader.line(line));
        reader
    }

    #[test]
    fn a_skipped_test_is_not_counted_as_passed() {
        let reader = read(
            "running 2 tests\ntest a ... ok\ntest b ... ok\n\nsuccesses:\n\n---- b stdout ----\n\
             SKIPPED: needs root: uid 1000\n\n\nsuccesses:\n    a\n    b\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(reader.report.summary(), "1 passed, 0 failed, 1 skipped");
        assert_eq!(reader.report.skips["needs root: uid 1000"], ["b"]);
    }

    #[test]
    fn failures_and_ignored_tests_are_added_up() {
        let line =
            "test result: FAILED. 1 passed; 2 failed; 3 ignored; 0 measured; 0 filtered out\n";
        let reader = read(&format!("{line}{line}"));
        assert_eq!(reader.report.summary(), "2 passed, 4 failed, 6 skipped");
    }

    #[test]
    fn packages_named_by_the_caller_replace_the_workspace() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(super::split(&words("lifecycle")).0, ["--workspace", "lifecycle"]);
        let all = words("-p tests -- --test-threads 1");
        assert_eq!(super::split(&all), (words("-p tests"), &words("--test-threads 1")[..]));
    }
}
