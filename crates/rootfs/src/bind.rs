//! Child: bind mounts of the host's files and directories, and of the generated
//! files of the scratch tmpfs.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::Child;
use crate::attributes::{self, Attributes};
use crate::filesystem::OverProc;
use crate::identity::FileId;
use crate::place::Place;
use crate::resolve::{self, Want};
use crate::sys::Depth;

/// A file or directory of the host, bound below the root.
#[derive(Debug)]
pub struct Bind {
    pub(crate) source: CString,
    /// The source as it was given.
    pub(crate) given: PathBuf,
    pub(crate) id: FileId,
    pub(crate) at: Place,
    pub(crate) want: Want,
    pub(crate) depth: Depth,
    pub(crate) attributes: Attributes,
    pub(crate) over_proc: OverProc,
}

impl Bind {
    /// The host's file or directory, without symbolic links.
    #[must_use]
    pub fn source(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.source.to_bytes()))
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.attributes.set & libc::MOUNT_ATTR_RDONLY != 0
    }

    pub(crate) fn apply(&self, child: &Child) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = rustix::fs::openat(CWD, self.source.as_c_str(), flags, Mode::empty())?;
        self.id.verify(source.as_fd())?;
        let tree = copy(source.as_fd(), self.depth)?;
        let at = resolve::mount_point(child.root()?, &self.at, self.want, child.kernel.openat2)?;
        self.over_proc.check(at.as_fd())?;
        attributes::attach(child, tree.as_fd(), at.as_fd(), self.depth, self.attributes)
    }
}

/// A detached copy of the mount below an open file or directory.
pub(crate) fn copy(source: BorrowedFd<'_>, depth: Depth) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if depth == Depth::Tree {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(source, c"", flags)
}

/// A generated file of the scratch tmpfs, bound read-only below the root.
#[derive(Debug)]
pub struct BindFile {
    /// Name on the scratch tmpfs.
    pub(crate) name: CString,
    pub(crate) at: Place,
    pub(crate) over_proc: OverProc,
}

impl BindFile {
    pub(crate) fn apply(&self, child: &Child) -> Result<(), Errno> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
        let file = rustix::mount::open_tree(child.scratch()?, self.name.as_c_str(), flags)?;
        let at = resolve::mount_point(child.root()?, &self.at, Want::File, child.kernel.openat2)?;
        self.over_proc.check(at.as_fd())?;
        attributes::move_mount(file.as_fd(), at.as_fd())
    }
}
