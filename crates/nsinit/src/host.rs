//! Parent: facts about the host and the caller, read once.

use std::cell::OnceCell;
use std::path::Path;

use nsinit_cgroups::{Hierarchies, Hierarchy, Mode};
use nsinit_rootfs::{self as rootfs, CgroupMode, Facts};
use nsinit_security::{Capability, CapabilitySet, Lsm, Resource};

use crate::error::{Error, Result};
use crate::program::FileId;

/// What a plan depends on besides the configuration. A plain value: a plan
/// for another host can be made by changing it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Host {
    /// The caller's effective user id.
    pub uid: u32,
    /// The caller's effective group id.
    pub gid: u32,
    /// Whether namespaces can be made without a user namespace (`CAP_SYS_ADMIN`).
    pub privileged: bool,
    /// Whether the caller is in the host's first user namespace, to which every namespace
    /// that it is in belongs.
    pub first_user_namespace: bool,
    /// The highest group id that there is in the caller's user namespace, at most `i32::MAX`.
    pub highest_gid: u32,
    /// Whether setgroups(2) is forbidden in the caller's user namespace
    /// (user_namespaces(7)), and so in those below it.
    pub setgroups_denied: bool,
    /// What the caller could give to a program.
    pub bounding: CapabilitySet,
    /// Whether standard input and output are terminals.
    pub terminal: bool,
    /// `TERM` of the caller.
    pub term: Option<String>,
    /// The Linux security modules, asked before any set-up.
    pub lsm: Lsm,
    /// Whether the kernel knows IPv6.
    pub ipv6: bool,
    /// What the rootfs crate must know, but for the cgroups.
    pub rootfs: Facts,
    /// The cgroup hierarchies: looked for when a configuration asks.
    pub cgroups: OnceCell<CgroupMode>,
    /// The caller's hard limits, above which a default does not go; None is infinity.
    pub hard_limits: HardLimits,
    /// The running executable, which is never started in a container.
    pub own_executable: Option<FileId>,
}

/// Hard resource limits (getrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardLimits {
    /// Open files.
    pub nofile: Option<u64>,
    /// Bytes of a core dump.
    pub core: Option<u64>,
}

impl Host {
    /// The cgroup hierarchies, for the mount in the container.
    #[must_use]
    pub fn cgroup_mode(&self) -> &CgroupMode {
        self.cgroups.get_or_init(cgroup_mode)
    }

    /// Asks the kernel. Reads only.
    ///
    /// # Errors
    ///
    /// When a security module is there but does not answer: then nothing can be
    /// promised about labels.
    pub fn probe() -> Result<Host> {
        let permitted = CapabilitySet::permitted_of_caller().map_err(Error::Security)?;
        let own = rustix::fs::stat(c"/proc/self/exe");
        let first_user_namespace = in_first_user_namespace();
        Ok(Host {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            privileged: permitted.contains(Capability::SysAdmin),
            first_user_namespace,
            highest_gid: if first_user_namespace { HIGHEST_GID } else { highest_gid() },
            setgroups_denied: !first_user_namespace && setgroups_denied("self"),
            bounding: CapabilitySet::bounding_of_caller(),
            terminal: rustix::termios::isatty(rustix::stdio::stdin())
                && rustix::termios::isatty(rustix::stdio::stdout()),
            term: std::env::var("TERM").ok().filter(|term| !term.is_empty()),
            lsm: Lsm::init().map_err(Error::Security)?,
            ipv6: is_there(Path::new("/proc/sys/net/ipv6"))?,
            rootfs: Facts::probe(),
            cgroups: OnceCell::new(),
            hard_limits: HardLimits {
                nofile: Resource::Nofile.current().1,
                core: Resource::Core.current().1,
            },
            own_executable: own.ok().map(|stat| FileId::of(&stat)),
        })
    }
}

/// What cannot be looked at is not taken for missing: defaults depend on it.
fn is_there(path: &Path) -> Result<bool> {
    path.try_exists().map_err(Error::path("examine", path))
}

/// The first one has this inode (linux/nsfs.h, `USER_NS_INIT_INO`).
fn in_first_user_namespace() -> bool {
    const INODE: u64 = 0xEFFF_FFFD;
    rustix::fs::stat(c"/proc/self/ns/user").is_ok_and(|stat| stat.st_ino == INODE)
}

/// Whether setgroups(2) is forbidden in the user namespace of a process.
pub(crate) fn setgroups_denied(process: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/setgroups"))
        .is_ok_and(|value| value.trim() == "deny")
}

const HIGHEST_GID: u32 = i32::MAX as u32;

fn highest_gid() -> u32 {
    let maps = std::fs::read_to_string("/proc/self/gid_map").unwrap_or_default();
    let last = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (first, _, size) = (numbers.next()?, numbers.next(), numbers.next()?);
        Some(first.ok()?.saturating_add(size.ok()?).saturating_sub(1))
    };
    maps.lines().filter_map(last).max().unwrap_or(0).min(HIGHEST_GID)
}

fn cgroup_mode() -> CgroupMode {
    const PLACE: &str = "/sys/fs/cgroup";
    let hierarchies = Hierarchies::detect();
    match hierarchies.mode() {
        Mode::None => CgroupMode::None,
        Mode::V2 => CgroupMode::Unified,
        Mode::V1 | Mode::Hybrid => {
            let directory = |hierarchy: &Hierarchy, controllers: String| {
                let directory =
                    hierarchy.mount_point.strip_prefix(PLACE).ok()?.to_str()?.to_owned();
                Some(rootfs::Hierarchy { directory, controllers })
            };
            let v1 = hierarchies.v1().iter();
            let v1 = v1.filter_map(|tree| directory(tree, tree.controllers.join(",")));
            let unified = hierarchies.v2().and_then(|tree| directory(tree, String::new()));
            CgroupMode::Legacy(v1.chain(unified).collect())
        }
    }
}
