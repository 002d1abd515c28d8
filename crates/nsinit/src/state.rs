//! Parent: what is known of running containers between two commands.
//!
//! One directory for each container in the run directory, which only its owner can
//! enter. The container cannot reach it, so that what it was started with is what a
//! later process joins (the configuration beside the root filesystem may have been
//! rewritten from inside).
//!
//! Identity: the device and inode of the container's directory name the entry; pid,
//! start time and boot id tell its init from a stranger with the same pid; a pidfd
//! holds it. A lock (flock(2)) on the entry orders two commands.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nsinit_cgroups::Cgroup;
use nsinit_config::Container;
use nsinit_security::User;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::own_file;
use crate::process::ProcessId;
use crate::program::FileId;

/// A running container, as it was sealed at its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Init: the container lives as long as it does.
    pub init: ProcessId,
    /// The program. Joining goes by it: init may be closed to everybody.
    pub program: ProcessId,
    /// The configuration that it was started with.
    pub container: Container,
    /// The directories of its cgroup.
    pub cgroup: Vec<PathBuf>,
    /// Directories above it that were made for it, and go with their last child.
    pub cgroup_parents: Vec<PathBuf>,
    /// The host ends of its interfaces.
    pub links: Vec<String>,
    /// Bridges that were made for it, and go with their last port.
    pub bridges: Vec<String>,
    /// The `pid` file, if one was written.
    pub pid_file: Option<PathBuf>,
    /// The empty `container.json`, if the directory had none.
    pub placeholder: Option<PathBuf>,
}

/// The directory of all entries of this user: `/run/nsinit`, or below
/// `XDG_RUNTIME_DIR`.
#[derive(Debug)]
pub struct RunDirectory(PathBuf);

impl RunDirectory {
    /// Finds the user's run directory, and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// When it is a link, is not the caller's, or others may enter it.
    pub fn open(uid: u32) -> Result<RunDirectory> {
        let path = run_directory(uid)?;
        let made = fs::DirBuilder::new().mode(0o700).recursive(uid != 0).create(&path);
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(|source| Error::Io {
                action: format!("create the run directory {} ({CHOICE})", path.display()),
                source,
            })?,
        }
        let metadata = fs::symlink_metadata(&path).map_err(Error::path("examine", &path))?;
        if !metadata.is_dir() || metadata.uid() != uid || metadata.mode() & 0o077 != 0 {
            let wrong = io::Error::other(format!("must be yours, with mode 0700 ({CHOICE})"));
            return Err(Error::path("use the run directory", &path)(wrong));
        }
        Ok(RunDirectory(path))
    }

    /// The entry of the container in that directory, locked.
    ///
    /// # Errors
    ///
    /// When the entry cannot be made or locked.
    pub fn lock(&self, directory: FileId) -> Result<Entry> {
        let path = self.0.join(format!("{:x}-{:x}", directory.device, directory.inode));
        loop {
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other.map_err(Error::path("create", &path))?,
            }
            let directory = match File::open(&path) {
                // The last user removed it just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(Error::path("open", &path))?,
            };
            lock(&directory, &path)?;
            // Only a lock on the entry that still has the name counts.
            let locked = directory.metadata().map_err(Error::path("examine", &path))?;
            match fs::symlink_metadata(&path) {
                Ok(named) if (named.dev(), named.ino()) == (locked.dev(), locked.ino()) => {
                    return Ok(Entry { path, directory });
                }
                _ => {}
            }
        }
    }
}

/// How a user chooses another run directory.
const CHOICE: &str = "XDG_RUNTIME_DIR names the directory that it is made in";

fn run_directory(uid: u32) -> Result<PathBuf> {
    if uid == 0 {
        return Ok(PathBuf::from("/run/nsinit"));
    }
    if let Some(directory) = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        return Ok(Path::new(&directory).join("nsinit"));
    }
    let run = PathBuf::from(format!("/run/user/{uid}"));
    if fs::symlink_metadata(&run).is_ok_and(|m| m.is_dir() && m.uid() == uid) {
        return Ok(run.join("nsinit"));
    }
    match home_of(uid) {
        Some(home) => Ok(Path::new(&home).join(".local/state/nsinit")),
        None => Err(Error::io("find a run directory")(io::Error::other(format!(
            "no /run/user directory, and no home directory in /etc/passwd ({CHOICE})"
        )))),
    }
}

fn home_of(uid: u32) -> Option<String> {
    let mut passwd = File::open("/etc/passwd").ok()?;
    let user = User::resolve(&uid.to_string(), &[], Some(&mut passwd), None).ok()?;
    user.home.filter(|home| home.starts_with('/'))
}

/// The locked entry of one container. Dropping it unlocks, and removes it when nothing
/// is recorded.
#[derive(Debug)]
pub struct Entry {
    path: PathBuf,
    directory: File,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Refused while something is recorded. Who waits for the lock finds the entry gone
        // and makes a new one.
        let _ = fs::remove_dir(&self.path);
    }
}

/// An entry that others may lock, kept by the launcher of its container.
#[derive(Debug)]
pub(crate) struct Unlocked(Entry);

impl Unlocked {
    /// Waits for whoever joins right now, and locks the entry again.
    pub(crate) fn lock(self) -> Result<Entry> {
        lock(&self.0.directory, &self.0.path)?;
        Ok(self.0)
    }
}

fn lock(directory: &File, path: &Path) -> Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(directory, FlockOperation::LockExclusive))
        .map_err(|errno| Error::path("lock", path)(errno.into()))
}

impl Entry {
    fn file(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// What is recorded; None when nothing is.
    ///
    /// # Errors
    ///
    /// When the record cannot be read or understood.
    pub fn read(&self) -> Result<Option<State>> {
        let path = self.file();
        let mut text = String::new();
        match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::path("read", &path))?,
        };
        let state = serde_json::from_str(&text)
            .map_err(|error| Error::path("understand", &path)(error.into()))?;
        Ok(Some(state))
    }

    /// Records a container: a reader finds the whole record or none.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, state: &State) -> Result<()> {
        let path = self.file();
        let new = self.path.join("state.json.new");
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&serde_json::to_vec(state)?)?;
            fs::rename(&new, &path)
        };
        write().map_err(Error::path("write", &path))
    }

    /// Lets others lock it.
    pub(crate) fn unlock(self) -> Unlocked {
        // Fails only for a descriptor that is none.
        let _ = rustix::fs::flock(&self.directory, FlockOperation::Unlock);
        Unlocked(self)
    }

    /// Forgets the container.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub fn clear(&self) -> Result<()> {
        for name in ["state.json", "state.json.new"] {
            match fs::remove_file(self.path.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(Error::path("remove", &self.path.join(name)))?,
            }
        }
        Ok(())
    }
}

impl State {
    /// A pidfd of the recorded init, if that very process lives.
    #[must_use]
    pub fn init(&self) -> Option<OwnedFd> {
        self.init.open()
    }

    /// A pidfd of the recorded program, if that very process lives.
    #[must_use]
    pub fn program(&self) -> Option<OwnedFd> {
        self.program.open()
    }

    /// Removes what a container that ended without its launcher left behind.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be removed.
    pub fn clean_up(&self) -> Result<()> {
        if let Some(path) = &self.pid_file {
            own_file::remove_pid(path, self.init.pid).map_err(Error::path("remove", path))?;
        }
        if let Some(path) = &self.placeholder {
            own_file::remove_placeholder(path).map_err(Error::path("remove", path))?;
        }
        for link in &self.links {
            nsinit_network::remove_link(link).map_err(Error::Network)?;
        }
        for bridge in &self.bridges {
            nsinit_network::remove_bridge(bridge).map_err(Error::Network)?;
        }
        if self.cgroup.is_empty() {
            return Ok(());
        }
        match Cgroup::open_with_parents(&self.cgroup, &self.cgroup_parents) {
            Ok(cgroup) => {
                cgroup.kill().map_err(Error::Cgroup)?;
                cgroup.remove().map_err(Error::Cgroup)
            }
            Err(nsinit_cgroups::Error::Gone { .. }) => Ok(()),
            Err(error) => Err(Error::Cgroup(error)),
        }
    }
}
