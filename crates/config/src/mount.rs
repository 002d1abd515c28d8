//! Parent: mounts as written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::forms;

crate::forms::objects!(Mount);

/// One entry of `mounts`.
///
/// ```
/// use nsinit_config::Mount;
/// let data = Mount { writable: true, ..Mount::bind("/srv/data", "/data") };
/// assert!(Mount::tmpfs("/tmp").source.is_none() && data.writable);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Mount {
    /// What is mounted. Default: a bind mount.
    #[serde(rename = "type", default, skip_serializing_if = "MountKind::is_default")]
    pub kind: MountKind,

    /// Absolute path on the host; bind mounts only, and required there.
    #[serde(
        default,
        deserialize_with = "forms::present",
        serialize_with = "forms::optional_path",
        skip_serializing_if = "Option::is_none"
    )]
    pub source: Option<PathBuf>,

    /// Absolute path in the container.
    #[serde(serialize_with = "forms::path")]
    pub destination: PathBuf,

    /// Bind mounts and files: may be written. Default: false. Other types are
    /// writable unless `options` has `ro`.
    #[serde(default, skip_serializing_if = "forms::is_false")]
    pub writable: bool,

    /// Private propagation: no mount event passes. Default: false, which is
    /// slave propagation.
    #[serde(default, skip_serializing_if = "forms::is_false")]
    pub private: bool,

    /// Mount options: flags (`nosuid`), and what the type takes (`size=64m`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,

    /// Bind mounts: with everything mounted below, and read-only for it too.
    /// Default: true.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,

    /// How mount events pass. Default: private with `private`, otherwise slave.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Propagation>,

    /// SELinux label of a new file system (`context=`); not for bind mounts,
    /// files and links.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,

    /// A missing source is no error: the mount is left out. Default: false.
    #[serde(default, skip_serializing_if = "forms::is_false")]
    pub optional: bool,

    /// `file`: its whole text, UTF-8. Required there (`""` for an empty file).
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,

    /// `file`: permission bits, at most `0o777`; in JSON a number, or a string
    /// of octal digits (`"0644"`). Default: 0644.
    #[serde(default, with = "forms::octal", skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,

    /// `symlink`: what it points to, as it will be read in the container.
    #[serde(
        default,
        deserialize_with = "forms::present",
        serialize_with = "forms::optional_path",
        skip_serializing_if = "Option::is_none"
    )]
    pub target: Option<PathBuf>,
}

impl Mount {
    /// The host's `source` on `destination`: read-only, recursive, slave.
    pub fn bind(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Mount {
        Mount { source: Some(source.into()), ..Mount::of(MountKind::Bind, destination) }
    }

    /// An empty file system in memory.
    pub fn tmpfs(destination: impl Into<PathBuf>) -> Mount {
        Mount::of(MountKind::Tmpfs, destination)
    }

    /// A file with this text.
    pub fn file(destination: impl Into<PathBuf>, content: impl Into<String>) -> Mount {
        Mount { content: Some(content.into()), ..Mount::of(MountKind::File, destination) }
    }

    /// A symbolic link that points to `target`.
    pub fn symlink(destination: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Mount {
        Mount { target: Some(target.into()), ..Mount::of(MountKind::Symlink, destination) }
    }

    /// A mount of this type with every default.
    pub fn of(kind: MountKind, destination: impl Into<PathBuf>) -> Mount {
        Mount { kind, destination: destination.into(), ..Mount::default() }
    }
}

/// The `type` of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MountKind {
    /// A file or directory of the host.
    #[default]
    Bind,
    /// An empty file system in memory.
    Tmpfs,
    /// Processes of the container's PID namespace.
    Proc,
    /// The kernel's devices and modules.
    Sysfs,
    /// Pseudo terminals of the container's own.
    Devpts,
    /// POSIX message queues of the container's IPC namespace.
    Mqueue,
    /// The container's view of its control groups.
    Cgroup,
    /// A file with `content`.
    File,
    /// A symbolic link to `target`.
    Symlink,
}

impl MountKind {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            MountKind::Bind => "bind",
            MountKind::Tmpfs => "tmpfs",
            MountKind::Proc => "proc",
            MountKind::Sysfs => "sysfs",
            MountKind::Devpts => "devpts",
            MountKind::Mqueue => "mqueue",
            MountKind::Cgroup => "cgroup",
            MountKind::File => "file",
            MountKind::Symlink => "symlink",
        }
    }

    fn is_default(&self) -> bool {
        *self == MountKind::Bind
    }
}

/// How mount events pass between a mount and its peers (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// None pass.
    Private,
    /// From the host to the container.
    Slave,
    /// Both ways: what the container mounts there appears on the host.
    Shared,
}

impl Propagation {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Propagation::Private => "private",
            Propagation::Slave => "slave",
            Propagation::Shared => "shared",
        }
    }
}
