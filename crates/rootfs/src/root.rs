//! Child: the root filesystem, from the host's tree to a mount of its own.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, MoveMountFlags};

use crate::Child;
use crate::attributes::{self, Attributes, READ_ONLY};
use crate::bind::copy;
use crate::child::Kernel;
use crate::filesystem::{Parameter, detached};
use crate::identity::FileId;
use crate::place::Place;
use crate::resolve::{self, Follow};
use crate::sys::Depth;

/// Makes every mount of the new namespace a slave: nothing that is mounted from
/// here on reaches the host.
#[derive(Debug)]
pub struct Isolate {
    pub(crate) kernel: Kernel,
}

impl Isolate {
    pub(crate) fn apply(&self, child: &mut Child) -> Result<(), Errno> {
        child.kernel = self.kernel;
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        rustix::mount::mount_change(c"/", slave)?;
        // Device nodes and mount points get exactly their mode; the pivot restores it.
        child.umask = Some(rustix::process::umask(Mode::empty()));
        Ok(())
    }
}

/// Puts the root filesystem over `/`, private. A process looks up paths from the
/// mount that was there before, so the host stays visible until the pivot; and there
/// is no place in the host's tree that it would hide.
#[derive(Debug)]
pub enum AttachRoot {
    /// A directory of the host and the mounts below it, without device nodes.
    Directory {
        /// Its path without symbolic links.
        path: DirectoryRoot,
    },
    /// A new tmpfs.
    Tmpfs {
        /// Its parameters.
        parameters: TmpfsParameters,
    },
}

/// See [`AttachRoot::Directory`].
#[derive(Debug)]
pub struct DirectoryRoot {
    pub(crate) path: CString,
    pub(crate) id: FileId,
    /// The root will be made read-only: the host's mounts below it already are.
    pub(crate) read_only: bool,
}

/// See [`AttachRoot::Tmpfs`].
#[derive(Debug)]
pub struct TmpfsParameters(pub(crate) Vec<Parameter>);

impl AttachRoot {
    pub(crate) fn apply(&self, child: &mut Child) -> Result<(), Errno> {
        match self {
            AttachRoot::Directory { path } => path.attach(child),
            AttachRoot::Tmpfs { parameters } => {
                let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
                let root = detached(c"tmpfs", &parameters.0, flags)?;
                move_over_slash(root.as_fd())?;
                child.root = Some(root);
                Ok(())
            }
        }
    }
}

impl DirectoryRoot {
    fn attach(&self, child: &mut Child) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = rustix::fs::openat(CWD, self.path.as_c_str(), flags, Mode::empty())?;
        self.id.verify(source.as_fd())?;
        let root = copy(source.as_fd(), Depth::Tree)?;
        let was = rustix::fs::fstatvfs(&root)?.f_flag;
        move_over_slash(root.as_fd())?;
        let mut attributes =
            Attributes { set: libc::MOUNT_ATTR_NODEV, clear: 0, propagation: libc::MS_PRIVATE };
        if self.read_only {
            attributes.set |= libc::MOUNT_ATTR_RDONLY;
        }
        attributes::set(child, root.as_fd(), Depth::Tree, attributes)?;
        if self.read_only && !was.contains(StatVfsMountFlags::RDONLY) {
            let writable = Attributes { set: 0, clear: libc::MOUNT_ATTR_RDONLY, propagation: 0 };
            attributes::set(child, root.as_fd(), Depth::Top, writable)?; // for mount points
        }
        child.root = Some(root);
        Ok(())
    }
}

/// Moves a detached mount onto `/`, on top of what stands there already.
pub(crate) fn move_over_slash(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::mount::move_mount(mount, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Makes one mount read-only after what it holds is in its place.
#[derive(Debug)]
pub struct Seal {
    /// `None`: the root itself.
    pub(crate) at: Option<Place>,
}

impl Seal {
    pub(crate) fn apply(&self, child: &Child) -> Result<(), Errno> {
        let root = child.root()?;
        match &self.at {
            None => attributes::set(child, root, Depth::Top, READ_ONLY),
            Some(at) => {
                let mount = resolve::open(root, at, Follow::No, child.kernel.openat2)?;
                attributes::set(child, mount.as_fd(), Depth::Top, READ_ONLY)
            }
        }
    }
}
