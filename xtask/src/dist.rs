//! `cargo xtask dist`: the release binaries and what is shipped with them, into `dist/` of
//! the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cargo::{build, cargo, host_triple, output, static_rustflags, succeed, target_dir};

/// Which functions the linker puts side by side; `cargo xtask bench --order` makes it.
const ORDER: &str = "xtask/start.ld";

/// Builds every artefact that this machine can make.
///
/// The systemd manager is an artefact of its own: its crates would cost every start of
/// the others 6 % (docs/performance.md). So is libselinux, which cannot be linked
/// statically.
pub(crate) fn run() -> Result {
    lean()?;
    static_binary("nsinit", "nsinit-systemd", &["--features", "systemd"])?;
    if Path::new("/usr/include/selinux/selinux.h").exists() {
        let mut command = release("nsinit");
        command.args(["--features", "selinux"]);
        collect(&build(&mut command)?, "nsinit-selinux")?;
    }
    pages()
}

/// Man pages and shell completions, where they belong below /usr.
fn pages() -> Result {
    let share = target_dir().join("dist/share");
    println!("{}", share.display());
    succeed(cargo(["run", "--quiet", "--package", "pages", "--"]).arg(share))
}

/// The artefact that is measured: static, with the default features.
pub(crate) fn lean() -> Result<PathBuf> {
    static_binary("nsinit", "nsinit", &[])
}

/// The same with its symbols, apart from the artefacts.
pub(crate) fn with_symbols() -> Result<PathBuf> {
    build(&mut static_command("nsinit", &[])?)
}

/// What it is compared with, built in the same way.
pub(crate) fn floor() -> Result<PathBuf> {
    static_binary("floor", "floor", &[])
}

fn static_binary(package: &str, name: &str, features: &[&str]) -> Result<PathBuf> {
    collect(&build(&mut static_command(package, features)?)?, name)
}

fn static_command(package: &str, features: &[&str]) -> Result<Command> {
    let host = host_triple()?;
    let musl = host.replace("-gnu", "-musl");
    let triple = if is_installed(&musl) { musl } else { host };
    // Names that tell the instances of a generic function apart, which the script then does.
    let mut flags = format!("{} -C symbol-mangling-version=v0", static_rustflags());
    // Seen from the workspace's directory, where rustc links.
    flags.push_str(&format!(" -C link-arg=-Wl,-T,{ORDER}"));
    if packs_relocations(&triple) {
        // A start reads them all, and unpacked they are thirty pages.
        flags.push_str(" -C link-arg=-Wl,-z,pack-relative-relocs");
    }
    let mut command = release(package);
    command.args(features).args(["--target", &triple]).env("RUSTFLAGS", flags);
    // `collect` strips: another profile would be other code, and the script is made from code
    // with symbols.
    command.env("CARGO_PROFILE_RELEASE_STRIP", "none");
    Ok(command)
}

/// The package's binary has its name.
fn release(package: &str) -> Command {
    cargo(["build", "--release", "--package", package, "--bin", package])
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

/// Puts a program that was built among the artefacts, without its symbols.
fn collect(built: &Path, name: &str) -> Result<PathBuf> {
    let directory = target_dir().join("dist");
    let told = |path: &Path, error| format!("{}: {error}", path.display());
    fs::create_dir_all(&directory).map_err(|error| told(&directory, error))?;
    let path = directory.join(name);
    succeed(Command::new("strip").arg("-o").arg(&path).arg(built))?;
    let bytes = fs::metadata(&path).map_err(|error| told(&path, error))?.len();
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
