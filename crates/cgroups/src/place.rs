//! Parent: where in a hierarchy a new cgroup goes, and what may be its name.

use std::path::{Path, PathBuf};

use crate::cgroup::{kind, words};
use crate::dir::Dir;
use crate::error::Error;
use crate::hierarchy::{Hierarchy, Version};

/// The components of a cgroup's path: relative, plain, and not names of the kernel's files.
pub(crate) fn components(path: &str) -> Result<Vec<&str>, Error> {
    let refuse = |reason| Err(Error::Path { path: path.to_owned(), reason });
    if path.is_empty() {
        return refuse("the path is empty");
    }
    if path.starts_with('/') {
        return refuse("the path is absolute; it is always below the place where cgroups go");
    }
    let names: Vec<&str> = path.split('/').collect();
    for name in &names {
        match *name {
            "" => return refuse("a component is empty"),
            "." | ".." => return refuse("a component is \".\" or \"..\""),
            "tasks" | "notify_on_release" | "release_agent" => {
                return refuse("a component is the name of a file of the kernel");
            }
            name if name.starts_with("cgroup.") => {
                return refuse("a component is the name of a file of the kernel");
            }
            name if name.len() > 255 => return refuse("a component is longer than 255 bytes"),
            name if name.chars().any(char::is_control) => {
                return refuse("a component has a control character");
            }
            _ => {}
        }
    }
    Ok(names)
}

/// Who makes a cgroup; asked once.
pub(crate) fn privileged() -> bool {
    rustix::process::geteuid().is_root()
}

/// The directory below which a new cgroup goes; `None` when no suitable one is writable.
///
/// Root: the root of the hierarchy. Others, and root where that cannot be
/// written: the nearest ancestor of the caller's own cgroup that can be. On v2
/// the own cgroup itself comes last, because the caller is in it and it could
/// not pass controllers on; below an ancestor that is not one's own the kernel
/// would refuse the move into it.
pub(crate) fn base(hierarchy: &Hierarchy) -> Result<Option<Dir>, Error> {
    if hierarchy.read_only {
        return Ok(None);
    }
    let root = Dir::open(&hierarchy.mount_point)?;
    if root.identity()?.0 != hierarchy.device {
        return Err(Error::NotCgroup {
            path: hierarchy.mount_point.clone(),
            reason: "another file system is mounted over this hierarchy",
        });
    }
    if privileged() && root.writable() {
        return Ok(Some(root));
    }
    let Some(own) = &hierarchy.own else { return Ok(None) };
    for path in candidates(own, &hierarchy.mount_point, hierarchy.version) {
        let dir = Dir::open(&path)?;
        if dir.writable() {
            return Ok(Some(dir));
        }
    }
    Ok(None)
}

/// The own cgroup's ancestors from the nearest to the root of the mount, with
/// the own cgroup first on v1 and last on v2.
fn candidates(own: &Path, root: &Path, version: Version) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        own.ancestors().take_while(|path| path.starts_with(root)).map(Path::to_owned).collect();
    if version == Version::V2 && !all.is_empty() {
        all.rotate_left(1);
    }
    all
}

/// Switches controllers on for the children of a v2 cgroup, only those that are off.
///
/// They stay on when the launch fails: in a directory that was there before,
/// another job may rely on them by then.
pub(crate) fn enable(
    hierarchy: &Hierarchy,
    dir: &Dir,
    controllers: &[&'static str],
) -> Result<(), Error> {
    let state = kind(dir);
    if state != "domain" {
        return Err(Error::State {
            path: dir.path().to_owned(),
            state,
            prevents: "a cgroup with memory and processes of its own below it",
        });
    }
    if controllers.is_empty() {
        return Ok(());
    }
    let on = words(&dir.read("cgroup.subtree_control")?);
    let off: Vec<&'static str> =
        controllers.iter().copied().filter(|name| !on.iter().any(|other| other == name)).collect();
    if off.is_empty() {
        return Ok(());
    }
    offers(hierarchy, dir, &off)?;
    // For controllers of threads alone (cpu, cpuset, pids) the kernel would not refuse:
    // it makes the cgroup a threaded one, below which nothing can be started.
    // The root of all is exempt, and the only one without a type.
    let inner = dir.has("cgroup.type");
    if inner && !dir.read("cgroup.procs")?.is_empty() {
        let path = dir.path().to_owned();
        return Err(Error::InternalProcesses { path, controllers: off.join(" ") });
    }
    let request: Vec<String> = off.iter().map(|name| format!("+{name}")).collect();
    dir.write_raw("cgroup.subtree_control", &request.join(" ")).map_err(|errno| {
        use rustix::io::Errno;
        match errno {
            Errno::BUSY => {
                Error::InternalProcesses { path: dir.path().to_owned(), controllers: off.join(" ") }
            }
            Errno::ACCESS | Errno::PERM => {
                Error::NotDelegated { path: dir.path().to_owned(), needed: off.clone() }
            }
            Errno::NOENT => missing(hierarchy, dir, off[0]),
            _ => {
                let action = format!("write {}", request.join(" "));
                Error::io(action, dir.path().join("cgroup.subtree_control"), errno)
            }
        }
    })
}

/// Whether the controllers can be switched on for the children of a v2 cgroup.
pub(crate) fn offers(
    hierarchy: &Hierarchy,
    dir: &Dir,
    controllers: &[&'static str],
) -> Result<(), Error> {
    let available = words(&dir.read("cgroup.controllers")?);
    let lacking = controllers.iter().find(|name| !available.iter().any(|other| other == *name));
    lacking.map_or(Ok(()), |name| Err(missing(hierarchy, dir, name)))
}

/// Names the first cgroup on the way down that lacks a controller.
fn missing(hierarchy: &Hierarchy, dir: &Dir, name: &'static str) -> Error {
    let mut way: Vec<&Path> = dir
        .path()
        .ancestors()
        .take_while(|path| path.starts_with(&hierarchy.mount_point))
        .collect();
    way.reverse();
    let lacks = |path: &&Path| {
        let text = std::fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
        !words(&text).iter().any(|other| other == name)
    };
    let at = way.iter().position(lacks).unwrap_or(way.len().saturating_sub(1));
    let missing_at = way.get(at).map_or(dir.path(), |path| path).to_owned();
    let above = at.checked_sub(1).map(|above| way[above].to_owned());
    Error::Controller { name, missing_at, above }
}

/// Gives a new v1 cpuset, or one that somebody left empty, the CPUs and memory
/// nodes of the one above: without them no process can enter (cpuset(7)).
pub(crate) fn inherit_cpuset(above: &Dir, dir: &Dir) -> Result<(), Error> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if !dir.read(file)?.trim().is_empty() {
            continue;
        }
        let inherited = above.read(file)?;
        if inherited.trim().is_empty() {
            return Err(Error::State {
                path: above.path().join(file),
                state: "empty".to_owned(),
                prevents: "a cpuset below it",
            });
        }
        dir.write(file, inherited.trim())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_place() {
        for path in [
            "",
            "/",
            "/a",
            "../x",
            "/..",
            "a/../../x",
            "a/./b",
            "a//b",
            "a/",
            "a\nb",
            "a\0b",
            "a/tasks",
            "cgroup.procs",
            "a/cgroup.x",
            "..",
            ".",
            "a\u{7f}",
        ] {
            assert!(matches!(components(path), Err(Error::Path { .. })), "{path:?}");
        }
        let long = "x".repeat(256);
        assert!(components(&long).is_err());
        assert_eq!(components("demo/job-7").expect("plain"), ["demo", "job-7"]);
        assert_eq!(components("a%b/..c/é").expect("harmless"), ["a%b", "..c", "é"]);
    }

    #[test]
    fn the_nearest_ancestor_comes_first() {
        let of = |version| {
            let own = Path::new("/cg/user/app/me");
            let paths = candidates(own, Path::new("/cg"), version);
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(Version::V1), ["/cg/user/app/me", "/cg/user/app", "/cg/user", "/cg"]);
        assert_eq!(of(Version::V2), ["/cg/user/app", "/cg/user", "/cg", "/cg/user/app/me"]);
    }
}
