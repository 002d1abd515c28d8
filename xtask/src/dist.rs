//! `cargo xtask dist`: the static release binary, into `dist/` of the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cargo::{build, cargo, host_triple, output, root, static_rustflags, target_dir};

/// Builds the static binary and, where libselinux is installed, a dynamic
/// one with that back end; returns the path of the static one.
pub(crate) fn run() -> Result<PathBuf> {
    let host = host_triple()?;
    let musl = host.replace("-gnu", "-musl");
    let triple = if is_installed(&musl) { musl } else { host };
    let mut command = cargo(["build", "--release", "--package", "nsinit", "--bin", "nsinit"]);
    command.args(["--target", &triple]).env("RUSTFLAGS", static_rustflags());
    if has_feature("systemd")? {
        command.args(["--features", "systemd"]);
    }
    let artefact = collect(&build(&mut command)?, &format!("nsinit-{triple}-static"))?;
    if has_feature("selinux")? && Path::new("/usr/include/selinux/selinux.h").exists() {
        let mut command = cargo(["build", "--release", "--package", "nsinit", "--bin", "nsinit"]);
        command.args(["--features", "selinux"]);
        collect(&build(&mut command)?, "nsinit-selinux")?;
    }
    Ok(artefact)
}

/// Whether the standard library for `triple` is here.
fn is_installed(triple: &str) -> bool {
    let directory =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]));
    directory.is_ok_and(|path| Path::new(path.trim()).is_dir())
}

fn has_feature(name: &str) -> Result<bool> {
    let path = root().join("crates/nsinit/Cargo.toml");
    let manifest =
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(manifest.lines().any(|line| line.split('=').next().is_some_and(|key| key.trim() == name)))
}

fn collect(built: &Path, name: &str) -> Result<PathBuf> {
    let directory = target_dir().join("dist");
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let path = directory.join(name);
    let bytes = fs::copy(built, &path).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{} ({} KiB)", path.display(), bytes / 1024);
    Ok(path)
}
