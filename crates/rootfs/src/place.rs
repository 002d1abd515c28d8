//! Both: a path below the root in the form that the child needs it in.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::{Error, examine};

/// A path below the root (or below our `/dev`): as it is shown to people, and as C
/// strings, whole and by component. Never empty, never with `..`, relative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shown: PathBuf,
    pub(crate) whole: CString,
    /// The components, each with a NUL behind it.
    names: Box<[u8]>,
}

impl Place {
    /// `resolved` is what [`examine::relative`] or [`examine::resolve`] returned.
    pub(crate) fn new(shown: &Path, resolved: &Path) -> Result<Place, Error> {
        let bytes = resolved.as_os_str().as_bytes();
        if bytes.is_empty() {
            return Err(Error::unusable(shown, "path resolves to the root itself"));
        }
        let whole = examine::c_string(resolved)?;
        let mut names = whole.as_bytes_with_nul().to_vec();
        names.iter_mut().filter(|byte| **byte == b'/').for_each(|byte| *byte = 0);
        Ok(Place { shown: shown.to_owned(), whole, names: names.into() })
    }

    /// The components but for the last.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &CStr> {
        let last = self.last();
        let before = self.names[..last].split_inclusive(|byte| *byte == 0);
        before.map(|name| CStr::from_bytes_with_nul(name).unwrap_or_default())
    }

    /// The last component.
    pub(crate) fn name(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.names[self.last()..]).unwrap_or_default()
    }

    /// Whether it is that place, or lies below it.
    pub(crate) fn is_within(&self, above: &Place) -> bool {
        // With the NULs behind the components, "sysfs" does not begin with "sys".
        self.names.starts_with(&above.names)
    }

    fn last(&self) -> usize {
        let before = &self.names[..self.names.len() - 1];
        before.iter().rposition(|byte| *byte == 0).map_or(0, |nul| nul + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_directories_and_a_name() {
        let place = Place::new(Path::new("/sys/fs/bpf"), Path::new("sys/fs/bpf")).expect("plain");
        assert_eq!(place.directories().collect::<Vec<_>>(), [c"sys", c"fs"]);
        assert_eq!((place.whole.as_c_str(), place.name()), (c"sys/fs/bpf", c"bpf"));
    }

    #[test]
    fn a_place_is_within_what_is_above_it() {
        let place = |path: &str| Place::new(Path::new("/"), Path::new(path)).expect("plain");
        assert!(place("sys/fs").is_within(&place("sys")) && place("sys").is_within(&place("sys")));
        assert!(
            !place("sysfs").is_within(&place("sys")) && !place("sys").is_within(&place("sysfs"))
        );
    }

    #[test]
    fn a_place_in_the_root_has_no_directories() {
        let place = Place::new(Path::new("/proc"), Path::new("proc")).expect("plain");
        assert_eq!((place.directories().count(), place.name()), (0, c"proc"));
        assert!(Place::new(Path::new("/"), Path::new("")).is_err());
    }
}
