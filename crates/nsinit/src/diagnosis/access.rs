//! Parent: which directory of the host keeps the caller from a path.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nsinit_rootfs::{AttachRoot, Step as Furnish};
use rustix::fs::Access;
use rustix::io::Errno;

use crate::plan::Plan;
use crate::step::Step;

/// The first directory on the way that the caller may not enter.
pub(super) fn closed(path: &Path) -> Option<String> {
    let mut above: Vec<_> = path.ancestors().skip(1).collect();
    above.reverse();
    let refuses = |at: &&Path| rustix::fs::access(*at, Access::EXEC_OK) == Err(Errno::ACCESS);
    let at = above.into_iter().find(refuses)?;
    Some(format!("{} may not be entered by user {}", at.display(), whose(at)?))
}

/// That a path of the container has to be made in a directory in which the caller, who is
/// init's root, may not make it.
pub(crate) fn unmade(plan: &Plan, path: &Path) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    let maps = plan.id_maps.as_ref()?;
    maps.uids.iter().find(|map| (map.container_id, map.host_id) == (0, own))?;
    let root = plan.all_steps().find_map(|step| match step {
        Step::Rootfs(step @ Furnish::Root(AttachRoot::Directory { .. })) => Some(step.object()),
        _ => None,
    })?;
    // What is mounted on the way there is not the image's.
    let is_mounted = |step: &Step| match step {
        Step::Rootfs(step @ (Furnish::Mount(_) | Furnish::Bind(_))) => {
            path != step.object() && path.starts_with(step.object())
        }
        _ => false,
    };
    let place = root.join(path.strip_prefix("/").ok()?);
    if plan.all_steps().any(is_mounted) || place.symlink_metadata().is_ok() {
        return None;
    }
    let above = place.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok())?;
    let refused = rustix::fs::access(above, Access::WRITE_OK) == Err(Errno::ACCESS);
    let told = format!(
        "{} is not there, and {} may not be written by user {}: make it there as its owner",
        path.display(),
        above.display(),
        whose(above)?
    );
    refused.then_some(told)
}

/// `1000 (mode 0755, owner 0:0)`: who asks, and whose it is.
fn whose(directory: &Path) -> Option<String> {
    let facts = directory.metadata().ok()?;
    let (mode, uid, gid) = (facts.mode() & 0o7777, facts.uid(), facts.gid());
    let own = rustix::process::geteuid().as_raw();
    Some(format!("{own} (mode {mode:04o}, owner {uid}:{gid})"))
}
