//! Both: a namespace that a file stands for. `open` is the parent's, `enter`
//! the child's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, fstatfs, openat, stat};
use rustix::io::Errno;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::{Error, Kinds, Namespace, sys};

/// The file system of namespace files (linux/magic.h).
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// An open namespace file: `/proc/PID/ns/net`, `/run/netns/blue`.
///
/// ```
/// use nsinit_namespaces::{Error, Namespace, NamespaceFile};
/// # use std::path::Path;
/// let own = NamespaceFile::open(Path::new("/proc/self/ns/net"), Namespace::Net)?;
/// assert!(own.is_callers_own());
/// let error = NamespaceFile::open(own.path(), Namespace::Uts).unwrap_err();
/// assert_eq!(error.to_string(), "/proc/self/ns/net: a NEWNET namespace, not NEWUTS");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct NamespaceFile {
    file: OwnedFd,
    kind: Namespace,
    path: PathBuf,
    identity: (u64, u64),
}

impl NamespaceFile {
    /// Opens `path` and verifies that it is a namespace of this kind
    /// (ioctl_nsfs(2), `NS_GET_NSTYPE`). Links are followed; a file that is no
    /// namespace is not opened for reading, so a fifo or a device comes to no
    /// harm. Needs /proc.
    ///
    /// # Errors
    /// [`Error::WrongNamespace`] with both kinds, [`Error::Io`].
    pub fn open(path: &Path, kind: Namespace) -> Result<Self, Error> {
        let io = |errno: Errno| Error::io(path.display().to_string(), errno);
        let wrong = |found| Error::WrongNamespace { path: path.to_owned(), expected: kind, found };
        let place = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(io)?;
        let magic = fstatfs(&place).map_err(io)?.f_type as i64;
        if magic != NSFS_MAGIC {
            return Err(wrong(None));
        }
        let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&place));
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(CWD, &again, flags, Mode::empty()).map_err(io)?;
        match Namespace::from_flag(sys::namespace_type(file.as_fd()).map_err(io)?) {
            Some(found) if found == kind => {}
            found => return Err(wrong(found)),
        }
        let identity = identity(&fstat(&file).map_err(io)?);
        Ok(Self { file, kind, path: path.to_owned(), identity })
    }

    /// Moves the calling thread into the namespace (setns(2)); for a pid
    /// namespace, its next children.
    ///
    /// # Errors
    /// Errors of setns(2): `EPERM`; `EINVAL` for the user namespace that one
    /// is in already, or from a process with several threads.
    pub fn enter(&self) -> Result<(), Errno> {
        setns(self.file.as_fd(), self.kind.into())
    }

    /// The kind that was verified.
    pub fn kind(&self) -> Namespace {
        self.kind
    }

    /// The path that was opened, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the calling thread is in this namespace already; false where
    /// /proc does not tell.
    pub fn is_callers_own(&self) -> bool {
        of_the_caller(self.kind).is_ok_and(|own| own == self.identity)
    }
}

impl AsFd for NamespaceFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// setns(2), for a namespace file or a pidfd.
pub(crate) fn setns(fd: std::os::fd::BorrowedFd<'_>, kinds: Kinds) -> Result<(), Errno> {
    move_into_thread_name_spaces(fd, ThreadNameSpaceType::from_bits_retain(kinds.bits()))
}

/// Device and inode: the same for the same namespace, as long as it lives.
fn identity(file: &Stat) -> (u64, u64) {
    (file.st_dev, file.st_ino)
}

/// The namespace of the calling thread.
fn of_the_caller(kind: Namespace) -> Result<(u64, u64), Error> {
    let path = format!("/proc/thread-self/ns/{}", kind.file());
    stat(&path).map(|file| identity(&file)).map_err(|errno| Error::io(path, errno))
}
