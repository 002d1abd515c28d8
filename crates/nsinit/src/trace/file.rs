//! Parent: the file that a trace is written to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::log::open_file;

#[derive(Debug)]
pub(super) struct TraceFile {
    path: PathBuf,
    file: File,
}

impl TraceFile {
    /// A link at its name is refused, and so is a path through a directory that a
    /// container can write: it could have put a link to any file of the host on the way.
    pub(super) fn open(path: &Path, writable: &[PathBuf]) -> Result<TraceFile> {
        let failed = || Error::path("open the trace", path);
        let refused = |why| failed()(io::Error::other(why));
        let absolute = std::path::absolute(path).map_err(failed())?;
        let parent = absolute.parent().unwrap_or(&absolute);
        let resolved = parent.canonicalize().map_err(failed())?;
        let ids: Vec<_> = writable.iter().filter_map(|path| id_of(path)).collect();
        let mut passed = parent.ancestors().chain(resolved.ancestors());
        if passed.any(|above| id_of(above).is_some_and(|id| ids.contains(&id))) {
            return Err(refused("the container can write there"));
        }
        let file = open_file(path, OpenOptions::new().write(true)).map_err(failed())?;
        if !file.metadata().map_err(failed())?.is_file() {
            return Err(refused("is not a regular file"));
        }
        Ok(TraceFile { path: path.to_owned(), file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// In place of what it holds.
    pub(super) fn write(&self, text: &str) -> Result<()> {
        let written =
            self.file.set_len(0).and_then(|()| self.file.write_all_at(text.as_bytes(), 0));
        written.map_err(Error::path("write the trace", &self.path))
    }
}

fn id_of(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
