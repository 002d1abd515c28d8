//! Parent: why there is no `Container`.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::fault::Fault;
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

impl Error {
    /// All that is wrong, also where it is wrong with the file as a whole.
    pub fn faults(&self) -> Faults {
        let (path, message) = match self {
            Error::Faults(faults) => return faults.clone(),
            Error::Read { path, source } => (path, words(source)),
            Error::NotAFile { path, kind } => (path, format!("is {kind}, must be a regular file")),
            Error::TooLarge { path } => {
                (path, format!("is larger than {} MiB, which is the limit", MAX_FILE_SIZE >> 20))
            }
        };
        let name = path.display().to_string();
        Faults::new(Some(name), vec![Fault::new(String::new(), message, None)])
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.faults().fmt(f)
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
