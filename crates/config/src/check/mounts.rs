//! Parent: checks of `mounts`.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Findings, paths};
use crate::key_path::At;
use crate::suggest::quoted;
use crate::{Container, Mount, MountKind, Propagation};

/// The kernel's default of `fs.mount-max`.
const MOST_MOUNTS: usize = 100_000;

/// Files of procfs over which something may be bound: they only report.
const PROC_FILES: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

pub(super) fn check(found: &mut Findings, container: &Container) {
    let all = At::Root.key("mounts");
    if container.mounts.len() > MOST_MOUNTS {
        let message = format!("{} entries, limit {MOST_MOUNTS}", container.mounts.len());
        found.fault(all, message);
        return;
    }
    let mut earlier: BTreeMap<String, usize> = BTreeMap::new();
    for (index, mount) in container.mounts.iter().enumerate() {
        let at = all.index(index);
        if found.container_path(at.key("destination"), &mount.destination) {
            let destination = paths::normal(&mount.destination);
            place(found, at.key("destination"), mount.kind, &destination);
            order(found, at.key("destination"), all, &earlier, &destination);
            earlier.entry(destination).or_insert(index);
        }
        source(found, at, mount);
        own_keys(found, at, mount);
        super::mount_options::check(found, at, mount);
        propagation(found, at, mount);
    }
}

/// Where a mount may be.
fn place(found: &mut Findings, at: At<'_>, kind: MountKind, destination: &str) {
    let must_be = |fs: &str| format!("only a mount of type {fs} may be on /{fs}");
    match destination {
        "/" => {
            let fault = found.fault(at, "must not be the root directory");
            fault.help("the key rootfs names the root file system");
        }
        "/dev" => {
            let fault = found.fault(at, "/dev is always the container's own");
            fault.help("the key devices adds device nodes, mounts below /dev are possible");
        }
        "/proc" if kind != MountKind::Proc => {
            found.fault(at, must_be("proc"));
        }
        path if paths::is_below(path, "/proc") => below_proc(found, at, kind, path),
        _ => {}
    }
}

fn below_proc(found: &mut Findings, at: At<'_>, kind: MountKind, path: &str) {
    if !PROC_FILES.contains(&path) {
        let message = format!("must not be below /proc, got {}", quoted(path));
        found.fault(at, message).help(format!("allowed are {}", PROC_FILES.join(", ")));
    } else if !matches!(kind, MountKind::Bind | MountKind::File) {
        found.fault(at, format!("{} is not a file, {path} is one", kind.name()));
    }
}

/// The same place twice, and mounts that hide earlier ones.
fn order(
    found: &mut Findings,
    at: At<'_>,
    all: At<'_>,
    earlier: &BTreeMap<String, usize>,
    destination: &str,
) {
    if let Some(&first) = earlier.get(destination) {
        found.fault(at, format!("is already the destination of {}", all.index(first).text()));
        return;
    }
    let prefix = format!("{destination}/");
    let below = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    let hidden =
        earlier.range::<str, _>(below).next().filter(|(path, _)| path.starts_with(&prefix));
    if let Some((path, &index)) = hidden {
        let index = all.index(index).text();
        let fault = found.fault(at, format!("would hide {index}, which is on {}", quoted(path)));
        fault.help(format!("put this entry before {index}"));
    }
}

fn source(found: &mut Findings, at: At<'_>, mount: &Mount) {
    let at_source = at.key("source");
    match (mount.kind, &mount.source) {
        (MountKind::Bind, None) => {
            found.fault(at, "missing key \"source\"").because(at_source).because(at.key("type"));
        }
        (MountKind::Bind, Some(source)) => {
            found.host_path(at_source, source);
        }
        (kind, Some(_)) => {
            let message = format!("only a bind mount has a source, this is a {}", kind.name());
            found.fault(at_source, message).help("remove it").because(at.key("type"));
        }
        (_, None) => {}
    }
}

/// Keys that belong to some types only.
fn own_keys(found: &mut Findings, at: At<'_>, mount: &Mount) {
    use MountKind::{Bind, Cgroup, File, Mqueue, Symlink, Tmpfs};
    let made_here = matches!(mount.kind, File | Symlink);
    for (key, given, allowed) in [
        ("content", mount.content.is_some(), mount.kind == File),
        ("mode", mount.mode.is_some(), mount.kind == File),
        ("target", mount.target.is_some(), mount.kind == Symlink),
        ("recursive", mount.recursive.is_some(), mount.kind == Bind),
        ("optional", mount.optional, mount.kind == Bind),
        ("writable", mount.writable, matches!(mount.kind, Bind | File | Tmpfs)),
        ("private", mount.private, !made_here),
        ("propagation", mount.propagation.is_some(), !made_here),
        // The kernel makes message queues and cgroups, with a label, before they are mounted.
        (
            "label",
            mount.label.is_some(),
            !made_here && !matches!(mount.kind, Bind | Cgroup | Mqueue),
        ),
        ("options", !mount.options.is_empty(), !made_here),
    ] {
        if given && !allowed {
            let message = format!("does not apply to type {}", mount.kind.name());
            found.fault(at.key(key), message).help("remove it").because(at.key("type"));
        }
    }
    for (key, missing) in [
        ("content", mount.kind == File && mount.content.is_none()),
        ("target", mount.kind == Symlink && mount.target.is_none()),
    ] {
        if missing {
            found.fault(at, format!("missing key \"{key}\"")).because(at.key(key));
        }
    }
    if let Some(mode) = mount.mode {
        found.permission_bits(at.key("mode"), mode);
    }
    if let Some(target) = &mount.target {
        found.path(at.key("target"), target);
    }
    if let Some(label) = &mount.label {
        found.label(at.key("label"), label);
    }
}

fn propagation(found: &mut Findings, at: At<'_>, mount: &Mount) {
    match mount.propagation {
        Some(propagation) if mount.private && propagation != Propagation::Private => {
            let message = format!("{} contradicts \"private\": true", quoted(propagation.name()));
            found.fault(at.key("propagation"), message).help("keep one of the two");
        }
        _ => {}
    }
}
