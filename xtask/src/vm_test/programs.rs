//! Builds what the machines run: static, so that it runs on any of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cargo::{cargo, host_triple, output, static_rustflags};

/// A built test program, named after its package and target: `nsinit-rootfs/kernel`.
#[derive(Debug)]
pub(super) struct TestProgram {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

pub(super) struct Programs {
    pub(super) guest: PathBuf,
    pub(super) nsinit: PathBuf,
    pub(super) probe: PathBuf,
    pub(super) tests: Vec<TestProgram>,
}

/// All of them; nsinit is kept at `path`, because its variants are built in its place.
pub(super) fn build(path: &Path) -> Result<Programs> {
    let triple = host_triple()?;
    let messages = |subcommand: [&str; 2], arguments: &[&str]| {
        let mut command = cargo(subcommand);
        command.args(["--target", &triple, "--profile", "vm"]).args(arguments);
        command.arg("--message-format=json-render-diagnostics");
        output(command.env("RUSTFLAGS", static_rustflags()))
    };
    let bins = ["--package", "nsinit", "--package", "probe", "--package", "guest"];
    let built = messages(["build", "--bins"], &bins)?;
    let program = |name: &str| {
        let mut artefacts = built.lines().filter_map(artefact);
        let found = artefacts.find(|artefact| artefact.target == name);
        found.map(|artefact| artefact.executable).ok_or_else(|| format!("no {name} was built"))
    };
    let tests = messages(["test", "--no-run"], &["--workspace", "--exclude", "xtask"])?;
    let tests = tests.lines().filter(|line| line.contains("\"test\":true},")).filter_map(artefact);
    // A binary of ours has no unit tests: what it does is in its library.
    let tests = tests.filter(|artefact| artefact.kind != "bin").map(
        |Artefact { package, kind, target, executable }| {
            let target = if kind == "test" { target } else { kind };
            TestProgram { name: format!("{package}/{target}"), path: executable }
        },
    );
    let mut tests: Vec<TestProgram> = tests.collect();
    tests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Programs {
        guest: program("guest")?,
        nsinit: keep(&program("nsinit")?, path)?,
        probe: program("probe")?,
        tests,
    })
}

/// How a program finds its libraries.
#[derive(Clone, Copy)]
pub(super) enum Link {
    Static,
    /// In this directory of the machine first.
    Shared(&'static str),
}

/// nsinit with other features, kept at `path`.
pub(super) fn variant(
    features: &str,
    link: Link,
    path: &Path,
    prepare: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let triple = host_triple()?;
    let mut command = cargo(["build", "--package", "nsinit", "--bin", "nsinit"]);
    command.args(["--target", &triple, "--profile", "vm", "--features", features]);
    command.env(
        "RUSTFLAGS",
        match link {
            Link::Static => static_rustflags(),
            Link::Shared(directory) => format!("-C link-arg=-Wl,-rpath,{directory}"),
        },
    );
    prepare(&mut command);
    keep(&crate::cargo::build(&mut command)?, path)
}

fn keep(built: &Path, path: &Path) -> Result<PathBuf> {
    fs::copy(built, path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.to_owned())
}

struct Artefact {
    package: String,
    /// `test`, `lib`, `bin` and so on.
    kind: String,
    target: String,
    executable: PathBuf,
}

/// What a message of cargo says about an executable.
fn artefact(message: &str) -> Option<Artefact> {
    let field = |object: &str, key: &str| {
        let rest = &message[message.find(object)?..];
        let rest = &rest[rest.find(key)? + key.len()..];
        rest.split('"').next().map(str::to_owned)
    };
    let executable = PathBuf::from(field("\"executable\":\"", "\"executable\":\"")?);
    let id = field("\"package_id\":\"", "\"package_id\":\"")?;
    // `path+file:///…/NAME#VERSION`, or `…#NAME@VERSION`.
    let (path, version) = id.split_once('#')?;
    let package = match version.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => path.rsplit('/').next()?.to_owned(),
    };
    let kind = field("\"target\":{", "\"kind\":[\"")?;
    let target = field("\"target\":{", "\"name\":\"")?;
    Some(Artefact { package, kind, target, executable })
}

#[cfg(test)]
mod tests {
    #[test]
    fn executables_are_found_in_the_messages_of_cargo() {
        let named = r#"{"package_id":"path+file:///a/crates/rootfs#nsinit-rootfs@0.1.0","target":{"kind":["test"],"name":"kernel"},"executable":"/t/kernel-1"}"#;
        let plain = r#"{"package_id":"path+file:///a/tests#0.0.0","target":{"kind":["test"],"name":"main"},"executable":"/t/main-1"}"#;
        let found = |text| {
            super::artefact(text).map(|a| (a.package, a.target, a.executable.display().to_string()))
        };
        let words = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(found(named), words("nsinit-rootfs", "kernel", "/t/kernel-1"));
        assert_eq!(found(plain), words("tests", "main", "/t/main-1"));
        assert_eq!(found(r#"{"executable":null}"#), None);
    }
}
