//! The programs under test, as `cargo xtask test` built them.

use std::path::{Path, PathBuf};

/// The built `nsinit`.
pub(crate) fn nsinit() -> PathBuf {
    named_by("NSINIT_TEST_BIN")
}

/// The static program that runs inside the containers.
pub(crate) fn probe() -> PathBuf {
    named_by("NSINIT_TEST_PROBE")
}

/// What the benchmark compares nsinit with.
#[must_use]
pub fn floor() -> PathBuf {
    named_by("NSINIT_TEST_FLOOR")
}

/// Puts the probe into a root filesystem: a copy, or with `NSINIT_TEST_LINK=1` the
/// same file again. An emulated machine reads every new copy of a program at a tenth
/// of a second.
pub(crate) fn put_probe(path: &Path) {
    let from = probe();
    let put = match std::env::var("NSINIT_TEST_LINK").as_deref() {
        Ok("1") => std::fs::hard_link(&from, path),
        _ => std::fs::copy(&from, path).map(drop),
    };
    put.unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// A static busybox of this machine.
pub(crate) fn busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].into_iter().map(PathBuf::from).find(|path| path.exists())
}

/// Whether a program is in one of the host's usual directories.
pub(crate) fn on_host(name: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|directory| Path::new(directory).join(name).exists())
}

fn named_by(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.unwrap_or_else(|| {
        panic!("{variable} is not set: run `cargo xtask test`, which builds what the tests start")
    })
}
