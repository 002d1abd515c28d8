//! Child: device nodes and links on our own `/dev`, and symbolic links elsewhere.

use std::ffi::{CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::Child;
use crate::attributes::{self, Attributes};
use crate::bind::copy;
use crate::place::Place;
use crate::resolve::{self, make_file};
use crate::sys::Depth;

/// The null device: what files are masked with.
const NULL: (FileType, u32, u32) = (FileType::CharacterDevice, 1, 3);

/// A node below `/dev`, made with mknod(2) or bound from the host.
#[derive(Debug)]
pub struct Node {
    /// Below our `/dev`.
    pub(crate) at: Place,
    pub(crate) kind: FileType,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) from: Source,
}

#[derive(Debug)]
pub(crate) enum Source {
    Mknod { mode: u32, uid: u32, gid: u32 },
    Host(CString),
}

impl Node {
    pub(crate) fn apply(&self, child: &mut Child) -> Result<(), Errno> {
        let dev = child.dev()?;
        let directory = resolve::parent(dev, &self.at)?;
        let at = directory.as_ref().map_or(dev, AsFd::as_fd);
        match &self.from {
            Source::Mknod { mode, uid, gid } => self.make(at, *mode, *uid, *gid)?,
            Source::Host(path) => self.bind(child, path, at)?,
        }
        if self.at.whole.as_c_str() == c"null" && (self.kind, self.major, self.minor) == NULL {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let node = rustix::fs::openat(at, self.at.name(), flags, Mode::empty())?;
            self.verify(&rustix::fs::fstat(&node)?)?;
            child.null = Some(node);
        }
        Ok(())
    }

    fn make(&self, at: BorrowedFd<'_>, mode: u32, uid: u32, gid: u32) -> Result<(), Errno> {
        let device = rustix::fs::makedev(self.major, self.minor);
        let name = self.at.name();
        rustix::fs::mknodat(at, name, self.kind, Mode::from_raw_mode(mode), device)?;
        if (uid, gid) == (0, 0) {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        // chown(2) clears setuid and setgid: nodes have neither.
        Ok(())
    }

    fn bind(&self, child: &Child, path: &CString, at: BorrowedFd<'_>) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let host = rustix::fs::openat(CWD, path.as_c_str(), flags, Mode::empty())?;
        self.verify(&rustix::fs::fstat(&host)?)?;
        let node = copy(host.as_fd(), Depth::Top)?;
        let point = make_file(at, self.at.name(), Mode::from_raw_mode(0o644))?;
        let attributes = Attributes {
            set: libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC,
            clear: 0,
            propagation: libc::MS_PRIVATE,
        };
        attributes::attach(child, node.as_fd(), point.as_fd(), Depth::Top, attributes)
    }

    /// Type and number together: a regular file, too, has device number 0.
    fn verify(&self, stat: &Stat) -> Result<(), Errno> {
        let number = match self.kind {
            FileType::Fifo => 0,
            _ => rustix::fs::makedev(self.major, self.minor),
        };
        let seen = (FileType::from_raw_mode(stat.st_mode), stat.st_rdev);
        if seen == (self.kind, number) { Ok(()) } else { Err(Errno::NODEV) }
    }
}

/// The links of `/dev`: name and target.
const DEV_LINKS: [(&std::ffi::CStr, &std::ffi::CStr); 5] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"ptmx", c"pts/ptmx"),
];

/// Makes `fd`, `stdin`, `stdout`, `stderr` and `ptmx` on our `/dev`.
#[derive(Debug)]
pub struct DevLinks;

impl DevLinks {
    pub(crate) fn apply(&self, child: &Child) -> Result<(), Errno> {
        let dev = child.dev()?;
        DEV_LINKS.iter().try_for_each(|&(name, to)| rustix::fs::symlinkat(to, dev, name))
    }
}

/// Makes a symbolic link that must not be there yet, or that already says the same.
#[derive(Debug)]
pub struct Link {
    pub(crate) at: Place,
    pub(crate) target: CString,
}

impl Link {
    /// Where it points, as it will be read in the container.
    #[must_use]
    pub fn target(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.target.to_bytes()))
    }

    pub(crate) fn apply(&self, child: &Child) -> Result<(), Errno> {
        let root = child.root()?;
        let directory = resolve::parent(root, &self.at)?;
        let at = directory.as_ref().map_or(root, AsFd::as_fd);
        match rustix::fs::symlinkat(self.target.as_c_str(), at, self.at.name()) {
            Err(Errno::EXIST) if self.is_there(at)? => Ok(()),
            answer => answer,
        }
    }

    // Never inline: the buffer would cost every caller a page fault.
    #[inline(never)]
    fn is_there(&self, at: BorrowedFd<'_>) -> Result<bool, Errno> {
        let mut buffer = [MaybeUninit::uninit(); libc::PATH_MAX as usize];
        let name = self.at.name();
        match rustix::fs::readlinkat_raw(at, name, &mut buffer) {
            Ok((target, _)) => Ok(target == self.target.as_bytes()),
            Err(Errno::INVAL) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}
