//! Parent: a path below the root in the form that the child needs it in.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use crate::{Error, examine};

/// A path below the root (or below our `/dev`): as it is shown to people, and as C
/// strings, whole and by component. Never empty, never with `..`, relative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shown: PathBuf,
    pub(crate) whole: CString,
    pub(crate) directories: Vec<CString>,
    pub(crate) name: CString,
}

impl Place {
    /// `resolved` is what [`examine::relative`] or [`examine::resolve`] returned.
    pub(crate) fn new(shown: &Path, resolved: &Path) -> Result<Place, Error> {
        let mut names = Vec::new();
        for part in resolved {
            names.push(examine::c_string(Path::new(part))?);
        }
        let Some(name) = names.pop() else {
            return Err(Error::unusable(shown, "path resolves to the root itself"));
        };
        let whole = examine::c_string(resolved)?;
        Ok(Place { shown: shown.to_owned(), whole, directories: names, name })
    }
}
