//! Child: the descriptors and the little state that the steps hand to each other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::Errno;

/// A fixed table of descriptors, all of them close-on-exec and all of them opened
/// in the mount namespace of the container.
#[derive(Debug, Default)]
pub struct Child {
    pub(crate) kernel: Kernel,
    pub(crate) umask: Option<Mode>,
    pub(crate) root: Option<OwnedFd>,
    pub(crate) proc: Option<OwnedFd>,
    pub(crate) scratch: Option<OwnedFd>,
    pub(crate) dev: Option<OwnedFd>,
    pub(crate) null: Option<OwnedFd>,
    pub(crate) console: Option<OwnedFd>,
    pub(crate) slave: Option<OwnedFd>,
}

/// Which of the newer system calls may be used: told by the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(crate) openat2: Openat2,
    pub(crate) mount_setattr: MountSetattr,
}

/// Whether paths below the root are resolved by the kernel or walked by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Openat2 {
    Present,
    Missing,
}

/// Whether attributes are set in one call or by a walk over the mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MountSetattr {
    Present,
    Missing,
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel { openat2: Openat2::Present, mount_setattr: MountSetattr::Present }
    }
}

impl Child {
    /// An empty table.
    #[must_use]
    pub fn new() -> Child {
        Child::default()
    }

    /// The detached procfs of the child's PID namespace, from the second step on
    /// and until the table is dropped: for sysctls, labels and time offsets. No path
    /// of the container leads to it and nothing can be mounted over its files.
    #[must_use]
    pub fn proc(&self) -> Option<BorrowedFd<'_>> {
        self.proc.as_ref().map(AsFd::as_fd)
    }

    /// Takes the master of the console's pseudo terminal, to be sent to the parent.
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }

    /// The container's end of the console, to be made standard input and output and
    /// the controlling terminal.
    #[must_use]
    pub fn console_slave(&self) -> Option<BorrowedFd<'_>> {
        self.slave.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn root(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.root.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    pub(crate) fn dev(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.dev.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    pub(crate) fn scratch(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.scratch.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }
}
