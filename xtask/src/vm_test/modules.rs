//! The kernel modules that the tests use, and what these need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::host::command;
use super::kernel::filter;
use crate::Result;
use crate::cargo::succeed;

/// Loaded at the start; the kernel loads the rest itself, by modprobe, when it is used.
pub(super) const LOADED: [&str; 4] = ["virtio_pci", "virtio_console", "virtio_blk", "ext4"];

const USED: [&str; 18] = [
    "overlay",
    "veth",
    "bridge",
    "dummy",
    "tun",
    "macvlan",
    "ipvlan",
    "nf_tables",
    "nft_ct",
    "nft_nat",
    "nft_masq",
    "nft_chain_nat",
    "br_netfilter",
    "fuse",
    "loop",
    "cls_cgroup",
    "netprio_cgroup",
    "autofs4",
];

/// Copies them below `root`, uncompressed, with the index that modprobe reads.
/// `directory` is `…/lib/modules/RELEASE`. Returns `root`.
pub(super) fn collect(directory: &Path, root: &Path) -> Result<PathBuf> {
    let release = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (stamp, wanted) = (root.join("wanted"), wanted(directory));
    if fs::read_to_string(&stamp).is_ok_and(|known| known == wanted) {
        return Ok(root.to_owned());
    }
    drop(fs::remove_dir_all(root));
    let target = root.join("lib/modules").join(&release);
    for path in closure(&dependencies(directory, &release)?) {
        let from = directory.join(&path);
        let bytes = fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        let (name, bytes) = plain(&path, bytes)?;
        write(&target.join(name), &bytes)?;
    }
    for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        if let Ok(bytes) = fs::read(directory.join(name)) {
            write(&target.join(name), &bytes)?;
        }
    }
    // Some builds of depmod look in /usr/lib.
    let usr = root.join("usr");
    fs::create_dir(&usr)
        .and_then(|()| std::os::unix::fs::symlink("../lib", usr.join("lib")))
        .map_err(|error| format!("{}: {error}", usr.display()))?;
    succeed(command("depmod").arg("-b").arg(root).arg(&release))?;
    write(&stamp, wanted.as_bytes())?;
    Ok(root.to_owned())
}

/// What the result depends on.
fn wanted(directory: &Path) -> String {
    format!("{} {}", directory.display(), [&LOADED[..], &USED[..]].concat().join(" "))
}

/// Module → its file and the files it needs, from `modules.dep`, which is made
/// if a package came without.
fn dependencies(directory: &Path, release: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let index = directory.join("modules.dep");
    if !index.exists() {
        let base = directory.ancestors().nth(3).unwrap_or(directory);
        succeed(command("depmod").arg("-b").arg(base).arg(release))?;
    }
    let text =
        fs::read_to_string(&index).map_err(|error| format!("{}: {error}", index.display()))?;
    let row = |line: &str| {
        let (file, needs) = line.split_once(':')?;
        let files = std::iter::once(file).chain(needs.split_whitespace());
        Some((module(file), files.map(str::to_owned).collect()))
    };
    Ok(text.lines().filter_map(row).collect())
}

fn closure(dependencies: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let names = LOADED.iter().chain(&USED);
    // One that is not there is built in, or this kernel does not have it.
    names.filter_map(|name| dependencies.get(*name)).flatten().cloned().collect()
}

/// `kernel/fs/overlayfs/overlay.ko.xz` is `overlay`; `-` and `_` are the same.
fn module(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

/// The name and the bytes without compression, which modprobe in the machine may lack.
fn plain(path: &str, bytes: Vec<u8>) -> Result<(String, Vec<u8>)> {
    let Some((name, suffix)) = path.rsplit_once('.') else { return Ok((path.to_owned(), bytes)) };
    let program = match suffix {
        "xz" => "xz",
        "zst" => "zstd",
        "gz" => "gzip",
        _ => return Ok((path.to_owned(), bytes)),
    };
    Ok((name.to_owned(), filter(program, &["-dc"], &bytes)?))
}

fn write(path: &Path, bytes: &[u8]) -> Result {
    let directory = path.parent().unwrap_or(path);
    let told = |error| format!("{}: {error}", path.display());
    fs::create_dir_all(directory).map_err(told)?;
    fs::write(path, bytes).map_err(told)
}
