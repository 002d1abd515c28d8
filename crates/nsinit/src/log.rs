//! Parent: one line for each thing that the launcher does, where that is asked for.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Error, Result};

/// Where events go.
#[derive(Debug)]
pub(crate) enum Log {
    None,
    Stderr,
    File(RefCell<File>),
}

impl Log {
    /// `none`, `stderr`, or the path of a file.
    ///
    /// The file may lie where the container can write: a link at its name is refused,
    /// and a pipe without a reader does not stop the launcher.
    pub(crate) fn open(place: &OsStr) -> Result<Log> {
        match place.to_str() {
            Some("none") => return Ok(Log::None),
            Some("stderr") => return Ok(Log::Stderr),
            _ => {}
        }
        let path = Path::new(place);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
            .map_err(Error::path("open the log", path))?;
        Ok(Log::File(RefCell::new(file)))
    }

    /// One line. A full disk or a slow reader does not stop the launcher: a line that
    /// cannot be written is lost.
    pub(crate) fn event(&self, message: &str) {
        let line = format!("nsinit: {}\n", message.escape_debug());
        let _ = match self {
            Log::None => Ok(()),
            Log::Stderr => io::stderr().write_all(line.as_bytes()),
            Log::File(file) => file.borrow_mut().write_all(line.as_bytes()),
        };
    }
}
