//! `tests/vm.lock`: which packages the machines are made of, by version and
//! SHA-256. No addresses: apt knows where its suites are.

use std::fs;
use std::path::PathBuf;

use crate::Result;
use crate::cargo::root;

const HEAD: &str = "\
# The packages of the machines of `cargo xtask vm-test`: SUITE NAME VERSION SHA-256.
# Written by `cargo xtask vm-test --update`.
";

/// A package of a suite, in one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) suite: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) sha256: String,
}

/// A package that is asked for; in the name of a kernel `*` stands for
/// its release, or the rest of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) suite: &'static str,
    pub(super) name: &'static str,
}

impl Wanted {
    pub(super) fn is(&self, name: &str) -> bool {
        match self.name.split_once('*') {
            None => self.name == name,
            Some((start, end)) => {
                let rest = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
                rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            }
        }
    }
}

pub(super) struct Lock(Vec<Package>);

impl Lock {
    pub(super) fn read() -> Result<Lock> {
        let path = path();
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        parse(&text).map(Lock)
    }

    pub(super) fn find(&self, wanted: &Wanted) -> Result<&Package> {
        let mut packages = self.0.iter();
        packages
            .find(|package| package.suite == wanted.suite && wanted.is(&package.name))
            .ok_or_else(|| format!("tests/vm.lock has no {} of {}", wanted.name, wanted.suite))
    }

    pub(super) fn write(mut packages: Vec<Package>) -> Result {
        packages.sort();
        packages.dedup();
        let path = path();
        fs::write(&path, text(&packages)).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn path() -> PathBuf {
    root().join("tests/vm.lock")
}

fn parse(text: &str) -> Result<Vec<Package>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let package = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let [suite, name, version, sha256] = words.try_into().ok()?;
        Some(Package { suite, name, version, sha256 })
    };
    let bad = |line| format!("tests/vm.lock: {line:?} is not: SUITE NAME VERSION SHA-256");
    lines.map(|line| package(line).ok_or_else(|| bad(line))).collect()
}

fn text(packages: &[Package]) -> String {
    let mut text = HEAD.to_owned();
    for Package { suite, name, version, sha256 } in packages {
        text.push_str(&format!("{suite} {name} {version} {sha256}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let line = "sid linux-binary-7.2.13+deb14-cloud-amd64 7.2.13-1 0123";
        let packages = parse(&format!("{HEAD}{line}\n")).unwrap();
        assert_eq!(text(&packages), format!("{HEAD}{line}\n"));
        assert!(parse("sid only-a-name\n").is_err());
    }

    #[test]
    fn a_kernel_is_found_whatever_its_release() {
        let wanted = Wanted { suite: "s", name: "linux-image-6.1.*-cloud-amd64" };
        assert!(wanted.is("linux-image-6.1.0-47-cloud-amd64"));
        assert!(!wanted.is("linux-image-6.12.117-cloud-amd64"));
        assert!(!wanted.is("linux-image-6.1.0-47-cloud-amd64-unsigned"));
    }
}
