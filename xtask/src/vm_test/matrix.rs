//! The cells: which kernel, which hierarchies, which label system.

use std::path::PathBuf;

use super::lock::Wanted;

/// One virtual machine and what is in it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) name: &'static str,
    pub(super) kernel: Linux,
    pub(super) cgroups: Cgroups,
    pub(super) lsm: Lsm,
    pub(super) init: Init,
    pub(super) labeler: Labeler,
    pub(super) share: Share,
}

/// Which tests run in a cell, so that none runs where nothing about it is new.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Share {
    /// What differs from kernel to kernel.
    All,
    /// What depends on the age of the kernel, and what cgroups have a part in.
    Age,
    /// All, without what depends on the age of the kernel only.
    Launches,
    /// Of this, what label systems and cgroups have a part in.
    Rest,
    /// What cgroups have a part in.
    Cgroups,
    /// What label systems have a part in.
    Labels,
}

/// Where a kernel comes from.
#[derive(Clone, Debug)]
pub(super) enum Linux {
    /// The name of a cache, and the packages.
    Debian(&'static str, &'static [Wanted]),
    /// What this machine runs.
    Host,
    Files {
        image: PathBuf,
        modules: PathBuf,
    },
}

/// PID 1, and so who owns the cgroups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Init {
    Guest,
    /// With a manager for the user, and nsinit with the cargo feature `systemd`.
    Systemd,
}

/// What nsinit asks about SELinux.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Labeler {
    Kernel,
    Libselinux,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cgroups {
    V1,
    V2,
    Hybrid,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lsm {
    Selinux,
    AppArmor,
    None,
}

const fn wanted(suite: &'static str, name: &'static str) -> Wanted {
    Wanted { suite, name }
}

/// The oldest that nsinit supports. No Landlock, no mount_setattr, no cgroup.kill.
const LINUX_5_10: Linux =
    Linux::Debian("linux-5.10", &[wanted("bullseye", "linux-image-5.10.*-cloud-amd64")]);
/// Every controller of version 1.
const LINUX_6_1: Linux =
    Linux::Debian("linux-6.1", &[wanted("bookworm", "linux-image-6.1.*-cloud-amd64")]);
/// No memory and no cpuset controller in version 1.
const LINUX_6_12: Linux =
    Linux::Debian("linux-6.12", &[wanted("bookworm-security", "linux-image-6.12.*-cloud-amd64")]);
const LINUX_NEWEST: Linux = Linux::Debian(
    "linux-newest",
    &[wanted("sid", "linux-binary-*-cloud-amd64"), wanted("sid", "linux-modules-*-cloud-amd64")],
);

pub(super) const fn cell(
    name: &'static str,
    kernel: Linux,
    cgroups: Cgroups,
    lsm: Lsm,
    share: Share,
) -> Cell {
    Cell { name, kernel, cgroups, lsm, init: Init::Guest, labeler: Labeler::Kernel, share }
}

const fn with_systemd(mut cell: Cell) -> Cell {
    cell.init = Init::Systemd;
    cell
}

const fn with_libselinux(name: &'static str, kernel: Linux, cgroups: Cgroups) -> Cell {
    let mut cell = cell(name, kernel, cgroups, Lsm::Selinux, Share::Labels);
    cell.labeler = Labeler::Libselinux;
    cell
}

pub(super) static CELLS: [Cell; 15] = [
    cell("6.1-v2-selinux", LINUX_6_1, Cgroups::V2, Lsm::Selinux, Share::Rest),
    cell("6.1-v1-apparmor", LINUX_6_1, Cgroups::V1, Lsm::AppArmor, Share::Rest),
    cell("6.12-v2-apparmor", LINUX_6_12, Cgroups::V2, Lsm::AppArmor, Share::Labels),
    cell("6.1-v2-apparmor", LINUX_6_1, Cgroups::V2, Lsm::AppArmor, Share::Labels),
    cell("6.1-hybrid", LINUX_6_1, Cgroups::Hybrid, Lsm::None, Share::Cgroups),
    cell("6.12-v2-selinux", LINUX_6_12, Cgroups::V2, Lsm::Selinux, Share::Launches),
    cell("6.12-v1", LINUX_6_12, Cgroups::V1, Lsm::None, Share::Cgroups),
    cell("5.10-v1-selinux", LINUX_5_10, Cgroups::V1, Lsm::Selinux, Share::Launches),
    cell("5.10-v2-apparmor", LINUX_5_10, Cgroups::V2, Lsm::AppArmor, Share::Age),
    cell("newest-v2-apparmor", LINUX_NEWEST, Cgroups::V2, Lsm::AppArmor, Share::Rest),
    with_systemd(cell("6.1-v2-systemd", LINUX_6_1, Cgroups::V2, Lsm::None, Share::Cgroups)),
    with_libselinux("6.1-v2-libselinux", LINUX_6_1, Cgroups::V2),
    with_libselinux("6.12-v2-libselinux", LINUX_6_12, Cgroups::V2),
    with_libselinux("5.10-v1-libselinux", LINUX_5_10, Cgroups::V1),
    cell("host", Linux::Host, Cgroups::V2, Lsm::None, Share::All),
];

/// How many of them `--quick` takes, from the first.
pub(super) const QUICK: usize = 3;

impl Cgroups {
    pub(super) fn word(self) -> &'static str {
        match self {
            Cgroups::V1 => "v1",
            Cgroups::V2 => "v2",
            Cgroups::Hybrid => "hybrid",
        }
    }
}

impl Lsm {
    pub(super) fn word(self) -> &'static str {
        match self {
            Lsm::Selinux => "selinux",
            Lsm::AppArmor => "apparmor",
            Lsm::None => "none",
        }
    }

    /// What the kernel is told. `selinux=1` has no effect on Debian's, and
    /// `apparmor=0` starts SELinux without a policy.
    pub(super) fn kernel_word(self) -> &'static str {
        match self {
            Lsm::Selinux => "security=selinux",
            Lsm::AppArmor => "security=apparmor",
            Lsm::None => "lsm=landlock,yama,bpf",
        }
    }
}
