//! Both: which file a path led to, so that the child can tell that it still does.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

/// Device, inode and type of a file: what the parent examined and the child
/// compares after opening (descriptors do not cross into a new mount namespace).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    pub(crate) kind: FileType,
}

impl From<&Stat> for FileId {
    fn from(stat: &Stat) -> FileId {
        FileId {
            device: stat.st_dev,
            inode: stat.st_ino,
            kind: FileType::from_raw_mode(stat.st_mode),
        }
    }
}

impl FileId {
    pub(crate) fn of(file: BorrowedFd<'_>) -> Result<FileId, Errno> {
        Ok(FileId::from(&rustix::fs::fstat(file)?))
    }

    /// ESTALE if `file` is another file than the one examined.
    pub(crate) fn verify(self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        if FileId::of(file)? == self { Ok(()) } else { Err(Errno::STALE) }
    }
}
