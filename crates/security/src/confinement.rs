//! Both: everything of this crate in one value, for users of this crate alone.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, CWD, Mode, OFlags, PROC_SUPER_MAGIC};
use rustix::io::Errno;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::call_filter::CallFilter;
use crate::capabilities::Capabilities;
use crate::capability::Capability;
use crate::capability_set::CapabilitySet;
use crate::error::Error;
use crate::label::Label;
use crate::process;
use crate::rlimit::Rlimit;
use crate::user::{Groups, User};

/// What a program shall be confined to; start from [`Confinement::NONE`].
///
/// ```
/// use nsinit_security::{Confinement, Resource, Rlimit};
/// use std::os::unix::process::CommandExt;
///
/// let no_core = Rlimit { resource: Resource::Core, soft: Some(0), hard: Some(0) };
/// let lock = Confinement { no_new_privileges: true, rlimits: vec![no_core], ..Confinement::NONE }
///     .prepare()?;
/// let mut command = std::process::Command::new("grep");
/// command.args(["-q", "^NoNewPrivs:.*1$", "/proc/self/status"]);
/// // SAFETY: `apply` makes system calls and nothing else.
/// unsafe { command.pre_exec(move || Ok(lock.apply()?)) };
/// assert!(command.status()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// The capabilities that are left: exactly these, or it is an error. `None` leaves them as
    /// they are, except that a user other than root loses them.
    pub capabilities: Option<CapabilitySet>,
    /// A label or profile, from execve on.
    pub label: Option<Label>,
    /// No later execve gives more privileges.
    pub no_new_privileges: bool,
    /// System calls that are refused. Without `no_new_privileges` that takes `CAP_SYS_ADMIN`.
    pub call_filter: Option<CallFilter>,
    /// The user and groups; `None` leaves them.
    pub user: Option<User>,
    /// Resource limits, set before the user changes.
    pub rlimits: Vec<Rlimit>,
    /// The file mode creation mask; `None` leaves it.
    pub umask: Option<u32>,
    /// A new session keyring in place of the caller's.
    pub new_session_keyring: bool,
    /// How readily the kernel ends this process when memory is short, from -1000 to 1000.
    pub oom_score_adj: Option<i16>,
}

/// A [`Confinement`] that was checked, with all that it needs open.
#[derive(Debug)]
pub struct Lock {
    confinement: Confinement,
    capabilities: Option<Capabilities>,
    proc: Option<OwnedFd>,
}

impl Confinement {
    /// No confinement at all.
    pub const NONE: Confinement = Confinement {
        capabilities: None,
        label: None,
        no_new_privileges: false,
        call_filter: None,
        user: None,
        rlimits: Vec::new(),
        umask: None,
        new_session_keyring: false,
        oom_score_adj: None,
    };

    /// Parent: checks what can be known beforehand and opens what is needed; changes nothing.
    ///
    /// # Errors
    /// [`Error::NotHeld`] for capabilities that the caller cannot leave to the program,
    /// [`Error::Invalid`] for values that the kernel would refuse, [`Error::Io`] without a procfs.
    pub fn prepare(self) -> Result<Lock, Error> {
        for limit in &self.rlimits {
            if limit.soft_exceeds_hard() {
                let text = limit.to_string();
                return Err(Error::invalid(
                    "rlimit",
                    &text,
                    "the soft limit is above the hard one",
                ));
            }
        }
        if let Some(score) = self.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
            let reason = "not from -1000 to 1000";
            return Err(Error::invalid("oom score adjustment", &score.to_string(), reason));
        }
        let is_root = match &self.user {
            Some(user) => user.uid == 0,
            None => rustix::process::geteuid().is_root(),
        };
        let capabilities = self.capabilities.map(|set| exactly(set, is_root)).transpose()?;
        let needs_proc = self.label.is_some() || self.oom_score_adj.is_some();
        let proc = if needs_proc { Some(open_procfs()?) } else { None };
        Ok(Lock { confinement: self, capabilities, proc })
    }
}

impl Lock {
    /// Child: confines the calling thread, and reads its capabilities back. Of one thread: call it
    /// between fork and execve (`pre_exec`), in the pid namespace of [`Confinement::prepare`].
    ///
    /// # Errors
    /// What the first step that fails says; the thread must not go on then.
    pub fn apply(&self) -> Result<(), Errno> {
        let wanted = &self.confinement;
        if let Some(mask) = wanted.umask {
            process::set_umask(mask);
        }
        if wanted.new_session_keyring {
            process::new_session_keyring()?;
        }
        for limit in &wanted.rlimits {
            limit.apply()?;
        }
        if let Some(proc) = &self.proc {
            // Before the user changes: after that these files are root's (proc(5)).
            if let Some(score) = wanted.oom_score_adj {
                process::write_oom_score_adj(proc.as_fd(), score)?;
            }
            if let Some(label) = &wanted.label {
                label.apply(proc.as_fd())?;
            }
        }
        if !wanted.no_new_privileges {
            wanted.call_filter.as_ref().map_or(Ok(()), CallFilter::apply)?;
        }
        self.capabilities.map_or(Ok(()), |sets| sets.drop_bounding())?;
        if let Some(user) = &wanted.user {
            user.take_on(Groups::Set, user.uid != 0 && self.capabilities.is_some())?;
        }
        self.capabilities.map_or(Ok(()), |sets| sets.apply())?;
        if wanted.no_new_privileges {
            process::no_new_privileges()?;
        }
        self.capabilities.map_or(Ok(()), |sets| sets.verify())?;
        let filter = wanted.call_filter.as_ref().filter(|_| wanted.no_new_privileges);
        filter.map_or(Ok(()), CallFilter::apply)
    }
}

fn exactly(set: CapabilitySet, is_root: bool) -> Result<Capabilities, Error> {
    let bounding = CapabilitySet::bounding_of_caller();
    let permitted = CapabilitySet::permitted_of_caller()?;
    let mut missing = set - (permitted & bounding);
    if bounding != set && !permitted.contains(Capability::Setpcap) {
        missing |= Capability::Setpcap;
    }
    if !missing.is_empty() {
        return Err(Error::NotHeld { missing });
    }
    Ok(if is_root { Capabilities::root(set) } else { Capabilities::user(set) })
}

/// A procfs of this pid namespace: one of our own where that is permitted, else `/proc`, if that is
/// the root of a procfs.
fn open_procfs() -> Result<OwnedFd, Error> {
    const PATH: &str = "/proc";
    const ROOT_INODE: u64 = 1;
    if let Ok(detached) = detached_procfs() {
        return Ok(detached);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || -> Result<OwnedFd, Errno> {
        let proc = fs::openat(CWD, PATH, flags, Mode::empty())?;
        let is_procfs = fs::fstatfs(&proc)?.f_type == PROC_SUPER_MAGIC;
        if is_procfs && fs::fstat(&proc)?.st_ino == ROOT_INODE {
            Ok(proc)
        } else {
            Err(Errno::XDEV)
        }
    };
    open().map_err(|errno| Error::io(PATH, errno))
}

fn detached_procfs() -> Result<OwnedFd, Errno> {
    let context = mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    mount::fsconfig_create(context.as_fd())?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlimit::Resource;

    #[test]
    fn what_the_kernel_would_refuse_is_told_beforehand() {
        let limit = Rlimit { resource: Resource::Core, soft: Some(2), hard: Some(1) };
        let told = Confinement { rlimits: vec![limit], ..Confinement::NONE }.prepare().unwrap_err();
        assert_eq!(told.to_string(), "rlimit \"core 2:1\": the soft limit is above the hard one");
        let told = Confinement { oom_score_adj: Some(1001), ..Confinement::NONE }.prepare();
        assert!(matches!(told, Err(Error::Invalid { .. })));
    }

    #[test]
    fn capabilities_that_the_caller_lacks_are_told_beforehand() {
        let beyond = CapabilitySet::from_bits(1 << 63);
        let told = Confinement { capabilities: Some(beyond), ..Confinement::NONE }.prepare();
        assert!(matches!(told, Err(Error::NotHeld { missing }) if missing.contains(beyond)));
    }
}
