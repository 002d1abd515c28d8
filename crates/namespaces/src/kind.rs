//! Both: one kind of namespace.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A kind of namespace (namespaces(7)).
///
/// [`Display`](fmt::Display) and [`FromStr`] use the names of the kernel's
/// flags without their prefix: `NEWNS`, `NEWUTS`, …
///
/// ```
/// use nsinit_namespaces::Namespace;
/// let kind: Namespace = "NEWNS".parse()?;
/// assert_eq!((kind, kind.file()), (Namespace::Mount, "mnt"));
/// # Ok::<(), nsinit_namespaces::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// Mount points (mount_namespaces(7)).
    Mount,
    /// Host name and NIS domain name (uts_namespaces(7)).
    Uts,
    /// System V IPC and POSIX message queues (ipc_namespaces(7)).
    Ipc,
    /// User and group ids, and capabilities (user_namespaces(7)).
    User,
    /// Process ids (pid_namespaces(7)).
    Pid,
    /// Network devices, addresses, ports (network_namespaces(7)).
    Net,
    /// The root of the cgroup hierarchies (cgroup_namespaces(7)).
    Cgroup,
    /// The monotonic and boot clocks (time_namespaces(7)).
    Time,
}

impl Namespace {
    /// Every kind, in the order of the declaration.
    pub const ALL: [Self; 8] = [
        Self::Mount,
        Self::Uts,
        Self::Ipc,
        Self::User,
        Self::Pid,
        Self::Net,
        Self::Cgroup,
        Self::Time,
    ];

    /// The kernel's flag without `CLONE_`: `NEWNS`, `NEWUTS`, …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mount => "NEWNS",
            Self::Uts => "NEWUTS",
            Self::Ipc => "NEWIPC",
            Self::User => "NEWUSER",
            Self::Pid => "NEWPID",
            Self::Net => "NEWNET",
            Self::Cgroup => "NEWCGROUP",
            Self::Time => "NEWTIME",
        }
    }

    /// The name in `/proc/PID/ns`: `mnt`, `uts`, `ipc`, `user`, `pid`, `net`,
    /// `cgroup` or `time`.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Mount => "mnt",
            Self::Uts => "uts",
            Self::Ipc => "ipc",
            Self::User => "user",
            Self::Pid => "pid",
            Self::Net => "net",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }

    /// The word in messages: "mount namespace".
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            other => other.file(),
        }
    }

    /// The flag of clone(2), unshare(2) and setns(2).
    pub(crate) const fn flag(self) -> u32 {
        match self {
            Self::Mount => 0x0002_0000,
            Self::Uts => 0x0400_0000,
            Self::Ipc => 0x0800_0000,
            Self::User => 0x1000_0000,
            Self::Pid => 0x2000_0000,
            Self::Net => 0x4000_0000,
            Self::Cgroup => 0x0200_0000,
            Self::Time => 0x0000_0080,
        }
    }

    /// The kind whose flag this is, as ioctl `NS_GET_NSTYPE` answers.
    pub(crate) fn from_flag(flag: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.flag() == flag)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Namespace {
    type Err = Error;

    /// Exactly the names of [`Namespace::name`], in upper case.
    ///
    /// # Errors
    /// [`Error::UnknownNamespace`].
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::UnknownNamespace { name: name.to_owned() })
    }
}
