//! The machine's cgroup hierarchies, and the part of each that is the user's.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

use crate::cell::Cgroups;
use crate::mounts::{make, mount};
use crate::{Result, users};

const TREE: &str = "/sys/fs/cgroup";
/// Below each hierarchy: what was delegated to the user, and where he logged in.
const DELEGATED: &str = "user";
const SESSION: &str = "user/session";

/// The hierarchies of version 1, with the controllers that share one.
const V1: [&str; 12] = [
    "cpuset",
    "cpu,cpuacct",
    "blkio",
    "memory",
    "devices",
    "freezer",
    "net_cls,net_prio",
    "perf_event",
    "hugetlb",
    "pids",
    "rdma",
    "misc",
];

/// As systemd would, and as it did when version 1 was its default.
pub(crate) fn mount_as(mode: Cgroups) -> Result {
    if mode == Cgroups::V2 {
        mount("cgroup2", TREE, "cgroup2", "nsdelegate")?;
        return enable(Path::new(TREE));
    }
    mount("tmpfs", TREE, "tmpfs", "mode=0755")?;
    for controllers in V1 {
        hierarchy_v1(controllers)?;
    }
    named_hierarchy_v1()?;
    if mode == Cgroups::Hybrid {
        make(format!("{TREE}/unified"), 0o755)?;
        mount("cgroup2", &format!("{TREE}/unified"), "cgroup2", "nsdelegate")?;
    }
    Ok(())
}

/// A kernel may lack a controller; what it has is mounted under all its names.
fn hierarchy_v1(controllers: &str) -> Result {
    let target = format!("{TREE}/{controllers}");
    make(&target, 0o755)?;
    if mount("cgroup", &target, "cgroup", controllers).is_err() {
        return fs::remove_dir(&target).map_err(|error| format!("{target}: {error}"));
    }
    if controllers == "cpuset" {
        // Else a new cgroup has no processors, and nobody can enter it.
        write(Path::new(&target).join("cgroup.clone_children"), "1")?;
    }
    for name in controllers.split(',').filter(|name| *name != controllers) {
        let link = format!("{TREE}/{name}");
        symlink(controllers, &link).map_err(|error| format!("{link}: {error}"))?;
    }
    Ok(())
}

fn named_hierarchy_v1() -> Result {
    let target = format!("{TREE}/systemd");
    make(&target, 0o755)?;
    mount("cgroup", &target, "cgroup", "none,name=systemd")
}

/// Gives every controller of a cgroup of version 2 to its children.
fn enable(directory: &Path) -> Result {
    let path = directory.join("cgroup.controllers");
    let all = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let words: Vec<String> = all.split_whitespace().map(|name| format!("+{name}")).collect();
    write(directory.join("cgroup.subtree_control"), &words.join(" "))
}

/// Makes a cgroup in every hierarchy that the user may do with as he likes.
pub(crate) fn delegate() -> Result {
    for root in hierarchies()? {
        let (delegated, session) = (root.join(DELEGATED), root.join(SESSION));
        make(&delegated, 0o755)?;
        if delegated.join("cgroup.subtree_control").exists() {
            enable(&delegated)?;
        }
        make(&session, 0o755)?;
        for directory in [delegated, session] {
            for name in ["", "cgroup.procs", "tasks", "cgroup.subtree_control", "cgroup.threads"] {
                let path = directory.join(name);
                if path.exists() {
                    chown(&path, Some(users::UID), Some(users::UID))
                        .map_err(|error| format!("{}: {error}", path.display()))?;
                }
            }
        }
    }
    Ok(())
}

/// This process goes where the user's are, in every hierarchy.
pub(crate) fn enter_session() -> Result {
    hierarchies()?.iter().try_for_each(|root| write(root.join(SESSION).join("cgroup.procs"), "0"))
}

/// Every hierarchy that is mounted, once.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")
        .map_err(|error| format!("/proc/self/mounts: {error}"))?;
    let mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let cgroups = mounts.filter(|fields| matches!(fields.get(2), Some(&("cgroup" | "cgroup2"))));
    Ok(cgroups.filter_map(|fields| fields.get(1).map(PathBuf::from)).collect())
}

fn write(path: impl AsRef<Path>, text: &str) -> Result {
    let path = path.as_ref();
    fs::write(path, text).map_err(|error| format!("{}: write {text}: {error}", path.display()))
}
