//! Parent: files of ours in the container's directory.
//!
//! `pid` is for people: it holds init's pid in decimal while the container lives.
//! Nothing is ever decided by what it says, but for whom a message names: the container
//! could write one when the directory is its root filesystem.
//!
//! `container.json`, where there is none and the directory is the root filesystem, is
//! an empty file that takes the name: the container would make it otherwise, and be
//! obeyed by the next command on the host.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::error::{Error, Result};

/// A file of ours. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct OwnFile {
    path: PathBuf,
    file: File,
    /// Somebody on the host may have filled it meanwhile: then it is theirs.
    only_while_empty: bool,
}

impl OwnFile {
    /// Makes a `pid` file, empty as yet, in place of one that an earlier launcher left.
    ///
    /// Never writes through a link, and replaces nothing that is not of its kind.
    pub(crate) fn pid(path: &Path) -> io::Result<OwnFile> {
        match fs::symlink_metadata(path) {
            Err(_) => {}
            Ok(_) if is_pid_file(path) => fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::other("is not a pid file of nsinit: move it away")),
        }
        Ok(OwnFile { path: path.to_owned(), file: create(path)?, only_while_empty: false })
    }

    /// Writes the pid of which the file tells.
    pub(crate) fn write_pid(&self, pid: Pid) -> Result<()> {
        let line = format!("{}\n", pid.as_raw_nonzero());
        (&self.file).write_all(line.as_bytes()).map_err(Error::path("write", &self.path))
    }

    /// Takes a name that must stay free.
    pub(crate) fn placeholder(path: &Path) -> io::Result<OwnFile> {
        Ok(OwnFile { path: path.to_owned(), file: create(path)?, only_while_empty: true })
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        let ours = self.file.metadata();
        let named = fs::symlink_metadata(&self.path);
        // Not a file that somebody else has put there meanwhile.
        if let (Ok(ours), Ok(named)) = (ours, named) {
            let same = (ours.dev(), ours.ino()) == (named.dev(), named.ino());
            if same && (named.len() == 0 || !self.only_while_empty) {
                let _ = fs::remove_file(&self.path);
            }
        }
    }
}

/// Removes a placeholder that an earlier launcher left, if it is still empty.
pub(crate) fn remove_placeholder(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Removes a `pid` file that an earlier launcher left.
pub(crate) fn remove_pid(path: &Path) -> io::Result<()> {
    if is_pid_file(path) { fs::remove_file(path) } else { Ok(()) }
}

/// A file that is empty or holds a number, or a link, which nobody reads.
fn is_pid_file(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => true,
        Ok(metadata) => metadata.is_file() && (metadata.len() == 0 || read(path).is_some()),
        Err(_) => false,
    }
}

/// The pid that a file says; None when it is no file, or says none.
pub(crate) fn read(path: &Path) -> Option<i32> {
    const NOFOLLOW: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

/// What everybody may know of a process that might be a container's init.
pub(crate) struct Init {
    pub(crate) uid: u32,
    pub(crate) in_inner_pid_namespace: bool,
}

/// A live process of that pid (proc_pid_status(5)).
pub(crate) fn init_of(pid: i32) -> Option<Init> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let uid = line("Uid:")?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let in_inner_pid_namespace = line("NSpid:")?.split_ascii_whitespace().count() > 1;
    Some(Init { uid, in_inner_pid_namespace })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("nsinit-pid-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn a_link_is_replaced_and_not_written_through() {
        let directory = directory("link");
        let victim = directory.join("victim");
        fs::write(&victim, "untouched").unwrap();
        std::os::unix::fs::symlink(&victim, directory.join("pid")).unwrap();
        let file = OwnFile::pid(&directory.join("pid")).unwrap();
        file.write_pid(Pid::from_raw(42).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(read(&directory.join("pid")), Some(42));
        drop(file);
        assert!(!directory.join("pid").exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn an_empty_file_of_a_launcher_that_was_killed_is_replaced() {
        let directory = directory("empty");
        let path = directory.join("pid");
        std::mem::forget(OwnFile::pid(&path).unwrap());
        assert_eq!((read(&path), fs::metadata(&path).unwrap().len()), (None, 0));
        let file = OwnFile::pid(&path).unwrap();
        file.write_pid(Pid::from_raw(42).unwrap()).unwrap();
        assert_eq!(read(&path), Some(42));
        drop(file);
        assert!(!path.exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_placeholder_that_somebody_filled_is_not_removed() {
        let directory = directory("placeholder");
        let path = directory.join("container.json");
        drop(OwnFile::placeholder(&path).unwrap());
        assert!(!path.exists());
        let file = OwnFile::placeholder(&path).unwrap();
        fs::write(&path, "{}").unwrap();
        drop(file);
        assert!(path.exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn somebody_elses_file_is_not_removed() {
        let directory = directory("other");
        let path = directory.join("pid");
        let file = OwnFile::pid(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "7\n").unwrap();
        drop(file);
        assert_eq!(read(&path), Some(7));
        fs::remove_dir_all(directory).unwrap();
    }
}
