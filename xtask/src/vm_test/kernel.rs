//! A kernel and its modules, in the shape in which a machine starts fastest.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::host::command;
use super::modules;
use crate::Result;

/// What a machine is started from.
pub(super) struct Kernel {
    /// An uncompressed kernel, where it could be had: that saves the machine a second.
    pub(super) file: PathBuf,
    /// `lib/modules/RELEASE` is below it.
    pub(super) modules: PathBuf,
}

/// The kernel of an unpacked package, prepared in `cache`.
pub(super) fn of_packages(tree: &Path, cache: &Path) -> Result<Kernel> {
    let below = [tree.join("lib/modules"), tree.join("usr/lib/modules")];
    let found = below.iter().find(|directory| directory.is_dir());
    let directory = found.ok_or_else(|| format!("{}: no modules", tree.display()))?;
    let release = only_entry(directory)?;
    let release = release.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let image = image(tree, &release)?;
    of_files(&image, &directory.join(release), cache)
}

/// The kernel that the host runs.
pub(super) fn of_host(cache: &Path) -> Result<Kernel> {
    let path = "/proc/sys/kernel/osrelease";
    let release = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let image = image(Path::new("/"), release.trim())?;
    of_files(&image, &Path::new("/lib/modules").join(release.trim()), cache)
}

/// A kernel from anywhere, with the directory of its modules.
pub(super) fn of_files(image: &Path, directory: &Path, cache: &Path) -> Result<Kernel> {
    fs::create_dir_all(cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let modules = modules::collect(directory, &cache.join("root"))?;
    let (stamp, file) = (cache.join("image"), cache.join("vmlinux"));
    let facts = fs::metadata(image).map_err(|error| format!("{}: {error}", image.display()))?;
    let identity = format!("{} {} {:?}", image.display(), facts.len(), facts.modified().ok());
    if fs::read_to_string(&stamp).is_ok_and(|known| known == identity) {
        return Ok(Kernel { file, modules });
    }
    let bytes = fs::read(image).map_err(|error| format!("{}: {error}", image.display()))?;
    let told = |error| format!("{}: {error}", file.display());
    fs::write(&file, uncompressed(&bytes).unwrap_or(bytes)).map_err(told)?;
    fs::write(&stamp, identity).map_err(told)?;
    Ok(Kernel { file, modules })
}

fn image(root: &Path, release: &str) -> Result<PathBuf> {
    let places = [
        format!("boot/vmlinuz-{release}"),
        format!("lib/modules/{release}/vmlinuz"),
        format!("usr/lib/modules/{release}/vmlinuz"),
    ];
    let mut paths = places.iter().map(|place| root.join(place));
    paths.find(|path| path.is_file()).ok_or_else(|| {
        format!("no image of Linux {release} in {} ({})", root.display(), places.join(", "))
    })
}

fn only_entry(directory: &Path) -> Result<PathBuf> {
    let told = |error| format!("{}: {error}", directory.display());
    let mut entries = fs::read_dir(directory).map_err(told)?.filter_map(std::result::Result::ok);
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry.path()),
        _ => Err(format!("{}: not one kernel", directory.display())),
    }
}

/// The ELF file in a compressed kernel (the boot protocol's `payload_offset`);
/// `None` if this is no such kernel, or no program here can unpack it.
fn uncompressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let word = |at: usize| {
        let bytes = bytes.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let sectors = usize::from(*bytes.get(0x1f1)?);
    let setup = (if sectors == 0 { 4 } else { sectors } + 1) * 512;
    let start = setup.checked_add(word(0x248)?)?;
    let payload = bytes.get(start..start.checked_add(word(0x24c)?)?)?;
    let (program, arguments): (&str, &[&str]) = match payload {
        [0x1f, 0x8b, ..] => ("gzip", &["-dc"]),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => ("xz", &["-dc", "--single-stream"]),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("zstd", &["-dcq"]),
        [0x02, 0x21, 0x4c, 0x18, ..] => ("lz4", &["-dcq"]),
        _ => return None,
    };
    // What follows the compressed data makes some of them complain: only the result counts.
    let kernel = filter(program, arguments, payload).ok()?;
    kernel.starts_with(b"\x7fELF").then_some(kernel)
}

/// What a program makes of `input`, whatever its status.
pub(super) fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let told = |error| format!("{program}: {error}");
    let mut child = command(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(told)?;
    let mut stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.take().map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    });
    output.map(|output| output.stdout).map_err(told)
}
