//! Parent: what the container must not be able to write: its own configuration, which
//! the next command on the host obeys, and its state.
//!
//! Where the container's directory is its root filesystem, `container.json` and `pid`
//! are covered. A cover holds a file, not a directory above it: that can be renamed,
//! and a new one made in its place.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nsinit_config::MountKind;

use super::{Source, refuse};
use crate::error::Result;

const REMEDY: &str = "keep container.json outside: beside the root filesystem, not in it, and \
                      not below what the container may write (--root names its directory)";

pub(super) fn own_files(source: &Source<'_>, may_mount: bool) -> Result<()> {
    let root = source.rootfs.path();
    let own: Vec<&Path> =
        [Some(source.directory), source.run_directory].into_iter().flatten().collect();
    if let Some(root) = root {
        let directory_is_root = is_same(source.directory, root);
        if own.iter().any(|own| is_above(root, own) && !is_same(root, own)) {
            let message = "the container could replace its own configuration or state, which \
                           lies below its root filesystem";
            return Err(refuse("rootfs", message, Some(REMEDY)));
        }
        if directory_is_root && may_mount {
            let message = "with SYS_ADMIN the container could uncover its own configuration, \
                           which lies in its root filesystem";
            return Err(refuse("capabilities", message, Some(REMEDY)));
        }
    }
    for (index, mount) in source.container.mounts.iter().enumerate() {
        let writable = mount.kind == MountKind::Bind && mount.writable;
        let Some(path) = mount.source.as_ref().filter(|_| writable) else { continue };
        if own.iter().any(|own| is_above(path, own)) {
            let message = format!(
                "{} holds the container's own configuration or state, which it could rewrite",
                path.display()
            );
            return Err(refuse(&format!("mounts[{index}].source"), &message, Some(REMEDY)));
        }
    }
    Ok(())
}

/// Whether `path` is `above`, or lies below it: by identity, whatever the names.
fn is_above(above: &Path, path: &Path) -> bool {
    path.ancestors().any(|ancestor| is_same(above, ancestor))
}

fn is_same(a: &Path, b: &Path) -> bool {
    let (Ok(a), Ok(b)) = (a.metadata(), b.metadata()) else { return false };
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}
