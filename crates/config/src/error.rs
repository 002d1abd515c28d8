//! Parent: why there is no `Container`.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::{Faults, MAX_FILE_SIZE};

/// Why a `container.json` could not be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened or read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said; `source.kind()` tells a missing file.
        source: io::Error,
    },
    /// There is something else than a regular file.
    NotAFile {
        /// The file.
        path: PathBuf,
        /// What it is: `a directory`, `a named pipe`.
        kind: &'static str,
    },
    /// The file has more than [`MAX_FILE_SIZE`] bytes.
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The text has faults.
    Faults(Faults),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read { path, source } => write!(f, "{}: {}", path.display(), words(source)),
            Error::NotAFile { path, kind } => {
                write!(f, "{}: is {kind}, must be a regular file", path.display())
            }
            Error::TooLarge { path } => {
                write!(f, "{}: larger than {} MiB", path.display(), MAX_FILE_SIZE >> 20)
            }
            Error::Faults(faults) => faults.fmt(f),
        }
    }
}

/// The text of an errno without "(os error N)".
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Error {
        Error::Faults(faults)
    }
}
