//! The ordinary user of the machine; `/etc/passwd` and `/etc/subuid` have him too.

use std::os::unix::fs::chown;

use crate::Result;
use crate::mounts::make;

pub(crate) const UID: u32 = 1000;
pub(crate) const HOME: &str = "/home/user";
/// His XDG_RUNTIME_DIR.
pub(crate) const RUN: &str = "/run/user/1000";

pub(crate) fn directories() -> Result {
    make("/run/user", 0o755)?;
    for (directory, mode) in [(HOME, 0o755), (RUN, 0o700)] {
        make(directory, mode)?;
        chown(directory, Some(UID), Some(UID)).map_err(|error| format!("{directory}: {error}"))?;
    }
    Ok(())
}
