//! Child: change the namespaces and the ids of the calling process.

use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::{Kinds, sys};

/// Moves the calling thread into new namespaces (unshare(2)).
///
/// A new pid namespace takes effect for the next child, a new time namespace
/// too (but see [`TimeOffsets::enter`](crate::TimeOffsets::enter)); a new
/// user namespace needs a process with one thread.
///
/// # Errors
/// Errors of unshare(2).
pub fn unshare(kinds: Kinds) -> Result<(), Errno> {
    sys::unshare(kinds.bits())
}

/// Becomes user 0 and group 0 of the user namespace, with no supplementary
/// groups, once the maps are written (user_namespaces(7)).
///
/// `setgroups_allowed` is the opposite of
/// [`IdMaps::denies_setgroups`](crate::IdMaps::denies_setgroups): where
/// setgroups(2) is denied the groups of the caller stay.
///
/// Where user 0 of the namespace is another user than the caller, the kernel
/// clears the parent death signal and makes the process not dumpable
/// (prctl(2)): set those afterwards.
///
/// # Errors
/// `EINVAL` when 0 is not mapped; `EPERM` when `setgroups_allowed` is wrong.
pub fn become_root(setgroups_allowed: bool) -> Result<(), Errno> {
    if setgroups_allowed {
        set_thread_groups(&[])?;
    }
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
}
