//! Parent: what the plan must know about the host and about the namespaces.

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use crate::sys;

/// Facts that decide between two ways of doing the same thing.
///
/// [`Facts::probe`] asks the kernel for what a process can see about itself; the
/// caller adds which namespaces will be new.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The child runs in a user namespace that is not the caller's. proc, sysfs
    /// and mqueue then need a new namespace of their kind, and device nodes are
    /// bound instead of made.
    pub user_namespace: bool,
    /// `mknod(2)` of devices is permitted (`CAP_MKNOD` in the initial user
    /// namespace). Ignored when `user_namespace` is set.
    pub can_mknod: bool,
    /// Namespaces that are new to the child.
    pub new: NewNamespaces,
    /// How the default `/sys/fs/cgroup` is mounted.
    pub cgroup: CgroupMode,
    /// `mount_setattr(2)` is there (kernel 5.12). Without it read-only and other
    /// flags are set by a walk over the mounts.
    pub mount_setattr: bool,
    /// `openat2(2)` is there and no outer filter refuses it. Without it paths
    /// below the root are walked, and every symbolic link on them is refused.
    pub openat2: bool,
    /// Group 5 (tty) exists in the child's user namespace: devpts gets `gid=5`.
    pub maps_tty_gid: bool,
}

/// Which namespaces are new to the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewNamespaces {
    /// A new PID namespace: proc shows the container's processes.
    pub pid: bool,
    /// A new network namespace: sysfs shows the container's links.
    pub net: bool,
    /// A new IPC namespace: mqueue is mounted.
    pub ipc: bool,
    /// A new cgroup namespace, in which the child already is when it walks the
    /// steps: `/sys/fs/cgroup` is mounted.
    pub cgroup: bool,
}

/// The cgroup hierarchies of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CgroupMode {
    /// None is usable: a `cgroup` mount is an error, a default one is left out.
    #[default]
    None,
    /// Version 2 alone.
    Unified,
    /// Version 1, or a hybrid host: one directory for each hierarchy.
    Legacy(Vec<Hierarchy>),
}

/// One hierarchy of a version 1 or hybrid host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Directory below `/sys/fs/cgroup`, such as `cpu,cpuacct` or `unified`.
    pub directory: String,
    /// Controllers joined by commas, such as `cpu,cpuacct`, or `name=systemd`.
    /// Empty: the unified tree of a hybrid host.
    pub controllers: String,
}

impl Facts {
    /// Asks the kernel for `openat2`, `mount_setattr` and `CAP_MKNOD`; no namespace
    /// is new, there are no cgroups, and `maps_tty_gid` is true.
    #[must_use]
    pub fn probe() -> Facts {
        let effective = rustix::thread::capabilities(None).map(|sets| sets.effective);
        Facts {
            can_mknod: effective.is_ok_and(|set| set.contains(CapabilitySet::MKNOD)),
            mount_setattr: sys::mount_setattr_exists(),
            openat2: openat2_works(),
            maps_tty_gid: true,
            ..Facts::default()
        }
    }
}

/// An outer container's filter answers ENOSYS or EPERM to `openat2(2)`.
fn openat2_works() -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let answer = rustix::fs::openat2(CWD, c"/", flags, Mode::empty(), ResolveFlags::IN_ROOT);
    !matches!(answer, Err(Errno::NOSYS | Errno::PERM))
}
