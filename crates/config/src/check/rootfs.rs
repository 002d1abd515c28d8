//! Parent: checks of `rootfs`, `masked_paths` and `readonly_paths`.

use std::path::{Path, PathBuf};

use super::{Findings, paths};
use crate::key_path::At;
use crate::{Container, RootfsSource, TmpfsRoot};

/// The kernel makes file systems of whole pages.
const PAGE: u64 = 4096;

pub(super) fn check(found: &mut Findings, container: &Container) {
    let at = At::Root.key("rootfs");
    match &container.rootfs {
        Some(RootfsSource::Directory(path)) => directory(found, at, path),
        Some(RootfsSource::Tmpfs(root)) => tmpfs(found, at, *root),
        None => {}
    }
    path_list(found, At::Root.key("masked_paths"), container.masked_paths.as_deref());
    path_list(found, At::Root.key("readonly_paths"), container.readonly_paths.as_deref());
}

fn directory(found: &mut Findings, at: At<'_>, path: &Path) {
    if !found.path(at, path) {
        return;
    }
    if path.starts_with("~") || path.to_string_lossy().starts_with('$') {
        let help = "write a path, absolute or relative to the directory of the configuration";
        found.fault(at, "~ and variables are not expanded").help(help);
    }
    if path.is_absolute() && paths::normal(path) == "/" {
        found.fault(at, "must not be the host's root directory");
    }
}

fn tmpfs(found: &mut Findings, at: At<'_>, root: TmpfsRoot) {
    if let Some(size) = root.size.filter(|&size| size < PAGE) {
        found.fault(at.key("size"), format!("too small: at least {PAGE} bytes, got {size}"));
    }
    // The kernel would take it for no limit.
    if let Some(size) = root.size.filter(|&size| i64::try_from(size).is_err()) {
        found.fault(at.key("size"), format!("at most {} bytes, got {size}", i64::MAX));
    }
    if root.inodes == Some(0) {
        found.fault(at.key("inodes"), "must be at least 1, got 0");
    }
}

fn path_list(found: &mut Findings, at: At<'_>, list: Option<&[PathBuf]>) {
    for (index, path) in list.unwrap_or_default().iter().enumerate() {
        let at = at.index(index);
        if found.container_path(at, path) && paths::normal(path) == "/" {
            let fault = found.fault(at, "must not be the root directory");
            fault.help("readonly_fs makes the whole root file system read-only");
        }
    }
}
