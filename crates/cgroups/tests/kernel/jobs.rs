//! Both: the cgroups of the tests, which are gone when the test is.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nsinit_cgroups::{Cgroup, Error, Hierarchies, Limits};

pub(crate) fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The hierarchies of this host, or those of one version alone, as if the
/// others were not mounted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum View {
    All,
    V1,
    V2,
}

impl View {
    pub(crate) fn hierarchies(self) -> Hierarchies {
        let read = |path| fs::read_to_string(path).expect(path);
        let (mounts, own) = (read("/proc/self/mountinfo"), read("/proc/self/cgroup"));
        let keep = |text: &str, unified: fn(&str) -> bool| {
            let lines = text.lines().filter(|line| unified(line) == (self == View::V2));
            lines.map(|line| format!("{line}\n")).collect::<String>()
        };
        match self {
            View::All => Hierarchies::detect(),
            _ => Hierarchies::parse(
                &keep(&mounts, |line| line.contains(" - cgroup2 ")),
                &keep(&own, |line| line.starts_with("0:")),
                "",
            ),
        }
    }

    pub(crate) fn exists(self) -> bool {
        self.hierarchies().unusable().is_none()
    }
}

/// A cgroup that is killed and removed when the test ends, however it ends.
pub(crate) struct Job(Cgroup);

impl Deref for Job {
    type Target = Cgroup;

    fn deref(&self) -> &Cgroup {
        &self.0
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.remove();
    }
}

/// The path of the cgroup of one test.
pub(crate) fn name(test: &str) -> String {
    format!("nsinit-test-{}-{test}/job", std::process::id())
}

pub(crate) fn create(view: View, test: &str, limits: &Limits) -> Result<Job, Error> {
    Cgroup::create_on(&view.hierarchies(), &name(test), limits).map(Job)
}

pub(crate) fn job(view: View, test: &str, limits: &Limits) -> Job {
    create(view, test, limits).unwrap_or_else(|e| panic!("{e} ({:?})", e.hint()))
}

impl Job {
    pub(crate) fn sh(&self, script: &str) -> Child {
        self.spawn(Command::new("sh").args(["-c", script])).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The directory in the hierarchy of this controller, or in v2.
    pub(crate) fn dir(&self, controller: &str) -> PathBuf {
        let found = Hierarchies::detect();
        let hierarchy = match controller {
            "v2" => found.v2(),
            _ => found.of(controller),
        };
        let mount = hierarchy.expect(controller).mount_point.clone();
        self.paths().into_iter().find(|path| path.starts_with(&mount)).expect(controller)
    }

    pub(crate) fn file(&self, controller: &str, file: &str) -> String {
        let path = self.dir(controller).join(file);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}")).trim().to_owned()
    }

    /// No directory of this test is left, neither its own nor the parent.
    pub(crate) fn gone(&self) -> bool {
        self.paths().iter().all(|path| !path.exists() && !path.parent().is_some_and(|p| p.exists()))
    }
}

/// Whether any hierarchy has a directory of this test.
pub(crate) fn traces(test: &str) -> Vec<PathBuf> {
    let found = Hierarchies::detect();
    let top = name(test).split('/').next().map(str::to_owned).unwrap_or_default();
    let all = found.v1().iter().chain(found.v2()).map(|h| h.mount_point.join(&top));
    all.filter(|path| path.exists()).collect()
}

pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Where a process is, one line for each hierarchy.
pub(crate) fn whereabouts(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default()
}
