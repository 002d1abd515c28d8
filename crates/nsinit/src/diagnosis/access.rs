//! Parent: which directory of the host keeps the caller from a path.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Access;
use rustix::io::Errno;

/// The first directory on the way that the caller may not enter.
pub(super) fn closed(path: &Path) -> Option<String> {
    let mut above: Vec<_> = path.ancestors().skip(1).collect();
    above.reverse();
    let refuses = |at: &&Path| rustix::fs::access(*at, Access::EXEC_OK) == Err(Errno::ACCESS);
    let at = above.into_iter().find(refuses)?;
    let facts = at.metadata().ok()?;
    let (mode, uid, gid) = (facts.mode() & 0o7777, facts.uid(), facts.gid());
    let own = rustix::process::geteuid().as_raw();
    Some(format!(
        "{} may not be entered by user {own} (mode {mode:04o}, owner {uid}:{gid})",
        at.display()
    ))
}
