//! Parent: what can go wrong, with the object's name and, where one is
//! known, the remedy.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::{Denier, Namespace};

/// What went wrong, by what the caller can do about it.
///
/// The text is `object: cause`; [`hint`](Self::hint) tells the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Something that can be named and changed forbids it.
    Denied {
        /// Who forbids it.
        by: Denier,
        /// What was asked for: "new user namespace", "/proc/7/uid_map".
        what: String,
        /// The kernel's answer.
        source: io::Error,
        /// What can be done about it.
        remedy: Option<String>,
    },
    /// The kernel lacks it.
    Unsupported {
        /// What was asked for.
        what: String,
        /// What it takes: "Linux 5.7", "CONFIG_TIME_NS".
        needs: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The host's administrator has not given the user these ids.
    IdRange {
        /// `/etc/subuid` or `/etc/subgid`.
        file: PathBuf,
        /// The user's name, or the id if it has none.
        user: String,
        /// The line that would allow it: `koye:100000:65536`.
        line: String,
    },
    /// The map is wrong in itself.
    InvalidMap {
        /// The lines it is about: "uid map: 0 100000 65536 and 5 7 1".
        map: String,
        /// What is wrong with them.
        reason: String,
    },
    /// `newuidmap` or `newgidmap` did not write the map.
    MapProgram {
        /// The program's absolute path.
        program: PathBuf,
        /// How it ended, and what it said (at most 64 KiB).
        reason: String,
        /// What can be done about it.
        remedy: Option<String>,
    },
    /// The file is no namespace of that kind.
    WrongNamespace {
        /// The file.
        path: PathBuf,
        /// The kind that was asked for.
        expected: Namespace,
        /// The kind that it is; `None`: not a namespace at all.
        found: Option<Namespace>,
    },
    /// No kind of namespace has this name.
    UnknownNamespace {
        /// The name.
        name: String,
    },
    /// The process has ended, or the id is another process's by now.
    Gone {
        /// Its process id.
        pid: i32,
    },
    /// The program of a [`Command`](crate::Command) does not run.
    Program {
        /// The program, as it was given.
        program: PathBuf,
        /// What the child was about when it failed: "execute",
        /// "become root".
        action: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// What was asked for cannot be: a contradiction in the request.
    Invalid {
        /// The object.
        what: String,
        /// Why not.
        reason: String,
    },
    /// clone3(2) was refused for a reason that says nothing more.
    Clone {
        /// What was asked for.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file, or another object of the kernel.
    Io {
        /// The path, or the object's name.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io { what: what.into(), source: source.into() }
    }

    /// What the user or the administrator can do about it, in one or more
    /// lines without an end of line; `None` where nothing is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Denied { remedy, .. } | Self::MapProgram { remedy, .. } => remedy.clone(),
            Self::IdRange { line, .. } if belongs_to_the_host(line) => Some(
                "ids below 65536 are the host's own users': map others to the container".to_owned(),
            ),
            Self::IdRange { file, line, .. } => {
                Some(format!("as root, add the line {line} to {}", file.display()))
            }
            Self::Unsupported { needs, .. } => Some(format!("this needs {needs}")),
            _ => None,
        }
    }
}

/// Whether a line of subordinate ids would hand out ids of real users, root's first.
fn belongs_to_the_host(line: &str) -> bool {
    let start = line.split(':').nth(1).and_then(|start| start.parse::<u32>().ok());
    start.is_none_or(|start| start < 65536)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { by, what, source, .. } => {
                write!(f, "{what}: forbidden by {by}: {}", errno_text(source))
            }
            Self::Unsupported { what, needs, source } => {
                write!(f, "{what}: needs {needs}: {}", errno_text(source))
            }
            Self::IdRange { file, user, line } => {
                write!(f, "{}: user {user} has no line {line}", file.display())
            }
            Self::InvalidMap { map, reason } => write!(f, "{map}: {reason}"),
            Self::MapProgram { program, reason, .. } => {
                write!(f, "{}: {reason}", program.display())
            }
            Self::WrongNamespace { path, expected, found: Some(found) } => {
                write!(f, "{}: a {found} namespace, not {expected}", path.display())
            }
            Self::WrongNamespace { path, expected, found: None } => {
                write!(f, "{}: not a namespace ({expected} expected)", path.display())
            }
            Self::UnknownNamespace { name } => write!(f, "{name}: not a kind of namespace"),
            Self::Gone { pid } => write!(f, "process {pid}: has ended"),
            Self::Program { program, action: "", source } => {
                write!(f, "{}: {}", program.display(), errno_text(source))
            }
            Self::Program { program, action, source } => {
                write!(f, "{}: {action}: {}", program.display(), errno_text(source))
            }
            Self::Invalid { what, reason } => write!(f, "{what}: {reason}"),
            Self::Clone { what, source } | Self::Io { what, source } => {
                write!(f, "{what}: {}", errno_text(source))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Denied { source, .. }
            | Self::Unsupported { source, .. }
            | Self::Program { source, .. }
            | Self::Clone { source, .. }
            | Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The words of errno without std's "(os error N)".
fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
