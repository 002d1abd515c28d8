//! Parent: device nodes as the caller describes them.

use std::path::PathBuf;

/// A device node below `/dev` of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Absolute path, below `/dev`.
    pub path: PathBuf,
    /// Character device, block device or FIFO.
    pub kind: DeviceKind,
    /// Major number (0 for a FIFO).
    pub major: u32,
    /// Minor number (0 for a FIFO).
    pub minor: u32,
    /// Permission bits. A node that is bound from the host keeps the host's.
    pub mode: u32,
    /// Owner in the container. A node that is bound from the host keeps the host's.
    pub uid: u32,
    /// Group in the container. A node that is bound from the host keeps the host's.
    pub gid: u32,
}

/// Type of a [`Device`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// Named pipe: needs no privilege.
    Fifo,
}

impl Device {
    /// A character device, mode 0666, owned by root.
    #[must_use]
    pub fn char(path: impl Into<PathBuf>, major: u32, minor: u32) -> Device {
        Device {
            path: path.into(),
            kind: DeviceKind::Char,
            major,
            minor,
            mode: 0o666,
            uid: 0,
            gid: 0,
        }
    }

    /// null, zero, full, random, urandom and tty: what every container has.
    #[must_use]
    pub fn defaults() -> Vec<Device> {
        vec![
            Device::char("/dev/null", 1, 3),
            Device::char("/dev/zero", 1, 5),
            Device::char("/dev/full", 1, 7),
            Device::char("/dev/random", 1, 8),
            Device::char("/dev/urandom", 1, 9),
            Device::char("/dev/tty", 5, 0),
        ]
    }
}
