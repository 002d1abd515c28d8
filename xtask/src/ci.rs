//! `cargo xtask ci`: everything that the gate asks for, one line per stage.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use crate::cargo::{cargo, root, succeed, target_dir};
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
    let directory = target_dir().join("published");
    forget_archives(&directory)?;
    let mut command = cargo(["package", "--workspace", "--allow-dirty", "--quiet"]);
    command.arg("--target-dir").arg(&directory);
    for unpublished in ["tests", "guest", "probe", "bench", "floor", "xtask", "pages"] {
        command.args(["--exclude", unpublished]);
    }
    succeed(&mut command)
}

/// Cargo unpacks the archives of a `package` call into its own directory, and
/// looks neither at them nor at what it built from them again: a later call from
/// the same place would build against our crates as they were then. (A registry
/// of a directory has no host name: its own begins with the dash of its hash.)
fn forget_archives(target: &Path) -> Result {
    let of_the_user = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(of_the_user);
    let sources = home.map(|home| home.join("registry/src"));
    let mut holders = sources.map_or_else(Vec::new, |sources| entries(&sources, "-"));
    holders.push(target.join("debug/.fingerprint"));
    for ours in holders.iter().flat_map(|holder| entries(holder, "nsinit")) {
        fs::remove_dir_all(&ours).map_err(|e| format!("{}: {e}", ours.display()))?;
    }
    Ok(())
}

/// Of a directory that need not be there, those whose names begin so.
fn entries(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(directory).into_iter().flatten().flatten();
    let named =
        found.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()));
    named.map(|entry| entry.path()).collect()
}
