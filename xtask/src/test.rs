//! `cargo xtask test`: builds what the tests start, runs them all, and says
//! which did not run and why.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::cargo::{build, cargo, host_triple, root, static_rustflags};

mod programs;
mod report;

pub(crate) use programs::consumers;
use report::Reader;
pub(crate) use report::Report;

/// The whole command; `arguments` choose packages and tests.
pub(crate) fn run(arguments: &[String]) -> Result<Report> {
    let staged = Staged::new()?;
    let mut report = test_programs(arguments, &staged)?;
    if arguments.is_empty() {
        programs::run(&staged.probe, &mut report)?;
    }
    report.print();
    Ok(report)
}

/// `cargo test`, its output shown as it comes, without what tests that passed said.
fn test_programs(arguments: &[String], staged: &Staged) -> Result<Report> {
    let (cargo_arguments, test_arguments) = split(arguments);
    // The tests are told apart from their caller, who may ignore signals (nohup).
    let cargo = cargo(["test", "--no-fail-fast"]);
    let mut command = Command::new(&staged.probe);
    command.args(["with", "signals=default", "--"]).arg(cargo.get_program()).args(cargo.get_args());
    command.current_dir(root()).stdin(Stdio::null());
    command.args(cargo_arguments).arg("--").arg("--show-output").args(test_arguments);
    command.env("NSINIT_TEST_BIN", &staged.nsinit).env("NSINIT_TEST_PROBE", &staged.probe);
    command.env("NSINIT_TEST_FLOOR", &staged.floor);
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("cargo test: {error}"))?;
    let mut reader = Reader::default();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.map_err(|error| format!("output of cargo test: {error}"))?;
        if reader.line(&line) {
            println!("{line}");
        }
    }
    let status = child.wait().map_err(|error| format!("cargo test: {error}"))?;
    let mut report = reader.report;
    if !status.success() && report.succeeded() {
        eprintln!("xtask: cargo test: {status}: a test program did not compile or did not finish");
        report.fail();
    }
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

/// Copies of the programs in a directory that every user can reach: the
/// tests of an ordinary user could not start them below somebody's home.
struct Staged {
    directory: PathBuf,
    nsinit: PathBuf,
    probe: PathBuf,
    floor: PathBuf,
}

impl Staged {
    fn new() -> Result<Staged> {
        let nsinit = build(&mut cargo(["build", "--package", "nsinit", "--bin", "nsinit"]))?;
        let (probe, floor) = (build_probe()?, build_static("floor")?);
        let directory = std::env::temp_dir().join(format!("nsinit-staged-{}", std::process::id()));
        fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let [nsinit_copy, probe_copy, floor_copy] =
            ["nsinit", "probe", "floor"].map(|name| directory.join(name));
        let staged =
            Staged { nsinit: nsinit_copy, probe: probe_copy, floor: floor_copy, directory };
        open_to_all(&staged.directory)?;
        install(&nsinit, &staged.nsinit)?;
        install(&probe, &staged.probe)?;
        install(&floor, &staged.floor)?;
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
    build_static("probe")
}

fn build_static(package: &str) -> Result<PathBuf> {
    let triple = host_triple()?;
    let mut command = cargo(["build", "--package", package, "--target", &triple]);
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

#[cfg(test)]
mod tests {
    #[test]
    fn packages_named_by_the_caller_replace_the_workspace() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(super::split(&words("lifecycle")).0, ["--workspace", "lifecycle"]);
        let all = words("-p tests -- --test-threads 1");
        assert_eq!(super::split(&all), (words("-p tests"), &words("--test-threads 1")[..]));
    }
}
