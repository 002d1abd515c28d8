//! Both: how a new process gets into a cgroup; opened by the parent, used by the child.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// What a child needs to be in the cgroup before it does anything else.
///
/// On v2 the child is born there: give [`clone_into`](Entry::clone_into) to
/// clone3(2) as `CLONE_INTO_CGROUP`. On v1 the child calls
/// [`enter`](Entry::enter) as one of its first steps; a hybrid host has both.
/// All descriptors are open before the clone and closed by execve.
///
/// A thread that moves itself by writing "0" to `tasks` spares the kernel the
/// lock over all processes of the host that moving another one takes.
#[derive(Debug)]
pub struct Entry {
    pub(crate) clone_into: Option<OwnedFd>,
    pub(crate) files: Vec<OwnedFd>,
}

impl Entry {
    /// The directory for clone3(2) with `CLONE_INTO_CGROUP`; `None` on a host
    /// without v2, and in an entry that works by writing alone.
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.clone_into.as_ref().map(AsFd::as_fd)
    }

    /// Whether [`enter`](Entry::enter) has something to do.
    pub fn needs_child_step(&self) -> bool {
        !self.files.is_empty()
    }

    /// What [`enter`](Entry::enter) uses: a child that closes everything else must keep
    /// these.
    pub fn files(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.files.iter().map(AsFd::as_fd)
    }

    /// Moves the calling thread into every cgroup that it was not born in;
    /// for a child that has one thread only.
    ///
    /// Allocates nothing and takes no lock: made for the time between clone and
    /// execve. Must precede the change of user, because v1 compares the
    /// effective user of whoever opened the files with the one that moves.
    ///
    /// # Errors
    /// The kernel's answer: `EINVAL` for a real-time task in a v1 cpu cgroup
    /// without real-time budget, `ENODEV` when the cgroup was removed.
    pub fn enter(&self) -> Result<(), Errno> {
        for file in &self.files {
            rustix::io::retry_on_intr(|| rustix::io::write(file, b"0"))?;
        }
        Ok(())
    }
}
