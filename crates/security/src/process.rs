//! Child: attributes of the calling process that need a call each.

use std::os::fd::BorrowedFd;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{self, DumpableBehavior, Signal};
use rustix::thread;

use crate::procfs;
use crate::sys;

/// Sets the file mode creation mask; only the nine permission bits count (umask(2)).
pub fn set_umask(mask: u32) {
    process::umask(Mode::from_raw_mode(mask & 0o777));
}

/// Forbids, for good, that an execve gives more privileges (prctl(2), PR_SET_NO_NEW_PRIVS).
///
/// # Errors
/// None from a kernel of today; whatever an outer filter says.
pub fn no_new_privileges() -> Result<(), Errno> {
    thread::set_no_new_privs(true)
}

/// Joins a new, anonymous session keyring, so that the caller's keys are out of reach (keyctl(2)).
///
/// # Errors
/// All but ENOSYS: a kernel without keyrings has nothing to hide. EPERM and EACCES from an outer
/// filter, EDQUOT where the user has too many keys.
pub fn new_session_keyring() -> Result<(), Errno> {
    or_without_keyrings(sys::join_new_session_keyring())
}

fn or_without_keyrings(joined: Result<(), Errno>) -> Result<(), Errno> {
    match joined {
        Err(Errno::NOSYS) => Ok(()),
        result => result,
    }
}

/// Sets or clears the signal that this process gets when the thread that made it ends.
///
/// The kernel clears it when user, group or capabilities change (prctl(2), PR_SET_PDEATHSIG): it
/// has to be set again afterwards. A parent that ended before sends nothing: compare getppid(2).
///
/// # Errors
/// None from a kernel of today; whatever an outer filter says.
pub fn parent_death_signal(signal: Option<Signal>) -> Result<(), Errno> {
    process::set_parent_process_death_signal(signal)
}

/// Sets whether others of the same user may trace this process and open its files below `/proc`.
///
/// The kernel resets it when user, group or capabilities change, and at execve (prctl(2),
/// PR_SET_DUMPABLE).
///
/// # Errors
/// None from a kernel of today; whatever an outer filter says.
pub fn set_dumpable(dumpable: bool) -> Result<(), Errno> {
    process::set_dumpable_behavior(if dumpable {
        DumpableBehavior::Dumpable
    } else {
        DumpableBehavior::NotDumpable
    })
}

/// Writes `value`, from -1000 to 1000, to `self/oom_score_adj` below `proc`, a procfs of this pid
/// namespace (proc(5)).
///
/// # Errors
/// EINVAL for a value out of range, EACCES for lowering it below what an administrator set.
pub fn write_oom_score_adj(proc: BorrowedFd<'_>, value: i16) -> Result<(), Errno> {
    let mut text = [0u8; 8];
    procfs::write_own(proc, c"self/oom_score_adj", decimal(value, &mut text))
}

/// `value` in decimal, at the end of `text`.
fn decimal(value: i16, text: &mut [u8; 8]) -> &[u8] {
    let mut rest = value.unsigned_abs();
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        text[start] = b'-';
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kernel_without_keyrings_is_excused() {
        assert_eq!(or_without_keyrings(Err(Errno::NOSYS)), Ok(()));
        for errno in [Errno::PERM, Errno::ACCESS, Errno::DQUOT, Errno::INVAL] {
            assert_eq!(or_without_keyrings(Err(errno)), Err(errno));
        }
    }

    #[test]
    fn decimals() {
        for value in [0, 7, -1000, 1000, i16::MIN, i16::MAX] {
            assert_eq!(decimal(value, &mut [0; 8]), value.to_string().as_bytes());
        }
    }
}
