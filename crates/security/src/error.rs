//! Parent: the error of this crate.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::capability_set::CapabilitySet;

/// Why something that was asked for cannot be had; every variant names the object.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read or written.
    Io {
        /// The file, or what else was asked.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A name that is none of the kernel's.
    Unknown {
        /// What it should be: `capability`, `rlimit`.
        what: &'static str,
        /// The name as given.
        name: String,
        /// A known name that is spelt like it.
        suggestion: Option<&'static str>,
    },
    /// A value that cannot be meant.
    Invalid {
        /// What it should be: `user`, `sysctl`, `label` and the like.
        what: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A user or group name that the container's own file does not have.
    NotFound {
        /// `user` or `group`.
        what: &'static str,
        /// The name.
        name: String,
        /// The file in the container: `/etc/passwd` or `/etc/group`.
        file: &'static str,
        /// Whether there is such a file at all.
        file_exists: bool,
    },
    /// A passwd(5) or group(5) file that will not be read further.
    Accounts {
        /// The file in the container: `/etc/passwd` or `/etc/group`.
        file: &'static str,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A label or profile for a security module that is off.
    Disabled {
        /// The module.
        module: Module,
        /// The label or profile.
        asked: String,
    },
    /// An AppArmor profile that the kernel does not have.
    NotLoaded {
        /// Its name.
        profile: String,
    },
    /// What this build has no way to do.
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// Capabilities that the caller cannot give because it does not have them.
    NotHeld {
        /// Those that are missing.
        missing: CapabilitySet,
    },
}

/// A security module of the kernel that labels processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// SELinux: labels `user:role:type:range`.
    Selinux,
    /// AppArmor: profiles by name.
    AppArmor,
}

impl Module {
    /// What this module calls what it gives a process.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Module::Selinux => "label",
            Module::AppArmor => "profile",
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Module::Selinux => "SELinux",
            Module::AppArmor => "AppArmor",
        })
    }
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Error {
        Error::Io { path: path.into(), source: source.into() }
    }

    pub(crate) fn invalid(what: &'static str, value: &str, reason: impl Into<String>) -> Error {
        Error::Invalid { what, value: value.to_owned(), reason: reason.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, source } => write!(f, "{}: {}", path.display(), cause(source)),
            Error::Unknown { what, name, suggestion: None } => {
                write!(f, "{what} {name:?}: unknown")
            }
            Error::Unknown { what, name, suggestion: Some(known) } => {
                write!(f, "{what} {name:?}: unknown, did you mean {known:?}?")
            }
            Error::Invalid { what, value, reason } => write!(f, "{what} {value:?}: {reason}"),
            Error::NotFound { what, name, file, file_exists: true } => {
                write!(f, "{what} {name:?}: not in the container's {file}")
            }
            Error::NotFound { what, name, file, file_exists: false } => {
                write!(f, "{what} {name:?}: the container has no {file}")
            }
            Error::Accounts { file, line, reason } => {
                write!(f, "the container's {file}: line {line}: {reason}")
            }
            Error::Unsupported { what } => write!(f, "there is no {what}"),
            Error::Disabled { module, asked } => write!(
                f,
                "{module} is not enabled on this host, but {} {asked:?} was asked for",
                module.noun()
            ),
            Error::NotLoaded { profile } => {
                write!(f, "AppArmor profile {profile:?}: not loaded into the kernel")
            }
            Error::NotHeld { missing } => {
                write!(f, "capabilities {missing}: the caller does not have them itself")
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

/// The text of an error without the number that the standard library adds to it.
fn cause(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(number) = error.raw_os_error() {
        let suffix = format!(" (os error {number})");
        text.truncate(text.strip_suffix(&suffix).unwrap_or(&text).len());
    }
    text
}

/// The candidate at an edit distance of at most a third of its length.
pub(crate) fn nearest(
    word: &str,
    candidates: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    if word.len() > 64 {
        return None;
    }
    candidates
        .map(|candidate| (distance(word.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_the_object_and_end_with_the_cause() {
        let error = Error::io("/etc/passwd", io::Error::from_raw_os_error(13));
        assert_eq!(error.to_string(), "/etc/passwd: Permission denied");
        assert!(std::error::Error::source(&error).is_some());
        let error = Error::Disabled { module: Module::Selinux, asked: "a:b:c".into() };
        assert_eq!(
            error.to_string(),
            "SELinux is not enabled on this host, but label \"a:b:c\" was asked for"
        );
    }

    #[test]
    fn distances() {
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(nearest("nofiles", ["nproc", "nofile"].into_iter()), Some("nofile"));
        assert_eq!(nearest("zzz", ["nproc", "nofile"].into_iter()), None);
    }
}
