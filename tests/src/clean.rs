//! Nothing is left of a container that has ended.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The processes that were there before the first sandbox and at every look since: most of
/// a machine's, and none of a container's.
static OTHERS: LazyLock<Mutex<HashSet<OsString>>> =
    LazyLock::new(|| Mutex::new(processes().collect()));

/// To be called before any container of this process is there.
pub(crate) fn note_others() {
    LazyLock::force(&OTHERS);
}

/// Those that are not among them.
fn new_processes() -> Vec<OsString> {
    let all: HashSet<_> = processes().collect();
    let mut others = OTHERS.lock().unwrap_or_else(PoisonError::into_inner);
    others.retain(|name| all.contains(name));
    all.difference(&others).cloned().collect()
}

fn processes() -> impl Iterator<Item = OsString> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name());
    names.filter(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
}

/// What identifies a container's remains.
pub(crate) struct Traces<'a> {
    /// The container's directory.
    pub(crate) root: &'a Path,
    /// Where nsinit keeps the state of this user's containers.
    pub(crate) run: &'a Path,
    /// Part of the names of everything that the test configures.
    pub(crate) name: &'a str,
    /// Prefix of its interfaces.
    pub(crate) links: &'a str,
}

impl Traces<'_> {
    /// What is still there after a moment: an end takes effect soon, not at
    /// once, where the launcher was killed.
    pub(crate) fn left(&self) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let left = self.now();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processes that are still there after that time.
    pub(crate) fn processes_after(&self, patience: Duration) -> Vec<String> {
        let deadline = Instant::now() + patience;
        loop {
            let mut left = Vec::new();
            self.processes(&mut left);
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn now(&self) -> Vec<String> {
        let mut left = Vec::new();
        self.state(&mut left);
        self.mounts(&mut left);
        self.processes(&mut left);
        self.links(&mut left);
        cgroups(Path::new("/sys/fs/cgroup"), self.name, 0, &mut left);
        if self.root.join("pid").exists() {
            left.push("pid file".to_owned());
        }
        left
    }

    /// An entry of the run directory is named after device and inode.
    fn state(&self, left: &mut Vec<String>) {
        let Ok(root) = fs::metadata(self.root) else { return };
        let inode = format!("{:x}", root.ino());
        let entries = fs::read_dir(self.run).into_iter().flatten().filter_map(Result::ok);
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        left.extend(
            names.filter(|name| name.ends_with(&inode)).map(|name| format!("state {name}")),
        );
    }

    /// Removes the state that is left, which would be found by the next
    /// container whose directory gets the same inode.
    pub(crate) fn remove_state(&self) {
        let mut left = Vec::new();
        self.state(&mut left);
        for name in left.iter().filter_map(|trace| trace.strip_prefix("state ")) {
            drop(fs::remove_dir_all(self.run.join(name)));
        }
    }

    fn mounts(&self, left: &mut Vec<String>) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let ours = mounts.lines().filter(|line| line.contains(self.name));
        left.extend(ours.map(|line| format!("mount {line}")));
    }

    /// Processes with the container's root or working directory, or in its cgroup.
    fn processes(&self, left: &mut Vec<String>) {
        let Ok(root) = fs::metadata(self.root) else { return };
        let is_root = |path: &Path| {
            fs::metadata(path)
                .is_ok_and(|facts| (facts.dev(), facts.ino()) == (root.dev(), root.ino()))
        };
        for process in new_processes() {
            let path = Path::new("/proc").join(process);
            let cgroup = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
            if is_root(&path.join("root"))
                || is_root(&path.join("cwd"))
                || cgroup.contains(self.name)
            {
                left.push(format!("process {}", path.display()));
            }
        }
    }

    fn links(&self, left: &mut Vec<String>) {
        let entries = fs::read_dir("/sys/class/net").into_iter().flatten().filter_map(Result::ok);
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        left.extend(
            names.filter(|name| name.starts_with(self.links)).map(|name| format!("link {name}")),
        );
    }
}

fn cgroups(directory: &Path, name: &str, depth: usize, left: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory && entry.file_name().to_string_lossy().contains(name) {
            left.push(format!("cgroup {}", entry.path().display()));
        } else if is_directory && depth < 4 {
            cgroups(&entry.path(), name, depth + 1, left);
        }
    }
}
