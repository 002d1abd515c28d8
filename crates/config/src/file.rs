//! Parent: reading the one file.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::suggest::escaped;
use crate::{Container, Error, Faults, explain};

/// Largest file that is read, in bytes: 4 MiB.
pub const MAX_FILE_SIZE: u64 = 4 << 20;

/// A file that has been opened and read once: its content, and the metadata of
/// that very file, for a caller who looks at owner and mode before believing it.
///
/// ```no_run
/// use std::os::unix::fs::MetadataExt;
/// use nsinit_config::ConfigFile;
///
/// let file = ConfigFile::open("container.json")?;
/// assert_eq!(file.metadata().mode() & 0o022, 0, "others may write it");
/// let container = file.parse()?;
/// # Ok::<(), nsinit_config::Error>(())
/// ```
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    metadata: Metadata,
    content: Vec<u8>,
}

impl ConfigFile {
    /// Opens `path` once, without blocking, and reads it.
    ///
    /// # Errors
    /// All of [`Error`] but [`Error::Faults`].
    pub fn open(path: impl AsRef<Path>) -> Result<ConfigFile, Error> {
        let path = path.as_ref();
        // A named pipe must not block us (open(2), ENXIO and O_NONBLOCK).
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = openat(CWD, path, flags, Mode::empty()).map_err(|errno| {
            match path.metadata() {
                // A socket has no other way to be opened (open(2), ENXIO).
                Ok(found) if errno == Errno::NXIO && !found.is_file() => {
                    Error::NotAFile { path: path.into(), kind: kind(&found) }
                }
                _ => Error::Read { path: path.into(), source: errno.into() },
            }
        })?;
        ConfigFile::read(file.into(), path)
    }

    /// Reads a file that the caller has opened; `path` is its name in messages.
    ///
    /// # Errors
    /// As [`ConfigFile::open`].
    pub fn read(file: File, path: impl Into<PathBuf>) -> Result<ConfigFile, Error> {
        let path = path.into();
        let failed = |source| Error::Read { path: path.clone(), source };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::NotAFile { path, kind: kind(&metadata) });
        }
        let size = usize::try_from(metadata.len().min(MAX_FILE_SIZE)).unwrap_or(0);
        let mut content = Vec::with_capacity(size + 1);
        file.take(MAX_FILE_SIZE + 1).read_to_end(&mut content).map_err(failed)?;
        if u64::try_from(content.len()).is_ok_and(|size| size <= MAX_FILE_SIZE) {
            Ok(ConfigFile { path, metadata, content })
        } else {
            Err(Error::TooLarge { path })
        }
    }

    /// Metadata of the file that was read.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The bytes of the file.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// A fault that only showed when the configuration met the host: printed at the
    /// value that `path` (such as `mounts[2].source`) leads to, like all others.
    #[must_use]
    pub fn fault_at(&self, path: &str, message: String, suggestion: Option<String>) -> Faults {
        let text = String::from_utf8_lossy(&self.content);
        let message = escaped(&message);
        explain::at(&text, &self.path.display().to_string(), path, message, suggestion)
    }

    /// Decodes and checks the content.
    ///
    /// # Errors
    /// Everything that is wrong with it, at most twenty faults.
    pub fn parse(&self) -> Result<Container, Faults> {
        let name = self.path.display().to_string();
        match std::str::from_utf8(&self.content) {
            Ok(text) => Container::from_str(text, &name),
            Err(error) => Err(explain::not_utf8(&self.content, error, &name)),
        }
    }
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
