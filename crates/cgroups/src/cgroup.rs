//! Parent: a cgroup of ours, in one hierarchy or in several under the same name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::entry::Entry;
use crate::error::{Error, at};
use crate::hierarchy::{Hierarchies, Version};
use crate::sys;

/// A control group: one directory on v2, one in each hierarchy on v1, both on a hybrid host.
///
/// Dropping it closes descriptors and changes nothing: a cgroup lives until
/// [`remove`](Cgroup::remove).
#[derive(Debug)]
pub struct Cgroup {
    members: Vec<Member>,
    missing: Vec<PathBuf>,
}

/// The directory of a cgroup in one hierarchy.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) version: Version,
    pub(crate) controllers: Vec<String>,
    /// From a directory that was there before to the one above the cgroup.
    pub(crate) above: Vec<Level>,
    /// The cgroup itself.
    pub(crate) leaf: Dir,
}

/// One directory on the way to a cgroup.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) dir: Dir,
    /// Whether this crate made it, now or before, and so removes it when it is empty.
    pub(crate) made: bool,
}

impl Member {
    /// The cgroup itself.
    pub(crate) fn leaf(&self) -> &Dir {
        &self.leaf
    }

    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

impl Cgroup {
    pub(crate) fn new(members: Vec<Member>) -> Cgroup {
        Cgroup { members, missing: Vec::new() }
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The directories, one for each hierarchy; what a state file keeps for [`open`](Cgroup::open).
    pub fn paths(&self) -> Vec<PathBuf> {
        let open = self.members.iter().map(|member| member.leaf().path().to_owned());
        open.chain(self.missing.iter().cloned()).collect()
    }

    /// The directories above that this crate has made, for [`open_with_parents`](Cgroup::open_with_parents).
    pub fn made_parents(&self) -> Vec<PathBuf> {
        let above = |member: &Member| {
            let made = member.above.iter().filter(|level| level.made);
            made.map(|level| level.dir.path().to_owned()).collect::<Vec<_>>()
        };
        self.members.iter().flat_map(above).collect()
    }

    /// The cgroup that a state file tells of, by the result of [`paths`](Cgroup::paths).
    ///
    /// A directory that does not exist any more is left out; then there is no
    /// [`entry`](Cgroup::entry), but the rest can be killed and removed.
    ///
    /// # Errors
    /// [`Error::Gone`] when none of them exists; [`Error::NotCgroup`] for a path
    /// that is not on a cgroup file system, not in a mounted hierarchy, or is
    /// the root of one.
    pub fn open(paths: &[PathBuf]) -> Result<Cgroup, Error> {
        Cgroup::open_with_parents(paths, &[])
    }

    /// The same; `parents` are removed with it when they are empty, for kernels
    /// where they could not be marked as made by this crate.
    ///
    /// # Errors
    /// As [`open`](Cgroup::open).
    pub fn open_with_parents(paths: &[PathBuf], parents: &[PathBuf]) -> Result<Cgroup, Error> {
        let hierarchies = Hierarchies::detect();
        let mut cgroup = Cgroup::new(Vec::new());
        for path in paths {
            match open_member(&hierarchies, path, parents) {
                Ok(member) => cgroup.members.push(member),
                Err(Error::Gone { path }) => cgroup.missing.push(path),
                Err(error) => return Err(error),
            }
        }
        match (cgroup.members.is_empty(), paths.first()) {
            (true, Some(path)) => Err(Error::Gone { path: path.clone() }),
            (true, None) => Err(Error::Path { path: String::new(), reason: "no path is given" }),
            (false, _) => Ok(cgroup),
        }
    }

    /// What a child needs to be born in the cgroup, or to go there itself at once.
    ///
    /// # Errors
    /// [`Error::Gone`] when one of the directories does not exist any more: a
    /// process in only some of them would be without the limits of the others.
    /// [`Error::State`] when the cgroup is frozen: the child would stand still
    /// before it could say so.
    pub fn entry(&self) -> Result<Entry, Error> {
        self.refuse_frozen()?;
        let mut entry = Entry { clone_into: None, files: self.files("tasks", Version::V1)? };
        if let Some(unified) = self.unified() {
            entry.clone_into =
                Some(unified.leaf().fd().try_clone_to_owned().map_err(|source| Error::Io {
                    action: "dup".to_owned(),
                    path: unified.leaf().path().to_owned(),
                    source,
                })?);
        }
        Ok(entry)
    }

    /// The same for a child that cannot be cloned into it: every file is written.
    ///
    /// # Errors
    /// As [`entry`](Cgroup::entry).
    pub fn entry_by_writing(&self) -> Result<Entry, Error> {
        self.refuse_frozen()?;
        let mut files = self.files("cgroup.procs", Version::V2)?;
        files.extend(self.files("tasks", Version::V1)?);
        Ok(Entry { clone_into: None, files })
    }

    /// The cpu hierarchy comes last, so that the steps of the child itself are
    /// not slowed by the quota.
    fn files(&self, name: &str, version: Version) -> Result<Vec<std::os::fd::OwnedFd>, Error> {
        if let Some(path) = self.missing.first() {
            return Err(Error::Gone { path: path.clone() });
        }
        let mut members: Vec<&Member> =
            self.members.iter().filter(|member| member.version == version).collect();
        members.sort_by_key(|member| member.has("cpu"));
        let open = |member: &Member| {
            let path = member.leaf().path().join(name);
            member.leaf().file(name, OFlags::WRONLY).map_err(|e| at("open for writing", &path, e))
        };
        members.into_iter().map(open).collect()
    }

    /// The member in the tree of v2.
    pub(crate) fn unified(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.version == Version::V2)
    }

    /// Starts a command whose process is in the cgroup before execve, and with
    /// it everything that it will ever start.
    ///
    /// The standard library clones by itself, so the child writes itself into
    /// every directory, on v2 into `cgroup.procs`; whoever calls clone3(2) should
    /// prefer [`entry`](Cgroup::entry), which is faster on an idle host. The
    /// command keeps the step: spawned again, its process comes here again.
    ///
    /// # Errors
    /// [`Error::Io`] with the program's name: the program could not be started, or not in here.
    pub fn spawn(&self, command: &mut Command) -> Result<Child, Error> {
        sys::enter_before_exec(command, self.entry_by_writing()?);
        command.spawn().map_err(|source| Error::Io {
            action: "start".to_owned(),
            path: command.get_program().into(),
            source,
        })
    }

    /// The processes of the cgroup and of the cgroups below it, as this process
    /// numbers them; those outside its pid namespace are left out.
    ///
    /// # Errors
    /// [`Error::State`] for a threaded cgroup, whose processes cannot be read;
    /// [`Error::Io`] with the file otherwise. A cgroup that is gone has none.
    pub fn processes(&self) -> Result<Vec<u32>, Error> {
        let mut all = BTreeSet::new();
        for member in &self.members {
            all.extend(processes(member.leaf())?);
        }
        all.remove(&0);
        Ok(all.into_iter().collect())
    }

    /// Whether no process is in the cgroup or below it, in any hierarchy.
    ///
    /// # Errors
    /// As [`processes`](Cgroup::processes).
    pub fn is_empty(&self) -> Result<bool, Error> {
        for member in &self.members {
            if !processes(member.leaf())?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn open_member(
    hierarchies: &Hierarchies,
    path: &Path,
    parents: &[PathBuf],
) -> Result<Member, Error> {
    let refuse = |reason| Error::NotCgroup { path: path.to_owned(), reason };
    let plain = path.components().all(|c| !matches!(c, std::path::Component::ParentDir));
    if !path.is_absolute() || !plain {
        return Err(refuse("not an absolute path without \"..\""));
    }
    let dir = Dir::open(path)?;
    let (device, _) = dir.identity()?;
    let version = dir.version()?;
    let hierarchy =
        hierarchies.on_device(device).ok_or_else(|| refuse("in no hierarchy of this host"))?;
    // Killing and removing must never reach the root of a hierarchy.
    let within = |above: Dir| match above.identity() {
        Ok((found, _)) if found == device => Ok(above),
        Ok(_) => Err(refuse("the root of a hierarchy")),
        Err(error) => Err(error),
    };
    let mut next = within(dir.parent()?)?;
    let mut above = Vec::new();
    while next.marked() || parents.iter().any(|made| made == next.path()) {
        let over = within(next.parent()?)?;
        above.insert(0, Level { dir: next, made: true });
        next = over;
    }
    above.insert(0, Level { dir: next, made: false });
    let controllers = match version {
        Version::V1 => hierarchy.controllers.clone(),
        Version::V2 => words(&dir.read("cgroup.controllers")?),
    };
    Ok(Member { version, controllers, above, leaf: dir })
}

/// The words of a list such as `cgroup.controllers`.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The processes of a directory and of all below it; 0 for one that is outside
/// of the caller's pid namespace.
pub(crate) fn processes(top: &Dir) -> Result<BTreeSet<u32>, Error> {
    let mut all = BTreeSet::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        let child;
        let dir = if below.as_os_str().is_empty() {
            top
        } else {
            match top.child(&below) {
                Ok(dir) => child = dir,
                // It was removed in the meantime.
                Err(Error::Gone { .. }) => continue,
                Err(error) => return Err(error),
            }
            &child
        };
        match dir.read_raw("cgroup.procs") {
            Ok(text) => all.extend(text.lines().filter_map(|line| line.parse::<u32>().ok())),
            Err(Errno::NODEV | Errno::NOENT) => continue,
            // The processes of a threaded cgroup are listed by the domain above it.
            Err(Errno::OPNOTSUPP) if !below.as_os_str().is_empty() => {}
            Err(Errno::OPNOTSUPP) => {
                return Err(Error::State {
                    path: dir.path().to_owned(),
                    state: kind(dir),
                    prevents: "reading its processes",
                });
            }
            Err(errno) => return Err(at("read", &dir.path().join("cgroup.procs"), errno)),
        }
        match dir.children() {
            Ok(names) => pending.extend(names.into_iter().map(|name| below.join(name))),
            Err(Error::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// `cgroup.type` of v2; a root and v1 have none.
pub(crate) fn kind(dir: &Dir) -> String {
    dir.read_raw("cgroup.type").map_or_else(|_| "domain".to_owned(), |text| text.trim().to_owned())
}
