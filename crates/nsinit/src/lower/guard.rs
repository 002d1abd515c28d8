//! Parent: what the container must not be able to write: its own configuration, which
//! the next command on the host obeys, and its state.
//!
//! Where the container's directory is its root filesystem, `container.json` and `pid`
//! are covered. A cover holds a file, not a directory above it: that can be renamed,
//! and a new one made in its place.

use std::path::Path;

use nsinit_config::MountKind;

use super::{Source, refuse};
use crate::error::Result;
use crate::program::FileId;

const REMEDY: &str = "keep container.json outside: beside the root filesystem, not in it, and \
                      not below what the container may write (--root names its directory)";

pub(super) fn own_files(source: &Source<'_>, may_mount: bool) -> Result<()> {
    let own: Vec<Lineage> = [Some(source.directory), source.run_directory]
        .into_iter()
        .flatten()
        .map(Lineage::of)
        .collect();
    if let Some(root) = source.rootfs.path().and_then(id_of) {
        if own.iter().any(|own| own.is_below(root)) {
            let message = "the container could replace its own configuration or state, which \
                           lies below its root filesystem";
            return Err(refuse("rootfs", message, Some(REMEDY)));
        }
        if own[0].is(root) && may_mount {
            let message = "with SYS_ADMIN the container could uncover its own configuration, \
                           which lies in its root filesystem";
            return Err(refuse("capabilities", message, Some(REMEDY)));
        }
    }
    let is_held = |id: FileId| own.iter().any(|own| own.is(id) || own.is_below(id));
    for (index, mount) in source.container.mounts.iter().enumerate() {
        let writable = mount.kind == MountKind::Bind && mount.writable;
        let Some(path) = mount.source.as_ref().filter(|_| writable) else { continue };
        if id_of(path).is_some_and(is_held) {
            let message = format!(
                "{} holds the container's own configuration or state, which it could rewrite",
                path.display()
            );
            return Err(refuse(&format!("mounts[{index}].source"), &message, Some(REMEDY)));
        }
    }
    Ok(())
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
