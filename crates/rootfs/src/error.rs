//! Parent: the one error of this crate. Every variant names its object.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a root filesystem or with what is to be furnished in it.
///
/// The text is `object: cause`; an errno comes last and without its number.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A system call refused a path of the host or of the root filesystem.
    Io {
        /// The path that was looked at.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The path is unusable whatever the filesystem holds: relative, with `..`,
    /// with a NUL byte, too long, or `/` itself.
    Path {
        /// The path as it was given.
        path: PathBuf,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A symbolic link stands where a mount, a root or a device must be.
    SymbolicLink {
        /// Where the link is.
        path: PathBuf,
        /// What `path` was to be: `root filesystem`, `destination`, …
        role: &'static str,
        /// Where it points to.
        target: PathBuf,
    },
    /// A directory is needed and something else is there, or the reverse.
    Kind {
        /// The object of the wrong type.
        path: PathBuf,
        /// The mismatch.
        reason: &'static str,
    },
    /// The mount point is missing and cannot be made, because the filesystem
    /// that would hold it is read-only.
    MissingMountPoint {
        /// The mount point below the root.
        path: PathBuf,
        /// The directory of the host that would hold it.
        above: PathBuf,
    },
    /// The place belongs to the kernel or to this crate.
    Reserved {
        /// The destination as it was given.
        path: PathBuf,
        /// The destination with its symbolic links resolved.
        resolved: PathBuf,
        /// What may stand there.
        reason: &'static str,
    },
    /// A mount option that the filesystem does not know, or that contradicts.
    MountOption {
        /// The destination of the mount.
        path: PathBuf,
        /// The option as it was given.
        option: String,
        /// Why it is refused.
        reason: &'static str,
        /// A known option that looks like it.
        suggestion: Option<&'static str>,
    },
    /// A device node that can neither be made nor bound from the host.
    Device {
        /// The node below the root.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, source } => write!(f, "{}: {}", path.display(), Cause(source)),
            Error::Path { path, reason }
            | Error::Kind { path, reason }
            | Error::Device { path, reason } => write!(f, "{}: {reason}", path.display()),
            Error::SymbolicLink { path, role, target } => {
                write!(f, "{}: {role} is a symbolic link to {}", path.display(), target.display())
            }
            Error::MissingMountPoint { path, .. } => {
                write!(
                    f,
                    "{}: mount point is missing and its filesystem is read-only",
                    path.display()
                )
            }
            Error::Reserved { path, resolved, reason } if path == resolved => {
                write!(f, "{}: {reason}", path.display())
            }
            Error::Reserved { path, resolved, reason } => {
                write!(f, "{} (resolved: {}): {reason}", path.display(), resolved.display())
            }
            Error::MountOption { path, option, reason, suggestion } => {
                write!(f, "{}: option {option:?} {reason}", path.display())?;
                suggestion.map_or(Ok(()), |known| write!(f, ", did you mean {known:?}"))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// An I/O error without the "(os error N)" that the standard library appends.
struct Cause<'a>(&'a io::Error);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        let mut letters = text.chars();
        match letters.next() {
            Some(first) => write!(f, "{}{}", first.to_lowercase(), letters.as_str()),
            None => Ok(()),
        }
    }
}

impl Error {
    /// The path that it is about, as it was given where it was.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Error::Io { path, .. }
            | Error::Path { path, .. }
            | Error::SymbolicLink { path, .. }
            | Error::Kind { path, .. }
            | Error::MissingMountPoint { path, .. }
            | Error::Reserved { path, .. }
            | Error::MountOption { path, .. }
            | Error::Device { path, .. } => path,
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Error {
        Error::Io { path: path.into(), source: source.into() }
    }

    pub(crate) fn unusable(path: impl Into<PathBuf>, reason: &'static str) -> Error {
        Error::Path { path: path.into(), reason }
    }

    pub(crate) fn kind(path: impl Into<PathBuf>, reason: &'static str) -> Error {
        Error::Kind { path: path.into(), reason }
    }

    pub(crate) fn device(path: impl Into<PathBuf>, reason: &'static str) -> Error {
        Error::Device { path: path.into(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errno_comes_last_and_without_its_number() {
        let error = Error::io("/srv/data", io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(error.to_string(), "/srv/data: no such file or directory");
    }

    #[test]
    fn a_link_is_told_with_its_target() {
        let error = Error::SymbolicLink {
            path: "/data".into(),
            role: "destination",
            target: "/etc".into(),
        };
        assert_eq!(error.to_string(), "/data: destination is a symbolic link to /etc");
    }
}
