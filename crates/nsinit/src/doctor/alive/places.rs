//! Parent: what the program can reach: mounts, devices, and the limits of its cgroup.

use std::collections::HashSet;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nsinit_cgroups::{Cgroup, shares_to_weight};
use nsinit_config::{Cgroups, Container, MountKind, RootfsSource};
use nsinit_rootfs::{Device, MASKED, READ_ONLY};

use super::{Comparison, Subject, Verdict};
use crate::diagnosis::covering::{Mount, covering, mounts};
use crate::diagnosis::read;

pub(super) fn compare(subject: &Subject<'_>) -> Vec<Comparison> {
    let container = &subject.state.container;
    let mountinfo = subject.read("mountinfo");
    let inside = mounts(&mountinfo);
    let mut all = Vec::new();
    if inside.is_empty() {
        all.push(Comparison::new("mounts", "the configuration's", "", Verdict::Unknown));
    } else {
        all.extend(binds(container, &inside));
        all.push(host_mounts(container, &inside));
        all.push(masks(container, &inside));
        all.push(read_only_paths(container, &inside));
    }
    all.push(devices(subject));
    all.extend(container.cgroups.as_ref().map(|asked| limits(asked, subject)).unwrap_or_default());
    all
}

/// Each bind mount: whether it is as writable as it was asked for.
fn binds(container: &Container, inside: &[Mount<'_>]) -> Vec<Comparison> {
    let binds = container.mounts.iter().filter(|mount| mount.kind == MountKind::Bind);
    let compare = |mount: &nsinit_config::Mount| {
        let name = format!("mount {}", mount.destination.display());
        let asked = if mount.writable { "rw" } else { "ro" };
        let found = inside.iter().rfind(|found| found.point == mount.destination);
        let Some(found) = found else {
            return Comparison::new(name, asked, "not there", Verdict::Narrower);
        };
        let got = if found.has("ro") { "ro" } else { "rw" };
        let verdict = match (asked, got) {
            ("ro", "rw") => Verdict::Wider,
            ("rw", "ro") => Verdict::Narrower,
            _ => Verdict::Same,
        };
        Comparison::new(name, asked, got, verdict)
    };
    // The built-in container has dozens, all as they should be.
    binds
        .map(compare)
        .filter(|one| one.verdict != Verdict::Same || !is_built_in(container))
        .collect()
}

fn is_built_in(container: &Container) -> bool {
    matches!(container.rootfs, Some(RootfsSource::Tmpfs(_)))
}

/// Filesystems that the host has mounted, too, and that the container can write.
fn host_mounts(container: &Container, inside: &[Mount<'_>]) -> Comparison {
    let own = read("/proc/self/mountinfo");
    let of_host: HashSet<String> =
        mounts(&own).iter().map(|mount| mount.device.to_owned()).collect();
    let writable: Vec<&PathBuf> =
        container.mounts.iter().filter(|m| m.writable).map(|m| &m.destination).collect();
    // Where no node can be made, the host's stand for them, and its null masks files.
    let nodes: Vec<_> = nodes(container).chain(masked_paths(container)).collect();
    let root_is_writable = !container.readonly_fs;
    let asked_for = |mount: &&Mount<'_>| {
        let point = &mount.point;
        (point == Path::new("/") && root_is_writable)
            || writable.iter().any(|asked| point.starts_with(asked))
            || nodes.contains(point)
    };
    let reachable =
        |mount: &&Mount<'_>| covering(inside, &mount.point).is_some_and(|top| top.id == mount.id);
    let extra = inside.iter().filter(|m| of_host.contains(m.device) && !m.has("ro"));
    let extra: Vec<_> = extra
        .filter(|mount| !asked_for(mount) && reachable(mount))
        .map(|mount| mount.point.display().to_string())
        .collect();
    let asked: Vec<_> = writable.iter().map(|path| path.display().to_string()).collect();
    let asked = if asked.is_empty() { "none".to_owned() } else { asked.join(" ") };
    match extra.is_empty() {
        true => Comparison::new("writable mounts", asked.clone(), asked, Verdict::Same),
        false => Comparison::new("writable mounts", asked, extra.join(" "), Verdict::Wider),
    }
}

/// Paths that read as empty: where the kernel has them, something stands over them.
fn masks(container: &Container, inside: &[Mount<'_>]) -> Comparison {
    let asked = masked_paths(container);
    let there: Vec<_> = asked.iter().filter(|path| path.exists()).collect();
    // /proc and /sys themselves stand over nothing.
    let masks: Vec<_> = inside.iter().filter(|m| m.point.components().count() > 2).collect();
    let masked = |path: &&&PathBuf| masks.iter().any(|mask| path.starts_with(&mask.point));
    covered("masked paths", &there, there.iter().filter(|path| !masked(path)).collect())
}

fn masked_paths(container: &Container) -> Vec<PathBuf> {
    let default = || MASKED.iter().map(PathBuf::from).collect();
    container.masked_paths.clone().unwrap_or_else(default)
}

fn read_only_paths(container: &Container, inside: &[Mount<'_>]) -> Comparison {
    let default = || READ_ONLY.iter().map(PathBuf::from).collect();
    let asked: Vec<PathBuf> = container.readonly_paths.clone().unwrap_or_else(default);
    let there: Vec<_> = asked.iter().filter(|path| path.exists()).collect();
    let closed = |path: &&&PathBuf| covering(inside, path).is_some_and(|mount| mount.has("ro"));
    covered("read-only paths", &there, there.iter().filter(|path| !closed(path)).collect())
}

fn covered(name: &str, asked: &[&PathBuf], open: Vec<&&PathBuf>) -> Comparison {
    let count = |paths: usize| format!("{paths} that there are");
    match open.is_empty() {
        true => Comparison::new(name, count(asked.len()), count(asked.len()), Verdict::Same),
        false => {
            let paths: Vec<_> = open.iter().map(|path| path.display().to_string()).collect();
            let got = format!("not {}", paths.join(" "));
            Comparison::new(name, count(asked.len()), got, Verdict::Wider)
        }
    }
}

/// The device nodes that the container gets.
fn nodes(container: &Container) -> impl Iterator<Item = PathBuf> {
    let own = ["/dev/ptmx", "/dev/console"].map(PathBuf::from);
    let defaults = Device::defaults().into_iter().map(|device| device.path);
    defaults.chain(container.devices.iter().map(|device| device.path.clone())).chain(own)
}

fn devices(subject: &Subject<'_>) -> Comparison {
    const NAME: &str = "device nodes";
    let container = &subject.state.container;
    let bound = container.mounts.iter().map(|mount| mount.destination.clone());
    let asked: Vec<_> = nodes(container).chain(bound).collect();
    let shown = "the default ones and those of the configuration";
    let directory = PathBuf::from(format!("/proc/{}/root/dev", subject.pid));
    // A link would lead to the host's.
    let is_directory = directory.symlink_metadata().is_ok_and(|found| found.is_dir());
    let entries = std::fs::read_dir(&directory).ok().filter(|_| is_directory);
    let Some(entries) = entries else {
        return Comparison::new(NAME, shown, "", Verdict::Unknown);
    };
    let is_device = |entry: &std::fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_char_device() || kind.is_block_device())
    };
    let found = entries.filter_map(|entry| entry.ok()).filter(is_device);
    let found: Vec<_> = found.map(|entry| Path::new("/dev").join(entry.file_name())).collect();
    let extra = found.iter().filter(|path| !asked.contains(path));
    let extra: Vec<_> = extra.map(|path| path.display().to_string()).collect();
    match extra.is_empty() {
        true => Comparison::new(NAME, shown, format!("{} in /dev", found.len()), Verdict::Same),
        false => Comparison::new(NAME, shown, extra.join(" "), Verdict::Wider),
    }
}

/// The limits of the cgroup, and whether the program is in it.
fn limits(asked: &Cgroups, subject: &Subject<'_>) -> Vec<Comparison> {
    let paths = subject.state.cgroup_paths().unwrap_or_default();
    let mut all = Vec::new();
    let path = subject.state.cgroup_path.clone().unwrap_or_default();
    let processes = Cgroup::open(&paths).and_then(|cgroup| cgroup.processes());
    let is_in = |processes: Vec<u32>| processes.contains(&subject.pid.unsigned_abs());
    all.push(match processes.map(is_in) {
        Ok(true) => Comparison::new("cgroup", &path, &path, Verdict::Same),
        _ => Comparison::new("cgroup", path, "the program is not in it", Verdict::Wider),
    });
    let file = |names: &[&str]| {
        let files = paths.iter().flat_map(|path| names.iter().map(|name| path.join(name)));
        let text = files.map(|file| read(&file.to_string_lossy())).find(|text| !text.is_empty());
        text.map(|text| text.trim().to_owned())
    };
    let limit = |names: &[&str]| file(names).and_then(|text| text.parse::<u64>().ok());
    for (name, asked, files) in [
        ("memory", asked.memory, ["memory.limit_in_bytes", "memory.max"]),
        ("pids_max", asked.pids_max, ["pids.max", "pids.max"]),
    ] {
        all.extend(asked.map(|asked| Comparison::of_limit(name, Some(asked), limit(&files))));
    }
    if let Some(quota) = asked.cpu_quota.and_then(|quota| u64::try_from(quota).ok()) {
        // "max 100000" or "50000 100000" on v2; -1 is no limit on v1.
        let got = file(&["cpu.cfs_quota_us", "cpu.max"]);
        let got = got.and_then(|text| text.split(' ').next()?.parse().ok());
        all.push(Comparison::of_limit("cpu_quota", Some(quota), got));
    }
    if let Some(shares) = asked.cpu_shares {
        let (v1, v2) = (limit(&["cpu.shares"]), limit(&["cpu.weight"]));
        let asked = if v1.is_some() { shares } else { shares_to_weight(shares) };
        all.push(Comparison::of_limit("cpu_shares", Some(asked), v1.or(v2)));
    }
    all
}
