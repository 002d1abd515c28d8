//! Parent: what the container must not be able to write: its own configuration, which
//! the next command on the host obeys, and its state.
//!
//! Where the container's directory is its root filesystem, or is bound writable,
//! `container.json` and `pid` are covered. A cover holds a file, not a directory above it:
//! that can be renamed, and a new one made in its place.

use std::path::Path;

use nsinit_config::{Container, MountKind, Propagation, Seccomp};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::{Source, refuse};
use crate::diagnosis::covering::mounts;
use crate::directory::CONFIG_FILE;
use crate::error::{Error, Result};
use crate::program::FileId;

const REMEDY: &str = "keep container.json outside: beside the root filesystem, not in it, and \
                      not below what the container may write (--root names its directory)";

/// What lets a program take a cover off, and the key that gives it.
fn way_to_uncover(container: &Container, may_mount: bool) -> Option<[&'static str; 2]> {
    if may_mount {
        return Some(["with SYS_ADMIN", "capabilities"]);
    }
    // In a user namespace of its own it could mount.
    let unfiltered = container.seccomp == Some(Seccomp::Unconfined);
    unfiltered.then_some(["without a system call filter", "seccomp"])
}

pub(super) fn own_files(source: &Source<'_>, may_mount: bool) -> Result<()> {
    let own: Vec<Lineage> = [Some(source.directory), source.run_directory]
        .into_iter()
        .flatten()
        .map(Lineage::of)
        .collect();
    let uncovers = |key: &str, how: &str, what: &str| {
        let message = format!(
            "{how} the container could uncover its own configuration, which lies in {what}"
        );
        refuse(key, &message, Some(REMEDY))
    };
    let file = source.directory.join(CONFIG_FILE);
    let way = way_to_uncover(source.container, may_mount);
    if let Some(root) = source.rootfs.path().and_then(id_of) {
        if own.iter().any(|own| own.is_below(root)) {
            let message = "the container could replace its own configuration or state, which \
                           lies below its root filesystem";
            return Err(refuse("rootfs", message, Some(REMEDY)));
        }
        if own.first().is_some_and(|own| own.is(root)) {
            if let Some([how, key]) = way {
                return Err(uncovers(key, how, "its root filesystem"));
            }
            refuse_other_names(&file, "rootfs")?;
        }
    }
    let [directory, others @ ..] = own.as_slice() else { return Ok(()) };
    let is_held =
        |id: FileId| own.iter().any(|own| own.is_below(id)) || others.iter().any(|own| own.is(id));
    for (index, mount) in source.container.mounts.iter().enumerate() {
        let writable = mount.kind == MountKind::Bind && mount.writable;
        let Some(path) = mount.source.as_ref().filter(|_| writable) else { continue };
        let Some(id) = id_of(path) else { continue };
        let key = format!("mounts[{index}].source");
        let is_own = directory.is(id);
        let below = if mount.recursive == Some(false) { Vec::new() } else { mounts_below(path)? };
        if let Some([how, _]) = way.filter(|_| is_own) {
            return Err(uncovers(&key, how, &path.display().to_string()));
        }
        // A cover on what is shared would be the host's, too.
        let is_shared = is_own && mount.propagation == Some(Propagation::Shared);
        let reaches = |id: FileId| is_held(id) || directory.is(id);
        if is_held(id) || is_shared || id_of(&file) == Some(id) || below.into_iter().any(reaches) {
            let message = format!(
                "{} holds the container's own configuration or state, which it could rewrite",
                path.display()
            );
            return Err(refuse(&key, &message, Some(REMEDY)));
        }
        if is_own {
            refuse_other_names(&file, &key)?;
        }
    }
    Ok(())
}

/// A cover stands on one name.
fn refuse_other_names(file: &Path, key: &str) -> Result<()> {
    let stat = match rustix::fs::lstat(file) {
        Err(Errno::NOENT) => return Ok(()),
        stat => stat.map_err(|errno| Error::path("examine", file)(errno.into()))?,
    };
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => "is a symbolic link",
        _ if stat.st_nlink > 1 => "has another name (a hard link)",
        _ => return Ok(()),
    };
    let message = format!("{} {what}, by which the container could rewrite it", file.display());
    Err(refuse(key, &message, Some(REMEDY)))
}

/// The roots of all that is mounted below a directory.
fn mounts_below(directory: &Path) -> Result<Vec<FileId>> {
    const MOUNTS: &str = "/proc/self/mountinfo";
    let directory = directory.canonicalize().map_err(Error::path("examine", directory))?;
    let text = std::fs::read(MOUNTS).map_err(Error::path("read", Path::new(MOUNTS)))?;
    let text = String::from_utf8_lossy(&text);
    let all = mounts(&text).into_iter().map(|mount| mount.point);
    let below = all.filter(|point| point.starts_with(&directory) && *point != directory);
    Ok(below.filter_map(|point| id_of(&point)).collect())
}

/// A directory and those above it, told apart by identity, whatever their names.
struct Lineage(Vec<Option<FileId>>);

impl Lineage {
    fn of(path: &Path) -> Lineage {
        Lineage(path.ancestors().map(id_of).collect())
    }

    fn is(&self, id: FileId) -> bool {
        self.0.first() == Some(&Some(id))
    }

    fn is_below(&self, id: FileId) -> bool {
        self.0.iter().skip(1).any(|above| *above == Some(id))
    }
}

fn id_of(path: &Path) -> Option<FileId> {
    rustix::fs::stat(path).ok().map(|stat| FileId::of(&stat))
}
