//! What the host has to have: checked before anything is fetched or built, and
//! told with the one command that installs what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cpio::Image;
use crate::Result;
use crate::cargo::output;

/// A program of the host, the package that brings it on the distributions of
/// [`INSTALLERS`], and whether the machines get a copy.
struct Program {
    name: &'static str,
    packages: [&'static str; 3],
    copied: bool,
}

const fn program(name: &'static str, packages: [&'static str; 3], copied: bool) -> Program {
    Program { name, packages, copied }
}

const INSTALLERS: [(&str, &str); 3] = [
    ("apt-get", "apt-get install --no-install-recommends"),
    ("dnf", "dnf install"),
    ("pacman", "pacman -S"),
];

const PROGRAMS: [Program; 12] = [
    program(
        "qemu-system-x86_64",
        ["qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86"],
        false,
    ),
    program("depmod", ["kmod", "kmod", "kmod"], false),
    program("modprobe", ["kmod", "kmod", "kmod"], true),
    program("mke2fs", ["e2fsprogs", "e2fsprogs", "e2fsprogs"], false),
    program("xz", ["xz-utils", "xz", "xz"], false),
    program("zstd", ["zstd", "zstd", "zstd"], false),
    program("ip", ["iproute2", "iproute", "iproute2"], true),
    program("newuidmap", ["uidmap", "shadow-utils", "shadow"], true),
    program("newgidmap", ["uidmap", "shadow-utils", "shadow"], true),
    // A shell of busybox takes busybox for every program, and its stty shows
    // only likely sizes.
    program("sh", ["dash", "bash", "bash"], true),
    program("stty", ["coreutils", "coreutils", "coreutils"], true),
    program("busybox", ["busybox-static", "busybox", "busybox"], true),
];

/// Nothing is missing, or the sentence that says what is and what to type.
pub(super) fn check() -> Result {
    let missing: Vec<&Program> =
        PROGRAMS.iter().filter(|program| find(program.name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|program| program.name).collect();
    let installer = INSTALLERS.iter().position(|(program, _)| find(program).is_some());
    let hint = installer.map_or(String::new(), |at| {
        let mut packages: Vec<&str> = missing.iter().map(|program| program.packages[at]).collect();
        packages.dedup();
        format!("; install with: {} {}", INSTALLERS[at].1, packages.join(" "))
    });
    Err(format!("not on this host: {}{hint}", names.join(", ")))
}

/// A program of the host, also where only root has its directory in the path.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path);
    let directories = directories.chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The command for a program that [`check`] has found.
pub(super) fn command(name: &str) -> Command {
    Command::new(find(name).unwrap_or_else(|| PathBuf::from(name)))
}

/// Puts the machines' programs into the image, with their libraries at the
/// same places, and every name of busybox that is not another program.
pub(super) fn userland(image: &mut Image) -> Result {
    for program in PROGRAMS.iter().filter(|program| program.copied) {
        let from = find(program.name).unwrap_or_default();
        let name = place(program.name);
        if program.name.starts_with("new") {
            let bytes = fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
            image.file(&name, 0o4755, &bytes)?;
        } else {
            image.copy(&from, &name)?;
        }
        libraries(image, &from)?;
    }
    for applet in output(command("busybox").arg("--list"))?.lines() {
        if !image.has(&place(applet)) {
            image.link(&place(applet), "/usr/bin/busybox")?;
        }
    }
    Ok(())
}

fn place(program: &str) -> String {
    let directory = if matches!(program, "ip" | "modprobe") { "sbin" } else { "bin" };
    format!("usr/{directory}/{program}")
}

/// The host's shared libraries that a program is linked with, by its own loader.
pub(super) fn libraries(image: &mut Image, program: &Path) -> Result {
    // A static one is no dynamic executable, which ldd tells by its status.
    let listed =
        Command::new("ldd").arg(program).output().map_err(|error| format!("ldd: {error}"))?;
    let text = String::from_utf8_lossy(&listed.stdout);
    for path in text.split_whitespace().filter(|word| word.starts_with('/')) {
        if !image.has(path) {
            image.copy(Path::new(path), path)?;
        }
    }
    Ok(())
}
