//! `cargo xtask dist`: the release binaries, into `dist/` of the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cargo::{build, cargo, host_triple, output, static_rustflags, target_dir};

/// Builds every artefact that this machine can make.
///
/// The systemd manager is an artefact of its own: its crates would cost every start of
/// the others 6 % (docs/performance.md). So is libselinux, which cannot be linked
/// statically.
pub(crate) fn run() -> Result {
    lean()?;
    static_binary("nsinit-systemd", &["--features", "systemd"])?;
    if Path::new("/usr/include/selinux/selinux.h").exists() {
        let mut command = release();
        command.args(["--features", "selinux"]);
        collect(&build(&mut command)?, "nsinit-selinux")?;
    }
    Ok(())
}

/// The artefact that is measured: static, with the default features.
pub(crate) fn lean() -> Result<PathBuf> {
    static_binary("nsinit", &[])
}

fn static_binary(name: &str, features: &[&str]) -> Result<PathBuf> {
    let host = host_triple()?;
    let musl = host.replace("-gnu", "-musl");
    let triple = if is_installed(&musl) { musl } else { host };
    let mut flags = static_rustflags();
    if packs_relocations(&triple) {
        // A start reads them all, and unpacked they are thirty pages.
        flags.push_str(" -C link-arg=-Wl,-z,pack-relative-relocs");
    }
    let mut command = release();
    command.args(features).args(["--target", &triple]).env("RUSTFLAGS", flags);
    collect(&build(&mut command)?, name)
}

fn release() -> Command {
    cargo(["build", "--release", "--package", "nsinit", "--bin", "nsinit"])
}

/// Whether the standard library for `triple` is here.
fn is_installed(triple: &str) -> bool {
    let directory =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]));
    directory.is_ok_and(|path| Path::new(path.trim()).is_dir())
}

/// Whether the start code understands packed relocations: the GNU C library's does since
/// 2.36.
fn packs_relocations(triple: &str) -> bool {
    let version = output(Command::new("getconf").arg("GNU_LIBC_VERSION")).unwrap_or_default();
    triple.ends_with("-gnu") && minor_of_glibc_2(&version).is_some_and(|minor| minor >= 36)
}

fn minor_of_glibc_2(version: &str) -> Option<u32> {
    version.trim().strip_prefix("glibc 2.")?.split('.').next()?.parse().ok()
}

fn collect(built: &Path, name: &str) -> Result<PathBuf> {
    let directory = target_dir().join("dist");
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let path = directory.join(name);
    let bytes = fs::copy(built, &path).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{} ({} KiB)", path.display(), bytes / 1024);
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_c_library_is_read() {
        assert_eq!(minor_of_glibc_2("glibc 2.36\n"), Some(36));
        assert_eq!(minor_of_glibc_2("glibc 2.9.1\n"), Some(9));
        assert_eq!(minor_of_glibc_2("undefined\n"), None);
    }
}
