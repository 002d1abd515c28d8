//! Child: a procfs that no path of the container leads to.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags};

use crate::Child;
use crate::filesystem::{self, detached};

/// Inode of the root of every procfs (`PROC_ROOT_INO` of the kernel).
const ROOT_INODE: u64 = 1;

/// Flags of every procfs.
pub(crate) const FLAGS: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Where the detached procfs comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenProcfs {
    /// A new instance, of the child's PID namespace.
    New,
    /// A detached copy of the caller's `/proc`: in a user namespace without a PID
    /// namespace of its own the kernel refuses a new instance.
    OfHost,
}

impl OpenProcfs {
    pub(crate) fn apply(self, child: &mut Child) -> Result<(), Errno> {
        child.proc = Some(match self {
            OpenProcfs::New => detached_procfs()?,
            OpenProcfs::OfHost => copy_of_host()?,
        });
        Ok(())
    }
}

/// A new procfs of the caller's PID namespace that is mounted nowhere (nosuid,
/// nodev, noexec).
///
/// What is written through it cannot be diverted: nothing can be mounted over its
/// files. Child side: allocates nothing.
///
/// # Errors
/// `EPERM` in a user namespace whose PID namespace is not its own, or where the
/// caller's mount namespace shows no complete procfs.
pub fn detached_procfs() -> Result<OwnedFd, Errno> {
    detached(c"proc", &[], FLAGS)
}

fn copy_of_host() -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let tree = rustix::mount::open_tree(CWD, c"/proc", flags)?;
    let complete = is_procfs(tree.as_fd())? && rustix::fs::fstat(&tree)?.st_ino == ROOT_INODE;
    if complete { Ok(tree) } else { Err(Errno::NODEV) }
}

/// The path `self/fd/N`, for system calls that take paths only: looked up from the
/// detached procfs as working directory it leads to the open file and nowhere else,
/// whatever is mounted over that.
pub(crate) struct FdPath([u8; 20]);

impl FdPath {
    pub(crate) fn of(file: BorrowedFd<'_>) -> FdPath {
        let mut path = *b"self/fd/\0\0\0\0\0\0\0\0\0\0\0\0";
        let mut digits = [0; 10];
        let mut left = file.as_raw_fd().unsigned_abs();
        let mut length = 0;
        while length == 0 || left > 0 {
            digits[length] = b'0' + (left % 10) as u8;
            (left, length) = (left / 10, length + 1);
        }
        for (place, digit) in path[8..].iter_mut().zip(digits[..length].iter().rev()) {
            *place = *digit;
        }
        FdPath(path)
    }

    pub(crate) fn as_c_str(&self) -> Result<&CStr, Errno> {
        CStr::from_bytes_until_nul(&self.0).map_err(|_| Errno::INVAL)
    }
}

pub(crate) fn is_procfs(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(filesystem::magic(file)? == filesystem::PROC)
}
