//! What is measured runs in namespaces of its own, and leaves nothing behind.
//!
//! The first process makes the directory, and a PID namespace for the second one, which
//! measures: when that ends, however it does, the kernel kills whatever it started, and
//! the first process removes directory and cgroups. Mounts and interfaces go with the
//! second one's namespaces.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use crate::rivals::find;
use crate::scene::BRIDGE;
use crate::{Result, sys};

/// Tells the second process where to work.
const STAGE: &str = "NSINIT_BENCH_STAGE";

/// Where the second process works; none in the first one.
pub(crate) fn stage() -> Option<PathBuf> {
    std::env::var_os(STAGE).map(PathBuf::from)
}

/// The beginning of the names of the benchmark's cgroups.
pub(crate) fn cgroup(stage: &Path) -> String {
    stage.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// First process: has `arguments` measured by a second one, and returns what `collect`
/// finds in its directory.
pub(crate) fn supervise<T>(
    arguments: &[String],
    collect: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    if !rustix::process::geteuid().is_root() {
        return Err("needs root: cgroups and other runtimes do".to_owned());
    }
    let stage = std::env::temp_dir().join(format!("nsinit-bench-{}", std::process::id()));
    fs::create_dir(&stage).map_err(|error| format!("{}: {error}", stage.display()))?;
    let outcome = second_process(&stage, arguments).and_then(|()| collect(&stage));
    let removed = remove_cgroups(&format!("{}-", cgroup(&stage)))
        .and_then(|()| fs::remove_dir_all(&stage))
        .map_err(|error| format!("{} and its cgroups: {error}", stage.display()));
    outcome.and_then(|value| removed.map(|()| value))
}

fn second_process(stage: &Path, arguments: &[String]) -> Result {
    let error = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let signals = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGCHLD];
    let awaited = sys::Awaited::block(&signals).map_err(error("block signals"))?;
    sys::unshare(UnshareFlags::NEWPID).map_err(error("unshare"))?;
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments).env(STAGE, stage).stdin(Stdio::null());
    // Cargo sets it, and rivals with shared libraries would look in its directories first.
    command.env_remove("LD_LIBRARY_PATH");
    let mut child = command.spawn().map_err(error("own executable"))?;
    let ended = loop {
        if awaited.wait() != libc::SIGCHLD {
            child.kill().map_err(error("kill"))?;
        } else if let Some(status) = child.try_wait().map_err(error("wait"))? {
            break status;
        }
    };
    if ended.success() { Ok(()) } else { Err(format!("nothing was measured: {ended}")) }
}

/// Second process: mounts, interfaces and a view of `/proc` of its own.
pub(crate) fn isolate(stage: &Path) -> Result {
    let outcome = || {
        sys::unblock_signals()?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        leave_cgroup(&cgroup(stage))?;
        sys::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWNET)?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount("proc", "/proc", "proc", MountFlags::empty(), None)?;
        // Where runtimes keep their state, for all of them: as on a host that was booted by
        // an init system. (Whoever measures on a disk measures its journal.)
        mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None)?;
        // One rival refuses hosts with both versions of cgroups.
        if Path::new("/sys/fs/cgroup/unified").exists() {
            unmount("/sys/fs/cgroup/unified", UnmountFlags::DETACH)?;
        }
        Ok::<(), io::Error>(())
    };
    outcome().map_err(|error| format!("namespaces of the benchmark: {error}"))
}

/// One rival makes cgroups beside its caller's processes, wherever they are.
fn leave_cgroup(prefix: &str) -> io::Result<()> {
    let roots = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"].map(Path::new);
    let Some(root) = roots.into_iter().find(|root| root.join("cgroup.procs").exists()) else {
        return Ok(());
    };
    let own = root.join(format!("{prefix}-own"));
    fs::create_dir(&own)?;
    fs::write(own.join("cgroup.procs"), "0")
}

/// Second process: a bridge for the container's interfaces.
pub(crate) fn make_bridge() -> Result {
    let ip = find("ip").ok_or("ip (iproute2) is not installed")?;
    let steps = [
        &["link", "set", "lo", "up"][..],
        &["link", "add", BRIDGE, "type", "bridge"],
        &["address", "add", "10.213.0.1/24", "dev", BRIDGE],
        &["link", "set", BRIDGE, "up"],
    ];
    for step in steps {
        let status = Command::new(&ip).args(step).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err(format!("ip {}", step.join(" ")));
        }
    }
    Ok(())
}

/// Those whose names begin with `prefix`, in every hierarchy.
fn remove_cgroups(prefix: &str) -> io::Result<()> {
    let roots = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().filter_map(io::Result::ok);
    let roots = roots.map(|entry| entry.path()).chain([PathBuf::from("/sys/fs/cgroup")]);
    for root in roots.filter(|root| root.is_dir()) {
        for entry in fs::read_dir(&root)?.filter_map(io::Result::ok) {
            let ours = entry.file_name().to_string_lossy().starts_with(prefix);
            if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_cgroup(&entry.path())?;
            }
        }
    }
    Ok(())
}

/// With its children; what was killed in it goes soon, not at once.
fn remove_cgroup(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)?.filter_map(io::Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path())?;
        }
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match fs::remove_dir(directory) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            outcome => return outcome,
        }
    }
}
