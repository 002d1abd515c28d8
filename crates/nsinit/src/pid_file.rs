//! Parent: the file `pid`, for people.
//!
//! It holds init's pid in decimal while the container lives. Nothing is ever decided
//! by what it says, but for whom a message names: the container can write it when it
//! lies in its root filesystem.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A `pid` file of ours. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Makes an empty file, in place of one that an earlier launcher left.
    ///
    /// Never writes through a link: what is at the name is replaced.
    pub(crate) fn create(path: &Path) -> io::Result<PidFile> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            Ok(_) => fs::remove_file(path)?,
            Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
        Ok(PidFile { path: path.to_owned(), file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&mut self, pid: i32) -> io::Result<()> {
        self.file.write_all(format!("{pid}\n").as_bytes())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = self.file.metadata();
        let named = fs::symlink_metadata(&self.path);
        // Not a file that somebody else has put there meanwhile.
        if let (Ok(ours), Ok(named)) = (ours, named) {
            if (ours.dev(), ours.ino()) == (named.dev(), named.ino()) {
                let _ = fs::remove_file(&self.path);
            }
        }
    }
}

/// Removes a file that an earlier launcher left, if it still says that pid.
pub(crate) fn remove(path: &Path, pid: i32) -> io::Result<()> {
    match read(path) {
        Some(named) if named == pid => fs::remove_file(path),
        _ => Ok(()),
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
        let mut file = PidFile::create(&directory.join("pid")).unwrap();
        file.write(42).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(read(&directory.join("pid")), Some(42));
        drop(file);
        assert!(!directory.join("pid").exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn somebody_elses_file_is_not_removed() {
        let directory = directory("other");
        let path = directory.join("pid");
        let file = PidFile::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "7\n").unwrap();
        drop(file);
        assert_eq!(read(&path), Some(7));
        fs::remove_dir_all(directory).unwrap();
    }
}
