//! Parent: one directory of a cgroup file system, used by descriptor.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use crate::error::{Error, at};
use crate::hierarchy::Version;

/// statfs(2): `CGROUP_SUPER_MAGIC`.
const V1_MAGIC: u64 = 0x27e0eb;
/// statfs(2): `CGROUP2_SUPER_MAGIC`.
const V2_MAGIC: u64 = 0x6367_7270;

/// Extended attributes: root's, and the one that anybody may set on v2.
const MARKS: [&str; 2] = ["trusted.nsinit", "user.nsinit"];

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The whole text of a file of the kernel. Its size says nothing, so that asking for it
/// would be in vain.
pub(crate) fn read_all(file: &OwnedFd) -> Result<String, Errno> {
    const PIECE: usize = 4096;
    let mut text = Vec::with_capacity(PIECE);
    loop {
        text.reserve(PIECE);
        match rustix::io::read(file, rustix::buffer::spare_capacity(&mut text)) {
            Ok(0) => return String::from_utf8(text).map_err(|_| Errno::ILSEQ),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Writes a value with one system call, which is how these files want it.
pub(crate) fn write_value(file: &OwnedFd, value: &str) -> Result<(), Errno> {
    match rustix::io::retry_on_intr(|| rustix::io::write(file, value.as_bytes()))? {
        written if written == value.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// An open directory, and its path for messages.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory that must be on a cgroup file system.
    pub(crate) fn open(path: &Path) -> Result<Dir, Error> {
        let fd =
            rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(|e| at("open", path, e))?;
        let dir = Dir { fd, path: path.to_owned() };
        dir.version()?;
        Ok(dir)
    }

    /// Opens a child, or a descendant by its relative path; it must be on a
    /// cgroup file system, too.
    pub(crate) fn child(&self, name: impl AsRef<OsStr>) -> Result<Dir, Error> {
        let dir = self.made_child(name)?;
        dir.version()?;
        Ok(dir)
    }

    /// The same for one that was made just now: nothing can be mounted over it yet.
    pub(crate) fn made_child(&self, name: impl AsRef<OsStr>) -> Result<Dir, Error> {
        let path = self.path.join(name.as_ref());
        let fd = rustix::fs::openat(&self.fd, name.as_ref(), DIRECTORY, Mode::empty())
            .map_err(|e| at("open", &path, e))?;
        Ok(Dir { fd, path })
    }

    /// Opens the directory above.
    pub(crate) fn parent(&self) -> Result<Dir, Error> {
        let path = self.path.parent().unwrap_or(Path::new("/")).to_owned();
        let fd = rustix::fs::openat(&self.fd, "..", DIRECTORY, Mode::empty())
            .map_err(|e| at("open", &path, e))?;
        Ok(Dir { fd, path })
    }

    /// Which kind of cgroup file system this is, by its magic number.
    pub(crate) fn version(&self) -> Result<Version, Error> {
        let found = rustix::fs::fstatfs(&self.fd).map_err(|e| at("statfs", &self.path, e))?;
        match found.f_type as u64 {
            V1_MAGIC => Ok(Version::V1),
            V2_MAGIC => Ok(Version::V2),
            _ => Err(Error::NotCgroup {
                path: self.path.clone(),
                reason: "not on a cgroup file system",
            }),
        }
    }

    /// Device number of the file system and inode of the directory.
    pub(crate) fn identity(&self) -> Result<((u32, u32), u64), Error> {
        let stat = rustix::fs::fstat(&self.fd).map_err(|e| at("stat", &self.path, e))?;
        let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        Ok((device, stat.st_ino))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Makes a child; `false` where there was one.
    pub(crate) fn make(&self, name: &str) -> Result<bool, Error> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(Error::io("mkdir", self.path.join(name), errno)),
        }
    }

    /// Notes on a directory that this crate made it, for whoever leaves it last.
    /// Without extended attributes only the one that made it removes it.
    pub(crate) fn mark(&self) {
        let set = |name| rustix::fs::fsetxattr(&self.fd, name, b"1", XattrFlags::empty());
        if set(MARKS[0]).is_err() {
            let _ = set(MARKS[1]);
        }
    }

    /// Whether this crate made the directory.
    pub(crate) fn marked(&self) -> bool {
        let mut value = [0; 8];
        MARKS.iter().any(|name| rustix::fs::fgetxattr(&self.fd, *name, &mut value).is_ok())
    }

    /// Removes an empty child.
    pub(crate) fn remove(&self, name: impl AsRef<OsStr>) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, name.as_ref(), AtFlags::REMOVEDIR)
    }

    /// Opens a file that exists; never makes one.
    pub(crate) fn file(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
        rustix::fs::openat(&self.fd, name, flags, Mode::empty())
    }

    /// The whole text of a file.
    pub(crate) fn read(&self, name: &str) -> Result<String, Error> {
        self.read_raw(name).map_err(|errno| self.refused("read", name, errno))
    }

    /// The same; `None` where this kernel or this cgroup has no such file.
    pub(crate) fn read_if_there(&self, name: &str) -> Result<Option<String>, Error> {
        match self.read_raw(name) {
            Ok(text) => Ok(Some(text)),
            Err(Errno::NOENT) if self.has("cgroup.procs") => Ok(None),
            Err(errno) => Err(self.refused("read", name, errno)),
        }
    }

    pub(crate) fn read_raw(&self, name: &str) -> Result<String, Errno> {
        read_all(&self.file(name, OFlags::RDONLY)?)
    }

    /// Writes a value with one system call.
    pub(crate) fn write(&self, name: &str, value: &str) -> Result<(), Error> {
        self.write_raw(name, value)
            .map_err(|errno| self.refused(&format!("write {value}"), name, errno))
    }

    pub(crate) fn write_raw(&self, name: &str, value: &str) -> Result<(), Errno> {
        write_value(&self.file(name, OFlags::WRONLY)?, value)
    }

    /// The names of the child cgroups, which may be any bytes.
    pub(crate) fn children(&self) -> Result<Vec<OsString>, Error> {
        let list = || -> Result<Vec<OsString>, Errno> {
            let mut names = Vec::new();
            for entry in rustix::fs::Dir::read_from(&self.fd)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                let directory = entry.file_type() == rustix::fs::FileType::Directory;
                if directory && name != b"." && name != b".." {
                    names.push(OsString::from_vec(name.to_vec()));
                }
            }
            Ok(names)
        };
        list().map_err(|errno| at("read", &self.path, errno))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        rustix::fs::accessat(&self.fd, name, Access::EXISTS, AtFlags::empty()).is_ok()
    }

    /// Whether the caller could make a child here and put a process into it.
    pub(crate) fn writable(&self) -> bool {
        let may = |name: &str, how: Access| {
            rustix::fs::accessat(&self.fd, name, how, AtFlags::EACCESS).is_ok()
        };
        may(".", Access::WRITE_OK.union(Access::EXEC_OK)) && may("cgroup.procs", Access::WRITE_OK)
    }

    /// In a cgroup that was removed all files are gone, also those every cgroup has.
    pub(crate) fn refused(&self, action: &str, name: &str, errno: Errno) -> Error {
        let vanished = errno == Errno::NODEV || errno == Errno::NOENT && !self.has("cgroup.procs");
        match vanished {
            true => Error::Gone { path: self.path.clone() },
            false => Error::io(action, self.path.join(name), errno),
        }
    }

    /// Any directory, for tests that only look at what is written.
    #[cfg(test)]
    pub(crate) fn unchecked(path: &Path) -> Dir {
        let fd = rustix::fs::open(path, DIRECTORY, Mode::empty()).expect("directory");
        Dir { fd, path: path.to_owned() }
    }
}
