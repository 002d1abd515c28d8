//! Child: what a `Command`'s child does between the clone and execve. It
//! allocates nothing.
//!
//! ```text
//!   parent (command.rs)                     child (here)
//!   clone3 ──────────────────────────────▶
//!   write uid_map, gid_map
//!   Go ──────────────────────────────────▶  become root, mount propagation
//!                                           execve
//!        ◀──────────────────────────── EOF  the program runs
//!        ◀─────────── Failure, then it ends
//! ```

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::BorrowedFd;

use rustix::fs::Access;
use rustix::io::{Errno, retry_on_intr};
use rustix::mount::{MountPropagationFlags, mount_change};

use crate::become_root;
use crate::sys::{self, CVector};

/// The only message from the parent.
pub(crate) const GO: &[u8] = b"g";

/// The length of a [`Failure`] on the channel, in bytes.
pub(crate) const FAILURE: usize = 5;

/// What the child was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    BecomeRoot,
    MountPropagation,
    Execute,
}

/// What failed, and the kernel's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) action: Action,
    pub(crate) errno: Errno,
}

impl Failure {
    fn encode(self) -> [u8; FAILURE] {
        let [a, b, c, d] = self.errno.raw_os_error().to_ne_bytes();
        [self.action as u8, a, b, c, d]
    }

    pub(crate) fn decode(bytes: [u8; FAILURE]) -> Self {
        let [action, a, b, c, d] = bytes;
        let actions = [Action::BecomeRoot, Action::MountPropagation];
        let action = actions.into_iter().find(|known| *known as u8 == action);
        Self {
            action: action.unwrap_or(Action::Execute),
            errno: Errno::from_raw_os_error(i32::from_ne_bytes([a, b, c, d])),
        }
    }
}

/// Everything the child needs, ready before the clone.
pub(crate) struct Program {
    /// Where the program may be, in the order of PATH; at least one.
    pub(crate) places: Vec<CString>,
    pub(crate) argv: CVector,
    pub(crate) envp: CVector,
    /// Become user 0; inside: whether setgroups(2) is allowed.
    pub(crate) root: Option<bool>,
    /// There is a new mount namespace.
    pub(crate) mount: bool,
}

impl Program {
    pub(crate) fn run(&self, parents_end: BorrowedFd<'_>, channel: BorrowedFd<'_>) -> Infallible {
        // Must precede the wait: with this copy open the death of the parent
        // would not be the end of the channel.
        sys::close_inherited(parents_end);
        let mut go = [0; GO.len()];
        if retry_on_intr(|| rustix::io::read(channel, &mut go)) != Ok(GO.len()) {
            sys::exit(101);
        }
        let Err(failure) = self.execute();
        // If nobody reads it, nobody waits for it either.
        let _ = rustix::io::write(channel, &failure.encode());
        sys::exit(101)
    }

    fn execute(&self) -> Result<Infallible, Failure> {
        let about = |action| move |errno| Failure { action, errno };
        if let Some(setgroups_allowed) = self.root {
            become_root(setgroups_allowed).map_err(about(Action::BecomeRoot))?;
        }
        if self.mount {
            // What the program mounts must not appear outside: a new mount
            // namespace shares events with the one that it is a copy of
            // (mount_namespaces(7)).
            let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
            mount_change(c"/", slave).map_err(about(Action::MountPropagation))?;
        }
        sys::signals_for_a_program();
        Err(about(Action::Execute)(self.execve()))
    }

    /// As execvp(3) searches: the first that can be executed; a file that may
    /// not be is the better answer than none.
    fn execve(&self) -> Errno {
        let mut answer = Errno::NOENT;
        let mut searched_all = true;
        for place in &self.places {
            match sys::execve(place, &self.argv, &self.envp) {
                Errno::NOENT | Errno::NOTDIR => {}
                // Of the program, or of a directory of PATH that others own.
                Errno::ACCESS if rustix::fs::access(place.as_c_str(), Access::EXISTS).is_err() => {
                    searched_all = false;
                }
                Errno::ACCESS => answer = Errno::ACCESS,
                errno => return errno,
            }
        }
        if self.places.len() == 1 && !searched_all { Errno::ACCESS } else { answer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_channel() {
        for action in [Action::BecomeRoot, Action::MountPropagation, Action::Execute] {
            let failure = Failure { action, errno: Errno::PERM };
            assert_eq!(Failure::decode(failure.encode()), failure);
        }
    }
}
