//! What the gate runs besides test programs: the example of every crate, and
//! the consumers, which are packages of their own outside the workspace.
//!
//! As root each runs in a network namespace of its own, so that the host's
//! interfaces stay as they are.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::report::Report;
use crate::Result;
use crate::cargo::{build, cargo, output, root, target_dir};

/// A crate's example: what it is called with, and what it prints then.
struct Example {
    package: &'static str,
    name: &'static str,
    arguments: &'static [&'static str],
    prints: &'static str,
    needs: Need,
}

#[derive(Clone, Copy, PartialEq)]
enum Need {
    Nothing,
    UserNamespaces,
    /// Root, or user namespaces for an ordinary user.
    Container,
    Root,
    RootAndIp,
}

const EXAMPLES: [Example; 7] = [
    Example {
        package: "nsinit",
        name: "launch",
        arguments: &[],
        prints: "exit status: 0: example\n",
        needs: Need::Container,
    },
    Example {
        package: "nsinit-cgroups",
        name: "job",
        arguments: &["true"],
        prints: "pids: 0 forks refused\n",
        needs: Need::Root,
    },
    Example {
        package: "nsinit-config",
        name: "check",
        arguments: &[],
        prints: "\"destination\": \"/data\"",
        needs: Need::Nothing,
    },
    Example {
        package: "nsinit-namespaces",
        name: "shell",
        arguments: &["sh", "-c", "id -u; echo $$"],
        prints: "0\n1\n",
        needs: Need::UserNamespaces,
    },
    Example {
        package: "nsinit-network",
        name: "pair",
        arguments: &[],
        prints: "10.213.7.2/24",
        needs: Need::RootAndIp,
    },
    Example {
        package: "nsinit-rootfs",
        name: "furnish",
        arguments: &[],
        prints: "urandom\n",
        needs: Need::UserNamespaces,
    },
    Example {
        package: "nsinit-security",
        name: "confine",
        arguments: &["grep", "NoNewPrivs", "/proc/self/status"],
        prints: "NoNewPrivs:\t1\n",
        needs: Need::Nothing,
    },
];

/// Consumers that cannot run without user namespaces. The others say themselves
/// what they lack.
const IN_NAMESPACES: [(&str, Need); 3] = [
    ("namespaces", Need::UserNamespaces),
    ("nsinit", Need::Container),
    ("rootfs", Need::UserNamespaces),
];

pub(super) fn run(probe: &Path, report: &mut Report) -> Result {
    let caller = Caller::new(probe)?;
    println!("\n     Running examples");
    every_example_is_known()?;
    for Example { package, name, arguments, prints, needs } in &EXAMPLES {
        let mut command = cargo(["build", "--quiet", "--package", package, "--example", name]);
        let test = format!("{package} --example {name}");
        caller.judge(&test, *needs, &mut command, arguments, prints, report);
    }
    println!("\n     Running consumers");
    for directory in consumers()? {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = build_consumer(&directory)?;
        let known = IN_NAMESPACES.iter().find(|(consumer, _)| *consumer == name);
        let needs = known.map_or(Need::Nothing, |(_, needs)| *needs);
        caller.judge(&format!("consumer {name}"), needs, &mut command, &[], "", report);
    }
    Ok(())
}

/// The directories of the packages outside the workspace.
pub(crate) fn consumers() -> Result<Vec<PathBuf>> {
    let directory = root().join("tests/consumers");
    let mut found = entries(&directory)?;
    found.retain(|path| path.join("Cargo.toml").is_file());
    if found.is_empty() { Err(format!("{}: no consumers", directory.display())) } else { Ok(found) }
}

/// They are built with the versions of the workspace's `Cargo.lock`.
fn build_consumer(directory: &Path) -> Result<Command> {
    let lock = directory.join("Cargo.lock");
    fs::copy(root().join("Cargo.lock"), &lock)
        .map_err(|error| format!("{}: {error}", lock.display()))?;
    let mut command = cargo(["build", "--quiet", "--manifest-path"]);
    command.arg(directory.join("Cargo.toml"));
    command.env("CARGO_TARGET_DIR", target_dir().join("consumers"));
    Ok(command)
}

/// No example without a row in the table.
fn every_example_is_known() -> Result {
    for directory in entries(&root().join("crates"))? {
        let examples = directory.join("examples");
        if !examples.is_dir() {
            return Err(format!("{}: every crate has an example", directory.display()));
        }
        for path in entries(&examples)? {
            let name = path.file_stem().unwrap_or_default();
            if !EXAMPLES.iter().any(|example| OsStr::new(example.name) == name) {
                return Err(format!("{}: no row in xtask for this example", path.display()));
            }
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let error = |error: std::io::Error| format!("{}: {error}", directory.display());
    let entries = fs::read_dir(directory).map_err(error)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<std::io::Result<Vec<_>>>().map_err(error)?;
    paths.sort();
    Ok(paths)
}

/// Who runs the programs, and what that user may do here.
struct Caller<'a> {
    probe: &'a Path,
    is_root: bool,
    user_namespaces: bool,
    has_ip: bool,
    /// A program that is skipped is one that failed.
    nothing_is_skipped: bool,
}

impl Caller<'_> {
    fn new(probe: &Path) -> Result<Caller<'_>> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Ok(Caller {
            probe,
            is_root: output(Command::new("id").arg("-u"))?.trim() == "0",
            user_namespaces: output(Command::new(probe).arg("new-user-namespace"))? == "ok\n",
            has_ip: std::env::split_paths(&path).any(|directory| directory.join("ip").is_file()),
            nothing_is_skipped: std::env::var("NSINIT_TEST_REQUIRE")
                .is_ok_and(|value| value == "1"),
        })
    }

    fn lacks(&self, need: Need) -> Option<&'static str> {
        let (fulfilled, what) = match need {
            Need::Nothing => (true, ""),
            Need::UserNamespaces => (self.user_namespaces, "needs user namespaces"),
            Need::Container => (self.is_root || self.user_namespaces, "needs user namespaces"),
            Need::Root => (self.is_root, "needs root"),
            Need::RootAndIp => (self.is_root && self.has_ip, "needs root, and ip (iproute2)"),
        };
        (!fulfilled).then_some(what)
    }

    /// Builds, runs and counts one program.
    fn judge(
        &self,
        test: &str,
        needs: Need,
        build_command: &mut Command,
        arguments: &[&str],
        prints: &str,
        report: &mut Report,
    ) {
        let outcome = build(build_command).and_then(|program| match self.lacks(needs) {
            Some(reason) => Ok(Some(reason.to_owned())),
            None => self.start(&program, arguments, prints),
        });
        match outcome {
            Ok(Some(reason)) if self.nothing_is_skipped => {
                println!("{test} ... FAILED: {reason}");
                report.fail();
            }
            Ok(reason) => {
                println!("{test} ... ok");
                report.end();
                reason.iter().for_each(|reason| report.skip(test, reason));
            }
            Err(error) => {
                println!("{test} ... FAILED\n{error}");
                report.fail();
            }
        }
    }

    /// Runs a program to its end; returns why it did nothing, if it says so.
    fn start(&self, program: &Path, arguments: &[&str], prints: &str) -> Result<Option<String>> {
        let mut command = match self.is_root {
            true => {
                let mut command = Command::new(self.probe);
                command.args(["with", "netns=new", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        let done = command
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let said = String::from_utf8_lossy(&done.stdout);
        if !done.status.success() || !said.contains(prints) {
            let errors = String::from_utf8_lossy(&done.stderr);
            return Err(format!("{}, expected {prints:?}\n{said}{errors}", done.status));
        }
        let mut skips = said.lines().filter_map(|line| line.strip_prefix("SKIPPED: "));
        Ok(skips.next().map(str::to_owned))
    }
}
