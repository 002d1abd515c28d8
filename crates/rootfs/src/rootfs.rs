//! Parent: the root filesystem, opened and read, never changed.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::examine::{self, Access, Last};
use crate::identity::FileId;
use crate::mount::Kind;
use crate::{Error, Furniture, Mount, Step, View};

/// What becomes `/` of the container: a directory of the host, or an empty tmpfs.
///
/// Opening reads; only the child that walks the steps changes anything.
#[derive(Debug)]
pub struct Rootfs {
    pub(crate) origin: Origin,
}

#[derive(Debug)]
pub(crate) enum Origin {
    Directory { path: PathBuf, directory: OwnedFd, id: FileId },
    Tmpfs(TmpfsRoot),
}

/// An empty root on a tmpfs, furnished by the mounts alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TmpfsRoot {
    /// Limit in bytes.
    pub size: u64,
    /// Limit on the number of inodes.
    pub inodes: u64,
}

impl Default for TmpfsRoot {
    /// 64 MiB and 16384 inodes.
    fn default() -> TmpfsRoot {
        TmpfsRoot { size: 64 << 20, inodes: 16384 }
    }
}

impl Rootfs {
    /// Opens a directory of the host.
    ///
    /// # Errors
    /// The path does not exist, is not a directory, is a symbolic link, or is `/`
    /// of the caller.
    pub fn open(path: impl AsRef<Path>) -> Result<Rootfs, Error> {
        let given = path.as_ref();
        let path: PathBuf = given.components().collect(); // "dir/" and "dir/." name the link, too
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = match rustix::fs::open(&path, flags, Mode::empty()) {
            Err(Errno::NOTDIR) => {
                return Err(match path.read_link() {
                    Ok(target) => Error::SymbolicLink { path, role: "root filesystem", target },
                    Err(_) => Error::kind(given, "root filesystem is not a directory"),
                });
            }
            answer => answer.map_err(|errno| Error::io(given, errno))?,
        };
        let id = FileId::of(directory.as_fd()).map_err(|errno| Error::io(given, errno))?;
        let slash = rustix::fs::stat("/").map_err(|errno| Error::io("/", errno))?;
        if id == FileId::from(&slash) {
            return Err(Error::unusable(given, "root filesystem is the root of the host"));
        }
        let path = examine::canonical(&path)?;
        Ok(Rootfs { origin: Origin::Directory { path, directory, id } })
    }

    /// An empty root on a new tmpfs.
    #[must_use]
    pub fn tmpfs(root: TmpfsRoot) -> Rootfs {
        Rootfs { origin: Origin::Tmpfs(root) }
    }

    /// The directory of the host without symbolic links; `None` for a tmpfs.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::Directory { path, .. } => Some(path),
            Origin::Tmpfs(_) => None,
        }
    }

    pub(crate) fn directory(&self) -> Option<BorrowedFd<'_>> {
        match &self.origin {
            Origin::Directory { directory, .. } => Some(directory.as_fd()),
            Origin::Tmpfs(_) => None,
        }
    }

    /// Opens a regular file of the image for reading. Symbolic links, also absolute
    /// ones, are resolved below the root. `None`: there is no such file.
    ///
    /// # Errors
    /// Anything but a regular file, or a system call's refusal.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<Option<File>, Error> {
        let path = path.as_ref();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        match self.metadata(path)? {
            None => return Ok(None),
            Some(found) if !found.is_file() => return Err(Error::kind(path, "not a regular file")),
            Some(_) => {}
        }
        let Some(file) = self.open_below(path, Access::Open(flags))?.map(File::from) else {
            return Ok(None);
        };
        let found = file.metadata().map_err(|source| Error::io(path, source))?;
        if found.is_file() { Ok(Some(file)) } else { Err(Error::kind(path, "not a regular file")) }
    }

    /// Metadata of a path of the image, symbolic links resolved below the root.
    ///
    /// # Errors
    /// A system call's refusal, other than that there is no such file.
    pub fn metadata(&self, path: impl AsRef<Path>) -> Result<Option<Metadata>, Error> {
        let path = path.as_ref();
        let found = self.open_below(path, Access::Look)?.map(File::from);
        found.map(|file| file.metadata().map_err(|source| Error::io(path, source))).transpose()
    }

    /// Whether this directory looks like a root filesystem: `bin/sh`, `usr/bin` or
    /// `etc/os-release` is there.
    #[must_use]
    pub fn looks_like_root(&self) -> bool {
        ["/bin/sh", "/usr/bin", "/etc/os-release"]
            .iter()
            .any(|path| self.metadata(path).is_ok_and(|found| found.is_some()))
    }

    /// Reads a regular file as the container will see it once these mounts are
    /// made: a `file` mount's content, a file below a bind mount's source, else the
    /// image's. At most `limit` bytes; `None`: there is no such file.
    ///
    /// # Errors
    /// Anything but a regular file, more than `limit` bytes, or a system call's refusal.
    pub fn read_as_mounted(
        &self,
        mounts: &[Mount],
        path: impl AsRef<Path>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let path = path.as_ref();
        let below = |mount: &&Mount| path.starts_with(&mount.destination);
        let file = match mounts.iter().rfind(below).map(|mount| (&mount.kind, mount)) {
            Some((Kind::File { content, .. }, _)) => return Ok(Some(content.clone())),
            Some((Kind::Bind { source }, mount)) => {
                let rest = path.strip_prefix(&mount.destination).unwrap_or(Path::new(""));
                examine::open_source_file(source, rest)?
            }
            Some((Kind::Filesystem(_), _)) => None,
            Some((Kind::Symlink { .. }, _)) | None => self.open_file(path)?,
        };
        let Some(file) = file else { return Ok(None) };
        let mut content = Vec::new();
        let size = file.take(limit.saturating_add(1)).read_to_end(&mut content);
        match size.map_err(|source| Error::io(path, source))? as u64 > limit {
            true => Err(Error::kind(path, "file is too large")),
            false => Ok(Some(content)),
        }
    }

    /// Checks that a directory will be there once these mounts are made. What only the
    /// mounts can show is not looked at, and passes.
    ///
    /// # Errors
    /// It is missing, or something else is there.
    pub fn expect_directory(&self, mounts: &[Mount], path: impl AsRef<Path>) -> Result<(), Error> {
        crate::site::expect_directory(self, mounts, path.as_ref())
    }

    /// Checks everything that can be checked and returns what the child has to do,
    /// in order. Changes nothing. Equal inputs give equal steps.
    ///
    /// # Errors
    /// A source that is missing or of the wrong type, a destination that is a
    /// symbolic link or belongs to the kernel, an unknown option, a device that can
    /// neither be made nor bound.
    pub fn steps(&self, furniture: &Furniture) -> Result<Vec<Step>, Error> {
        crate::plan::steps(self, furniture, crate::plan::Dev::Always)
    }

    /// The simple front door: these mounts with safe defaults, to be
    /// [entered](View::enter) by a child in a new mount namespace.
    ///
    /// # Errors
    /// As [`Rootfs::steps`].
    pub fn furnish(&self, mounts: &[Mount]) -> Result<View, Error> {
        View::new(self, mounts)
    }

    fn open_below(&self, path: &Path, access: Access) -> Result<Option<OwnedFd>, Error> {
        let Some(root) = self.directory() else { return Ok(None) };
        let relative = examine::relative(path)?;
        let (resolved, kind) = examine::resolve(root, &relative, Last::Follow, &|_| false)?;
        match kind {
            examine::Found::Missing | examine::Found::Unknown => Ok(None),
            examine::Found::Is(FileType::Symlink) => Ok(None), // resolve() follows; a loop has failed
            examine::Found::Is(_) => examine::open(root, &resolved, access),
        }
    }
}
