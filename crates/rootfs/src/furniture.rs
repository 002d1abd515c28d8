//! Parent: everything that a root filesystem is furnished with, as plain data.

use std::path::PathBuf;

use crate::{Device, Facts, Mount};

/// What [`Rootfs::steps`](crate::Rootfs::steps) turns into steps.
///
/// `Default` is a container's: all mounts, devices and masks of
/// [`Mount::defaults`], [`Device::defaults`], [`MASKED`] and [`READ_ONLY`], and the
/// facts of [`Facts::probe`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Furniture {
    /// Mounts in their order. A later one on the same destination replaces an
    /// earlier one in its place. Without one on `/dev` [`Mount::dev`] comes after
    /// the mount on `/proc`, or first: `/dev` is always our own tmpfs.
    pub mounts: Vec<Mount>,
    /// Device nodes, below `/dev`. A later one with the same path wins.
    pub devices: Vec<Device>,
    /// Absolute paths of the container that read as empty. A missing one is skipped.
    pub masked: Vec<PathBuf>,
    /// Absolute paths of the container that cannot be written. A missing one is
    /// skipped.
    pub read_only: Vec<PathBuf>,
    /// Files of the host (the own configuration, the pid file) over which an empty
    /// read-only file is put where they lie below the root, and in every writable bind of
    /// the very directory that has them. One that does
    /// not exist when the steps are walked is skipped: its name is then the container's
    /// to take; a symbolic link ends the launch (`ELOOP`). From then on they are written in place: replacing one by rename(2) takes
    /// the cover away.
    pub covered: Vec<PathBuf>,
    /// Makes the root filesystem read-only after everything is in its place.
    pub read_only_root: bool,
    /// How the root becomes `/`.
    pub pivot: Pivot,
    /// Opens a pseudo terminal in the new devpts and binds it on `/dev/console`.
    pub console: bool,
    /// SELinux label of everything that is made on a tmpfs or a devpts here
    /// ([`Mount::label`] is another one for that mount). The root directory, bind
    /// mounts and what the kernel shows keep theirs.
    pub label: Option<String>,
    /// Facts about host and namespaces.
    pub facts: Facts,
}

impl Default for Furniture {
    fn default() -> Furniture {
        Furniture::of(Facts::probe())
    }
}

impl Furniture {
    /// The default furniture, with facts that are known already.
    #[must_use]
    pub fn of(facts: Facts) -> Furniture {
        Furniture {
            mounts: Mount::defaults(),
            devices: Device::defaults(),
            masked: MASKED.iter().map(PathBuf::from).collect(),
            read_only: READ_ONLY.iter().map(PathBuf::from).collect(),
            covered: Vec::new(),
            read_only_root: false,
            pivot: Pivot::default(),
            console: false,
            label: None,
            facts,
        }
    }
}

/// How the root filesystem becomes `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pivot {
    /// `pivot_root(2)`; the old root is detached.
    #[default]
    PivotRoot,
    /// For a host whose root is a ramdisk (it cannot be pivoted): the root stands
    /// over `/`, every other mount of the host is detached, then `chroot(2)`.
    MoveMount,
}

/// Masked by default: what tells about or acts on the host's kernel.
pub const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/dynamic_debug",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/mtrr",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
    "/sys/fs/bpf",
    "/sys/fs/selinux",
    "/sys/power",
];

/// Read-only by default.
pub const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"];
