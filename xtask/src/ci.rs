//! `cargo xtask ci`: everything that the gate asks for, one line per stage.

use std::process::ExitCode;
use std::time::Instant;

use crate::cargo::{cargo, root, succeed};
use crate::test::Report;
use crate::{Result, docs, test, tidy};

/// Runs every stage, also after one that failed: all the news at once.
pub(crate) fn run() -> Result<ExitCode> {
    let mut stages = Stages::default();
    stages.run("format", format);
    stages.run("clippy", clippy);
    stages.run("tidy", || tidy::run(&[]));
    let mut report = Report::not_run();
    stages.run("test", || {
        report = test::run(&[])?;
        if report.succeeded() { Ok(()) } else { Err(report.summary()) }
    });
    stages.run("docs", docs::run);
    stages.run("package", package);
    println!();
    stages.lines.iter().for_each(|line| println!("{line}"));
    println!("{}", report.summary());
    Ok(if stages.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[derive(Default)]
struct Stages {
    lines: Vec<String>,
    failed: bool,
}

impl Stages {
    fn run(&mut self, name: &str, stage: impl FnOnce() -> Result) {
        println!("==> {name}");
        let start = Instant::now();
        let outcome = stage();
        let seconds = start.elapsed().as_secs_f64();
        self.failed |= outcome.is_err();
        let line = match outcome {
            Ok(()) => format!("{name:<8} ok      {seconds:6.1} s"),
            Err(error) => format!("{name:<8} FAILED  {seconds:6.1} s  {error}"),
        };
        println!("{line}");
        self.lines.push(line);
    }
}

/// The workspace, and the packages outside it.
fn format() -> Result {
    succeed(cargo(["fmt", "--all"]).arg("--check"))?;
    let fuzz = root().join("tests/fuzz");
    test::consumers()?.into_iter().chain([fuzz]).try_for_each(|directory| {
        let manifest = directory.join("Cargo.toml");
        succeed(cargo(["fmt", "--check", "--manifest-path"]).arg(manifest))
    })
}

/// Never `--all-features`: a feature may need a C library, and the gate has
/// to pass on a machine with a Rust toolchain and a linker only.
fn clippy() -> Result {
    succeed(cargo(["clippy", "--workspace", "--all-targets"]).args(["--", "-D", "warnings"]))
}

/// What would be published, built from what would be in the archive.
/// `--allow-dirty`, because the gate is also run before a commit; one call
/// for all, because the crates' dependencies on each other are looked up
/// among the archives made by the same call.
fn package() -> Result {
    let mut command = cargo(["package", "--workspace", "--allow-dirty", "--quiet"]);
    for package in ["guest", "probe", "tests", "xtask"] {
        command.args(["--exclude", package]);
    }
    succeed(&mut command)
}
