//! Parent: which container a directory stands for.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nsinit_config::{ConfigFile, Container, RootfsSource};
use nsinit_rootfs::{Rootfs, TmpfsRoot};

use crate::builtin::{self, TerminalNames};
use crate::error::{Error, Result};
use crate::program::FileId;

/// The name of the configuration in a container's directory.
pub const CONFIG_FILE: &str = "container.json";

/// A container's directory: what it is, before anything in it is read.
#[derive(Debug)]
pub struct Place {
    /// As it was given.
    shown: PathBuf,
    /// Its path without links.
    pub path: PathBuf,
    /// What identifies the container.
    pub id: FileId,
}

/// A container's directory, and what it says.
#[derive(Debug)]
pub struct Directory {
    /// Its path without links.
    pub path: PathBuf,
    /// Where the configuration comes from.
    pub origin: Origin,
    /// The configuration.
    pub container: Container,
}

/// Where a configuration comes from.
#[derive(Debug)]
pub enum Origin {
    /// `container.json` in the directory.
    File(Box<ConfigFile>),
    /// The directory is a root filesystem, used with every default.
    RootFilesystem,
    /// Neither: the built-in container.
    BuiltIn,
}

impl Place {
    /// Finds a directory.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn find(path: &Path) -> Result<Place> {
        let resolved = path.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if path == Path::new(".") => {
                let wrong = io::Error::other("the current directory has been removed");
                Error::path("open", path)(wrong)
            }
            _ => Error::path("open", path)(error),
        })?;
        let metadata = fs::metadata(&resolved).map_err(Error::path("examine", path))?;
        if !metadata.is_dir() {
            let wrong = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(Error::path("open", path)(wrong));
        }
        let id = FileId { device: metadata.dev(), inode: metadata.ino() };
        Ok(Place { shown: path.to_owned(), path: resolved, id })
    }

    /// Reads what it says.
    ///
    /// # Errors
    ///
    /// All faults of its `container.json`; that others may write it, for root.
    pub fn read(&self) -> Result<Directory> {
        let Place { shown, path, .. } = self;
        let config = shown.join(CONFIG_FILE);
        let (origin, container) = match fs::symlink_metadata(&config) {
            Ok(found) => {
                let shown = config.strip_prefix(".").unwrap_or(&config);
                if found.is_symlink() && rustix::process::geteuid().is_root() {
                    // An image may have brought it, to have any file of root's read.
                    let why = "is a symbolic link, which root does not follow here";
                    return Err(Error::path("trust", shown)(io::Error::other(why)));
                }
                let file = ConfigFile::open(shown).map_err(Error::Config)?;
                refuse_untrusted(&file, shown)?;
                let container = file.parse().map_err(|faults| Error::Config(faults.into()))?;
                (Origin::File(Box::new(file)), container)
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::path("examine", &config)(error));
            }
            Err(_) if builtin::looks_like_root_filesystem(path) => {
                (Origin::RootFilesystem, Container::default())
            }
            Err(_) => (Origin::BuiltIn, built_in()),
        };
        Ok(Directory { path: path.clone(), origin, container })
    }
}

impl Directory {
    /// The root filesystem that the configuration names.
    ///
    /// # Errors
    ///
    /// When it is missing, or cannot be one.
    pub fn rootfs(&self) -> Result<Rootfs> {
        match &self.container.rootfs {
            None => Rootfs::open(&self.path).map_err(Error::Rootfs),
            Some(RootfsSource::Directory(path)) => {
                Rootfs::open(self.path.join(path)).map_err(Error::Rootfs)
            }
            Some(RootfsSource::Tmpfs(root)) => {
                let default = TmpfsRoot::default();
                Ok(Rootfs::tmpfs(TmpfsRoot {
                    size: root.size.unwrap_or(default.size),
                    inodes: root.inodes.unwrap_or(default.inodes),
                }))
            }
        }
    }

    /// One line that says what is used, where that is not a `container.json`.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        match self.origin {
            Origin::File(_) => None,
            Origin::RootFilesystem => Some(format!(
                "no container.json here: using {} as the root filesystem, with defaults",
                self.path.display()
            )),
            Origin::BuiltIn => Some(
                "no container.json here: using the built-in container (nsinit spec shows it)"
                    .into(),
            ),
        }
    }

    /// Whether files of ours are made in it: not in somebody's own directory.
    pub(crate) fn is_container(&self) -> bool {
        !matches!(self.origin, Origin::BuiltIn)
    }
}

/// The configuration of a directory that has none and is no root filesystem.
pub(crate) fn built_in() -> Container {
    let variable = |name| std::env::var(name).ok();
    let (term, colorterm) = (variable("TERM"), variable("COLORTERM"));
    let names = TerminalNames { term: term.as_deref(), colorterm: colorterm.as_deref() };
    builtin::container(Path::new("/"), names)
}

/// Who can write the configuration is root on the host as soon as root uses it.
fn refuse_untrusted(file: &ConfigFile, path: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let metadata = file.metadata();
    let sudo_uid = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
    let trusted = metadata.uid() == 0 || Some(metadata.uid()) == sudo_uid;
    let why = if metadata.mode() & 0o022 != 0 {
        "can be written by others: root does not use it (chmod go-w)".to_owned()
    } else if !trusted {
        format!("belongs to uid {}: root does not use it (chown root)", metadata.uid())
    } else {
        return Ok(());
    };
    Err(Error::path("trust", path)(io::Error::other(why)))
}
