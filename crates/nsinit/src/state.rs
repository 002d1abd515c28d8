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
use std::time::Duration;

use nsinit_cgroups::Cgroup;
use nsinit_config::Container;
use nsinit_security::User;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::any_path;
use crate::error::{Error, Result};
use crate::own_file;
use crate::process::ProcessId;
use crate::program::FileId;

/// A container, as it was sealed at its start.
///
/// Recorded before anything is made outside of the entry, so that whatever a killed
/// launcher leaves is found and removed; and again when init is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Init: the container lives as long as it does. None while there is none yet.
    pub init: Option<ProcessId>,
    /// The program. Joining goes by it: init may be closed to everybody.
    pub program: Option<ProcessId>,
    /// The configuration that it was started with.
    pub container: Container,
    /// The path of the cgroup that is made for it.
    pub cgroup_path: Option<String>,
    /// The directories of its cgroup.
    pub cgroup: Vec<CgroupDirectory>,
    /// Directories above it that were made for it, and go with their last child.
    pub cgroup_parents: Vec<PathBuf>,
    /// The host ends of its interfaces.
    pub links: Vec<String>,
    /// Bridges that are made for it, and go with their last port.
    pub bridges: Vec<String>,
    /// The `pid` file, if one is written.
    #[serde(with = "any_path")]
    pub pid_file: Option<PathBuf>,
    /// The empty `container.json`, if the directory had none.
    #[serde(with = "any_path")]
    pub placeholder: Option<PathBuf>,
}

/// A directory of a cgroup, told apart from another's with the same path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CgroupDirectory {
    /// Its path.
    pub path: PathBuf,
    /// The device of its hierarchy.
    pub device: u64,
    /// Its inode, which no later directory has.
    pub inode: u64,
}

impl CgroupDirectory {
    /// The directory of that path; None where there is none.
    pub(crate) fn of(path: PathBuf) -> Result<Option<CgroupDirectory>> {
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::path("examine", &path))?,
        };
        Ok(Some(CgroupDirectory { path, device: metadata.dev(), inode: metadata.ino() }))
    }

    fn is_still_there(&self) -> Result<bool> {
        Ok(CgroupDirectory::of(self.path.clone())?.as_ref() == Some(self))
    }
}

/// The directory of all entries of this user: `/run/nsinit` for who is root over `/run`,
/// or below `XDG_RUNTIME_DIR`.
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
        let is_chosen = path != Path::new(OF_ROOT);
        let made = fs::DirBuilder::new().mode(0o700).recursive(is_chosen).create(&path);
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => {
                let by = match std::env::var_os("XDG_RUNTIME_DIR") {
                    _ if !is_chosen => "",
                    Some(chosen) if !chosen.is_empty() => ", chosen by XDG_RUNTIME_DIR",
                    _ => " (XDG_RUNTIME_DIR chooses another)",
                };
                other.map_err(Error::path(&format!("the run directory{by}: create"), &path))?
            }
        }
        RunDirectory::verified(path, uid)
    }

    /// The same where it is there. Makes nothing.
    pub(crate) fn find(uid: u32) -> Result<std::result::Result<RunDirectory, PathBuf>> {
        let path = run_directory(uid)?;
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err(path)),
            _ => RunDirectory::verified(path, uid).map(Ok),
        }
    }

    fn verified(path: PathBuf, uid: u32) -> Result<RunDirectory> {
        let metadata = fs::symlink_metadata(&path).map_err(Error::path("examine", &path))?;
        if !metadata.is_dir() || metadata.uid() != uid || metadata.mode() & 0o077 != 0 {
            let choice =
                if path == Path::new(OF_ROOT) { String::new() } else { format!(" ({CHOICE})") };
            let wrong = io::Error::other(format!("must be yours, with mode 0700{choice}"));
            return Err(Error::path("use the run directory", &path)(wrong));
        }
        Ok(RunDirectory(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn entry_of(&self, directory: FileId) -> PathBuf {
        self.0.join(format!("{:x}-{:x}", directory.device, directory.inode))
    }

    /// What is recorded of the container in that directory, as it is now: nobody is waited
    /// for.
    pub(crate) fn peek(&self, directory: FileId) -> Result<Option<State>> {
        read_record(&self.entry_of(directory).join(RECORD))
    }

    /// The entry of the container in that directory, locked.
    ///
    /// # Errors
    ///
    /// When the entry cannot be made or locked.
    pub fn lock(&self, directory: FileId) -> Result<Entry> {
        let path = self.entry_of(directory);
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
            if has_name(&directory, &path) {
                return Ok(Entry { path, directory });
            }
        }
    }
}

/// The file in an entry that says what is known.
const RECORD: &str = "state.json";

fn read_record(path: &Path) -> Result<Option<State>> {
    let mut text = String::new();
    match File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::path("read", path))?,
    };
    if text.is_empty() {
        // The machine went down while it was written: nothing of it is left.
        return Ok(None);
    }
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| Error::path("understand", path)(error.into()))
}

/// How a user chooses another run directory.
const CHOICE: &str = "XDG_RUNTIME_DIR names the directory that it is made in";

/// The run directory of root.
const OF_ROOT: &str = "/run/nsinit";

fn run_directory(uid: u32) -> Result<PathBuf> {
    // In a user namespace 0 may be anybody, and /run is somebody else's then.
    if uid == 0 && fs::metadata("/run").map_or(true, |run| run.uid() == 0) {
        return Ok(PathBuf::from(OF_ROOT));
    }
    if let Some(directory) = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        let directory = Path::new(&directory);
        if !directory.is_absolute() {
            let wrong = io::Error::other("XDG_RUNTIME_DIR must be an absolute path");
            return Err(Error::path("use", directory)(wrong));
        }
        return Ok(directory.join("nsinit"));
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
        // and makes a new one, which must not be removed in turn.
        if has_name(&self.directory, &self.path) {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// An entry that others may lock, kept by the launcher of its container.
#[derive(Debug)]
pub(crate) struct Unlocked {
    path: PathBuf,
    directory: File,
}

impl Unlocked {
    /// Waits for whoever joins right now, and locks the entry again; None when somebody
    /// has removed it meanwhile, who found the container dead.
    pub(crate) fn lock(self) -> Result<Option<Entry>> {
        lock(&self.directory, &self.path)?;
        let Unlocked { path, directory } = self;
        Ok(has_name(&directory, &path).then_some(Entry { path, directory }))
    }
}

/// What was recorded, told apart from all that is recorded later: it stays open.
#[derive(Debug)]
pub struct Record(File);

/// Whether a file that is open is still the one of that name.
fn has_name(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

fn lock(directory: &File, path: &Path) -> Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(directory, FlockOperation::LockExclusive))
        .map_err(|errno| Error::path("lock", path)(errno.into()))
}

impl Entry {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> PathBuf {
        self.path.join(RECORD)
    }

    pub(crate) fn is_recorded(&self) -> bool {
        fs::symlink_metadata(self.file()).is_ok()
    }

    /// What is recorded; None when nothing is.
    ///
    /// # Errors
    ///
    /// When the record cannot be read or understood.
    pub fn read(&self) -> Result<Option<State>> {
        read_record(&self.file())
    }

    /// Records a container: a reader finds the whole record or none.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, state: &State) -> Result<Record> {
        let path = self.file();
        let new = self.path.join("state.json.new");
        let write = || -> io::Result<Record> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&serde_json::to_vec(state)?)?;
            fs::rename(&new, &path)?;
            Ok(Record(file))
        };
        write().map_err(Error::path("write", &path))
    }

    /// Whether that is what is recorded still.
    pub(crate) fn holds(&self, record: &Record) -> bool {
        has_name(&record.0, &self.file())
    }

    /// Lets others lock it.
    pub(crate) fn unlock(mut self) -> Result<Unlocked> {
        let directory = self.directory.try_clone().map_err(Error::path("keep", &self.path))?;
        // Without its path this value removes nothing when it goes: the entry may be
        // somebody else's by then.
        let path = std::mem::take(&mut self.path);
        // The copy shares the lock.
        rustix::fs::flock(&directory, FlockOperation::Unlock)
            .map_err(|errno| Error::path("unlock", &path)(errno.into()))?;
        Ok(Unlocked { path, directory })
    }

    /// Forgets the container.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub fn clear(&self) -> Result<()> {
        for name in [RECORD, "state.json.new"] {
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
    ///
    /// # Errors
    ///
    /// When that cannot be told.
    pub fn init(&self) -> Result<Option<OwnedFd>> {
        self.init.as_ref().map_or(Ok(None), ProcessId::open)
    }

    /// Whether it is the built-in container: in any other's directory there are files of ours.
    pub(crate) fn is_built_in(&self) -> bool {
        self.pid_file.is_none()
    }

    /// Whether a launcher that is killed before there is an init leaves something that
    /// would be in the way: a `pid` file would not.
    pub(crate) fn may_leave_remains(&self) -> bool {
        self.cgroup_path.is_some() || !self.bridges.is_empty() || self.placeholder.is_some()
    }

    /// A pidfd of the recorded program, if that very process lives.
    ///
    /// # Errors
    ///
    /// When that cannot be told.
    pub fn program(&self) -> Result<Option<OwnedFd>> {
        self.program.as_ref().map_or(Ok(None), ProcessId::open)
    }

    /// Whether init has ended, or will as soon as every process inside has.
    pub(crate) fn has_ended(&self) -> bool {
        // In this order: it may be gone in between.
        self.init.as_ref().is_some_and(ProcessId::is_exiting) || matches!(self.init(), Ok(None))
    }

    /// Whether init is on its end, after joining has failed: waits until it is over.
    pub(crate) fn is_ending(&self) -> bool {
        /// How long it may take to begin.
        const BEGIN: Duration = Duration::from_millis(300);
        /// How long the kernel may take, which waits for every process inside.
        const END: Duration = Duration::from_secs(10);
        self.ends_within(BEGIN) || (self.has_ended() && self.ends_within(END))
    }

    fn ends_within(&self, time: Duration) -> bool {
        let init = match self.init() {
            Ok(Some(init)) => init,
            Ok(None) => return true,
            Err(_) => return false,
        };
        let mut fds = [PollFd::new(&init, PollFlags::IN)];
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
        matches!(rustix::event::poll(&mut fds, Some(&time)), Ok(1))
    }

    /// The directories of its cgroup that are still its own.
    ///
    /// # Errors
    ///
    /// When that cannot be told of one.
    pub fn cgroup_paths(&self) -> Result<Vec<PathBuf>> {
        let mut own = Vec::new();
        for directory in &self.cgroup {
            if directory.is_still_there()? {
                own.push(directory.path.clone());
            }
        }
        Ok(own)
    }

    /// All directories of its cgroup, while it lives: who joins has to enter each.
    pub(crate) fn whole_cgroup(&self) -> Result<Vec<PathBuf>> {
        let own = self.cgroup_paths()?;
        match self.cgroup.iter().find(|directory| !own.contains(&directory.path)) {
            None => Ok(own),
            Some(missing) => {
                Err(Error::Cgroup(nsinit_cgroups::Error::Gone { path: missing.path.clone() }))
            }
        }
    }

    /// Removes what a container that ended without its launcher left behind.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be removed.
    pub fn clean_up(&self) -> Result<()> {
        if let Some(path) = &self.pid_file {
            own_file::remove_pid(path).map_err(Error::path("remove", path))?;
        }
        if let Some(path) = &self.placeholder {
            own_file::remove_placeholder(path).map_err(Error::path("remove", path))?;
        }
        for link in &self.links {
            nsinit_network::remove_link(link).map_err(Error::Network)?;
        }
        let remove_bridge = match self.init {
            Some(_) => nsinit_network::remove_bridge,
            None => nsinit_network::remove_unfinished_bridge,
        };
        for bridge in &self.bridges {
            remove_bridge(bridge).map_err(Error::Network)?;
        }
        if let (None, Some(path)) = (&self.init, &self.cgroup_path) {
            Cgroup::remove_remains(path).map_err(Error::Cgroup)?;
        }
        let paths = self.cgroup_paths()?;
        if paths.is_empty() {
            return Ok(());
        }
        match Cgroup::open_with_parents(&paths, &self.cgroup_parents) {
            Ok(cgroup) => {
                cgroup.kill().map_err(Error::Cgroup)?;
                cgroup.remove().map_err(Error::Cgroup)
            }
            Err(nsinit_cgroups::Error::Gone { .. }) => Ok(()),
            Err(error) => Err(Error::Cgroup(error)),
        }
    }
}
