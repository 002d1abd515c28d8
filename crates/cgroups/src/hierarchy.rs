//! Parent: what this host has of cgroups, found by looking and not by asking for a version.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::Errno;

use crate::dir::read_all;
use crate::error::Error;
use crate::mountinfo::{CgroupMount, cgroup_mounts};
use crate::place;

/// Which of the two interfaces of the kernel a hierarchy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// cgroups(7), "version 1": one tree for each group of controllers.
    V1,
    /// cgroups(7), "version 2": the unified tree.
    V2,
}

/// How the hierarchies of a host are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One unified tree and nothing else.
    V2,
    /// Only hierarchies of version 1.
    V1,
    /// Controllers in hierarchies of version 1, and a unified tree beside them.
    Hybrid,
    /// No cgroup file system is mounted where this process can see it.
    None,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::V2 => "v2",
            Mode::V1 => "v1",
            Mode::Hybrid => "hybrid",
            Mode::None => "none",
        })
    }
}

/// One mounted tree of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Which interface its files have.
    pub version: Version,
    /// Its controllers, grouped as `/proc/self/cgroup` has them; `name=…` for
    /// a v1 tree without any. On v2 those of the topmost visible cgroup.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// The caller's own cgroup below the mount point; `None` when it lies
    /// outside of what is mounted.
    pub own: Option<PathBuf>,
    /// Whether the mount is read-only.
    pub read_only: bool,
    /// Device number of the file system, by which a directory is recognised.
    pub(crate) device: (u32, u32),
}

impl Hierarchy {
    /// Whether it has this controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// The directory below which the caller's cgroups are made; `None` where it may write
    /// no suitable one.
    pub fn place(&self) -> Option<PathBuf> {
        Some(place::base(self).ok()??.path().to_owned())
    }
}

/// All hierarchies of this host, as they were when [`detect`](Hierarchies::detect) looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies {
    v1: Vec<Hierarchy>,
    v2: Option<Hierarchy>,
    known: Vec<String>,
    trouble: Option<String>,
}

impl Hierarchies {
    /// Reads `/proc/self/mountinfo`, `/proc/self/cgroup` and `/proc/cgroups` once.
    ///
    /// A host without usable cgroups is a finding and no error: the mode is
    /// [`Mode::None`] and [`unusable`](Hierarchies::unusable) says why.
    pub fn detect() -> Hierarchies {
        let read = |path: &str| read_file(path).map_err(|e| (path.to_owned(), e.into()));
        let texts = read("/proc/self/mountinfo")
            .and_then(|mounts| read("/proc/self/cgroup").map(|own| (mounts, own)));
        let (mounts, own) = match texts {
            Ok(texts) => texts,
            Err((path, source)) => {
                let trouble = Error::Io { action: "read".into(), path: path.into(), source };
                return Hierarchies {
                    trouble: Some(trouble.to_string()),
                    ..Hierarchies::default()
                };
            }
        };
        // Absent on kernels without any v1 controller; then v2's own files tell.
        let known = read_file("/proc/cgroups").unwrap_or_default();
        let mut found = Hierarchies::parse(&mounts, &own, &known);
        found.drop_hidden();
        if let Some(v2) = &mut found.v2 {
            let file = v2.mount_point.join("cgroup.controllers");
            let names = read_file(file).unwrap_or_default();
            v2.controllers = names.split_ascii_whitespace().map(str::to_owned).collect();
        }
        found
    }

    /// Forgets what cannot be reached because something is mounted above it.
    fn drop_hidden(&mut self) {
        let visible = |hierarchy: &Hierarchy| {
            rustix::fs::stat(&hierarchy.mount_point).is_ok_and(|found| {
                let device = (rustix::fs::major(found.st_dev), rustix::fs::minor(found.st_dev));
                device == hierarchy.device
            })
        };
        let any = !self.v1.is_empty() || self.v2.is_some();
        self.v1.retain(visible);
        self.v2 = self.v2.take().filter(visible);
        if any && self.v1.is_empty() && self.v2.is_none() {
            self.trouble = Some("other mounts hide all cgroup file systems".to_owned());
        }
    }

    /// The same from the three texts; the controllers of v2 are left empty,
    /// because they are in a file of the tree itself.
    pub fn parse(mountinfo: &str, own: &str, known: &str) -> Hierarchies {
        let mounts = cgroup_mounts(mountinfo);
        let mut found = Hierarchies { known: known_controllers(known), ..Hierarchies::default() };
        for line in own.lines() {
            // hierarchy-ID:controller-list:cgroup-path, cgroups(7).
            let mut fields = line.splitn(3, ':');
            let (Some(id), Some(list), Some(path)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if list.is_empty() {
                let candidates = mounts.iter().filter(|m| m.version == Version::V2);
                if id == "0" {
                    found.v2 = best(candidates, path, Vec::new());
                }
                continue;
            }
            let names: Vec<String> = list.split(',').map(str::to_owned).collect();
            let candidates = mounts.iter().filter(|m| {
                m.version == Version::V1 && names.iter().all(|n| m.options.contains(n))
            });
            found.v1.extend(best(candidates, path, names.clone()));
        }
        if found.v1.is_empty() && found.v2.is_none() {
            found.trouble = Some(match (mounts.is_empty(), own.trim().is_empty()) {
                (_, true) => "/proc/self/cgroup is empty: the kernel has none".to_owned(),
                (true, _) => "no cgroup file system is mounted (/proc/self/mountinfo)".to_owned(),
                (false, _) => "what is mounted matches no line of /proc/self/cgroup".to_owned(),
            });
        }
        found
    }

    /// How the hierarchies are arranged.
    pub fn mode(&self) -> Mode {
        let controllers = self.v1.iter().any(|h| h.controllers.iter().any(|c| !c.contains('=')));
        match (controllers, self.v2.is_some()) {
            (true, true) => Mode::Hybrid,
            (true, false) => Mode::V1,
            (false, true) => Mode::V2,
            (false, false) => Mode::None,
        }
    }

    /// Why no cgroup can be made on this host; `None` where one could.
    pub fn unusable(&self) -> Option<String> {
        match (self.mode(), &self.trouble) {
            (Mode::None, Some(trouble)) => Some(trouble.clone()),
            (Mode::None, None) => Some("only hierarchies without controllers are mounted".into()),
            _ => None,
        }
    }

    /// The hierarchies of version 1, in the order of `/proc/self/cgroup`.
    pub fn v1(&self) -> &[Hierarchy] {
        &self.v1
    }

    /// The unified tree.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.v2.as_ref()
    }

    /// The hierarchy that has this controller.
    pub fn of(&self, controller: &str) -> Option<&Hierarchy> {
        self.v1.iter().chain(&self.v2).find(|h| h.has(controller))
    }

    /// The controllers of all hierarchies together.
    pub fn controllers(&self) -> Vec<&str> {
        let all = self.v1.iter().chain(&self.v2).flat_map(|h| &h.controllers);
        all.map(String::as_str).filter(|name| !name.contains('=')).collect()
    }

    /// The controllers that the kernel has and that are not disabled
    /// (`/proc/cgroups`), mounted or not; empty where that file is missing.
    pub fn known(&self) -> &[String] {
        &self.known
    }

    /// The hierarchy on whose file system a directory is.
    pub(crate) fn on_device(&self, device: (u32, u32)) -> Option<&Hierarchy> {
        self.v1.iter().chain(&self.v2).find(|h| h.device == device)
    }
}

fn read_file(path: impl rustix::path::Arg) -> Result<String, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    read_all(&rustix::fs::open(path, flags, FileMode::empty())?)
}

/// Of several mounts of one hierarchy the one that shows the caller's own
/// cgroup, writable rather than read-only, else the first.
fn best<'a>(
    candidates: impl Iterator<Item = &'a CgroupMount>,
    own: &str,
    controllers: Vec<String>,
) -> Option<Hierarchy> {
    let mut ranked: Vec<Hierarchy> = candidates
        .map(|mount| Hierarchy {
            version: mount.version,
            controllers: controllers.clone(),
            mount_point: mount.mount_point.clone(),
            own: below(&mount.mount_point, &mount.root, own),
            read_only: mount.read_only,
            device: mount.device,
        })
        .collect();
    ranked.sort_by_key(|h| (h.own.is_none(), h.read_only));
    ranked.into_iter().next()
}

/// Where the cgroup `own` is in a mount whose root is the cgroup `root`.
fn below(mount_point: &Path, root: &str, own: &str) -> Option<PathBuf> {
    // A process outside its cgroup namespace's root has "/../x" (cgroup_namespaces(7)).
    let outside = |path: &str| !path.starts_with('/') || path.contains("/..");
    if outside(root) || outside(own) {
        return None;
    }
    let rest = Path::new(own).strip_prefix(root).ok()?;
    Some(if rest.as_os_str().is_empty() { mount_point.to_owned() } else { mount_point.join(rest) })
}

/// The enabled ones of `/proc/cgroups`.
fn known_controllers(text: &str) -> Vec<String> {
    let enabled =
        |line: &&str| !line.starts_with('#') && line.split_whitespace().nth(3) == Some("1");
    let name = |line: &str| line.split_whitespace().next().map(str::to_owned);
    text.lines().filter(enabled).filter_map(name).collect()
}

#[cfg(test)]
#[path = "hierarchy_tests.rs"]
mod tests;
