//! Child: a new filesystem, made detached and moved to where it belongs.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::PROC_SUPER_MAGIC;
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create};
use rustix::mount::{fsconfig_set_flag, fsconfig_set_string};

use crate::attributes::{self, Attributes};
use crate::bind::copy;
use crate::place::Place;
use crate::resolve::{self, Want};
use crate::sys::Depth;
use crate::{Child, procfs};

/// A filesystem to mount below the root.
#[derive(Debug)]
pub struct MountFilesystem {
    pub(crate) name: &'static CStr,
    pub(crate) instance: Instance,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) attributes: Attributes,
    pub(crate) at: Place,
    pub(crate) over_proc: OverProc,
    pub(crate) role: Role,
}

/// One parameter of a filesystem: `newinstance`, or `mode` and `755`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) key: CString,
    pub(crate) value: Option<CString>,
}

/// Where the filesystem comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instance {
    /// It is the mount's own.
    New,
    /// It is that of [`Child::proc`]: what is mounted over files of the one mount is not
    /// over those of the other.
    OfProcfs,
}

/// What later steps use the mount for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is the `/dev` whose descriptor device nodes, links and console need.
    Dev,
    Other,
}

/// Whether the mount may cover a file of a procfs. The parent decides by the
/// resolved path, the child verifies by the filesystem it arrives at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverProc {
    Permitted,
    Refused,
}

impl OverProc {
    /// EPERM: the mount point is in a procfs and may not be covered.
    pub(crate) fn check(self, at: BorrowedFd<'_>) -> Result<(), Errno> {
        match self {
            OverProc::Permitted => Ok(()),
            OverProc::Refused if procfs::is_procfs(at)? => Err(Errno::PERM),
            OverProc::Refused => Ok(()),
        }
    }
}

impl MountFilesystem {
    pub(crate) fn apply(&self, child: &mut Child) -> Result<(), Errno> {
        let flags = MountAttrFlags::from_bits_retain(self.attributes.set as u32);
        let mount = match self.instance {
            Instance::New => detached(self.name, &self.parameters, flags)?,
            Instance::OfProcfs => copy(child.proc().ok_or(Errno::BADF)?, Depth::Top)?,
        };
        let openat2 = child.kernel.openat2;
        let at = resolve::mount_point(child.root()?, &self.at, Want::Directory, openat2)?;
        self.over_proc.check(at.as_fd())?;
        attributes::move_mount(mount.as_fd(), at.as_fd())?;
        if self.attributes.propagation != 0 {
            let flow = Attributes { set: 0, clear: 0, ..self.attributes };
            attributes::set(child, mount.as_fd(), Depth::Top, flow)?;
        }
        if self.role == Role::Dev {
            child.dev = Some(mount);
        }
        Ok(())
    }
}

/// A new filesystem with its parameters, mounted nowhere.
pub(crate) fn detached(
    name: &CStr,
    parameters: &[Parameter],
    flags: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let filesystem = rustix::mount::fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(filesystem.as_fd(), c"source", name)?;
    for Parameter { key, value } in parameters {
        match value {
            None => fsconfig_set_flag(filesystem.as_fd(), key.as_c_str())?,
            Some(value) => {
                fsconfig_set_string(filesystem.as_fd(), key.as_c_str(), value.as_c_str())?;
            }
        }
    }
    fsconfig_create(filesystem.as_fd())?;
    rustix::mount::fsmount(filesystem.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

/// The magic number of the filesystem that holds `file`.
pub(crate) fn magic(file: BorrowedFd<'_>) -> Result<i64, Errno> {
    Ok(rustix::fs::fstatfs(file)?.f_type)
}

pub(crate) const PROC: i64 = PROC_SUPER_MAGIC;
