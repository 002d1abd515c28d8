//! Child: what the container sees as empty or cannot write.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use crate::attributes::{self, READ_ONLY};
use crate::bind::copy;
use crate::filesystem::{Parameter, detached};
use crate::place::Place;
use crate::resolve::{self, Follow};
use crate::root;
use crate::sys::Depth;
use crate::{Child, resolve::make_file};

/// Flags of a copy of something on the scratch tmpfs.
const COPY: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

/// A small private tmpfs that holds an empty directory, an empty file and the
/// generated files. It stands over the new root, so that no path leads to it, is
/// read-only from then on, and is copied from: one filesystem for all masks. What is to
/// be gone after the pivot is mounted on it: the procfs now, the host then.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) files: Vec<ScratchFile>,
}

/// A generated file.
#[derive(Debug)]
pub(crate) struct ScratchFile {
    pub(crate) name: CString,
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
}

impl Scratch {
    pub(crate) fn apply(&self, child: &mut Child) -> Result<(), Errno> {
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let scratch = detached(c"tmpfs", &self.parameters, flags)?;
        for name in [c"empty", c"proc", c"host"] {
            rustix::fs::mkdirat(&scratch, name, Mode::from_raw_mode(0o555))?;
        }
        make_file(scratch.as_fd(), c"nothing", Mode::from_raw_mode(0o444))?;
        for ScratchFile { name, content, mode } in &self.files {
            let file = make_file(scratch.as_fd(), name, Mode::from_raw_mode(*mode))?;
            write_all(&file, content)?;
        }
        root::move_over_slash(scratch.as_fd())?;
        let onto =
            rustix::fs::openat(&scratch, c"proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        attributes::move_mount(child.proc().ok_or(Errno::BADF)?, onto.as_fd())?;
        attributes::set(child, scratch.as_fd(), Depth::Top, READ_ONLY)?;
        child.scratch = Some(scratch);
        Ok(())
    }
}

fn write_all(file: &OwnedFd, mut content: &[u8]) -> Result<(), Errno> {
    while !content.is_empty() {
        match rustix::io::write(file, content) {
            Err(Errno::INTR) => {}
            Ok(0) => return Err(Errno::NOSPC),
            answer => content = content.get(answer?..).ok_or(Errno::IO)?,
        }
    }
    Ok(())
}

/// Hides a path: a directory behind an empty one, anything else behind the verified
/// null device, or behind an empty file where there is no `/dev` of ours.
#[derive(Debug)]
pub struct Mask {
    pub(crate) at: Place,
}

impl Mask {
    /// Looks first: a mount that fails waits for an RCU grace period, and falling
    /// back on its error is how masks get lost (CVE-2025-31133). Only a path that
    /// does not exist is left alone.
    pub(crate) fn apply(&self, child: &Child) -> Result<(), Errno> {
        let at = match resolve::open(child.root()?, &self.at, Follow::Yes, child.kernel.openat2) {
            Err(Errno::NOENT) => return Ok(()),
            answer => answer?,
        };
        let cover = match (resolve::kind_of(at.as_fd())?, &child.null) {
            (FileType::Directory, _) => open_tree(child.scratch()?, c"empty", COPY)?,
            (_, Some(null)) => copy(null.as_fd(), Depth::Top)?,
            (_, None) => open_tree(child.scratch()?, c"nothing", COPY)?,
        };
        attributes::move_mount(cover.as_fd(), at.as_fd())
    }
}

/// Makes a path and the mounts below it read-only.
#[derive(Debug)]
pub struct ReadOnlyPath {
    pub(crate) at: Place,
}

impl ReadOnlyPath {
    pub(crate) fn apply(&self, child: &Child) -> Result<(), Errno> {
        let at = match resolve::open(child.root()?, &self.at, Follow::Yes, child.kernel.openat2) {
            Err(Errno::NOENT) => return Ok(()),
            answer => answer?,
        };
        let tree = copy(at.as_fd(), Depth::Tree)?;
        attributes::attach(child, tree.as_fd(), at.as_fd(), Depth::Tree, READ_ONLY)
    }
}

/// Covers a file of the host that lies below the root with an empty read-only one:
/// it can be neither read, written, removed nor renamed from inside.
#[derive(Debug)]
pub struct Cover {
    pub(crate) at: Place,
}

impl Cover {
    pub(crate) fn apply(&self, child: &Child) -> Result<(), Errno> {
        let at = match resolve::open(child.root()?, &self.at, Follow::No, child.kernel.openat2) {
            // Who wants the name kept from the container makes the file first.
            Err(Errno::NOENT) => return Ok(()),
            answer => answer?,
        };
        match resolve::kind_of(at.as_fd())? {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(Errno::LOOP),
            _ => return Err(Errno::INVAL),
        }
        let nothing = open_tree(child.scratch()?, c"nothing", COPY)?;
        attributes::move_mount(nothing.as_fd(), at.as_fd())
    }
}
