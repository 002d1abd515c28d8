//! The ordinary user of the machine; `/etc/passwd` and `/etc/subuid` have him too.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use crate::Result;
use crate::mounts::make;

pub(crate) const UID: u32 = 1000;
pub(crate) const HOME: &str = "/home/user";
/// His XDG_RUNTIME_DIR.
pub(crate) const RUN: &str = "/run/user/1000";

/// Each has a probe of his own where the tests work, so that they can link it:
/// links to another user's files are forbidden.
pub(crate) const PROBE: &str = "/tmp/users/probe";
pub(crate) const ROOTS_PROBE: &str = "/tmp/roots/probe";

pub(crate) fn directories() -> Result {
    make("/run/user", 0o755)?;
    for (directory, mode) in [(HOME, 0o755), (RUN, 0o700)] {
        make(directory, mode)?;
        chown(directory, Some(UID), Some(UID)).map_err(|error| format!("{directory}: {error}"))?;
    }
    for (probe, owner) in [(ROOTS_PROBE, 0), (PROBE, UID)] {
        make(Path::new(probe).parent().unwrap_or(Path::new("/")), 0o755)?;
        fs::copy("/usr/bin/probe", probe)
            .and_then(|_| chown(probe, Some(owner), Some(owner)))
            .map_err(|error| format!("{probe}: {error}"))?;
    }
    Ok(())
}
