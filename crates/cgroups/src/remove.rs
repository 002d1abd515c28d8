//! Parent: removing a cgroup and what was made below it, and never moving anybody out of it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;

use crate::cgroup::{Cgroup, Level, Member, processes};
use crate::dir::Dir;
use crate::error::Error;
use crate::freeze::{Pause, await_event};
use crate::hierarchy::{Hierarchies, Hierarchy};
use crate::kill::describe;
use crate::place;

/// How long processes that are about to end may keep a directory.
const PATIENCE: Duration = Duration::from_secs(2);

impl Cgroup {
    /// Removes the cgroup where nothing is in it any more, neither a process nor another
    /// cgroup; `false` where something is, in one hierarchy at least.
    ///
    /// # Errors
    /// [`Error::Io`]. What is gone already is no error.
    pub fn remove_empty(&self) -> Result<bool, Error> {
        let mut all = true;
        for member in self.members() {
            let Some(Level { dir: above, .. }) = member.above.last() else { continue };
            match is_child(above, &member.leaf)?.then(|| above.remove(name_of(&member.leaf))) {
                None | Some(Ok(()) | Err(Errno::NOENT | Errno::NODEV)) => remove_above(member)?,
                Some(Err(Errno::BUSY | Errno::NOTEMPTY)) => all = false,
                Some(Err(errno)) => return Err(Error::io("rmdir", member.leaf.path(), errno)),
            }
        }
        Ok(all)
    }

    /// Removes what [`create`](Cgroup::create) has made of `path` for a caller that was killed
    /// before it could note where: empty directories of that name. One with processes is
    /// waited for, for half a second: who was killed may have left some that are about to
    /// end. If they do not, it is somebody else's, and stays.
    ///
    /// # Errors
    /// [`Error::Path`], [`Error::Io`].
    pub fn remove_remains(path: &str) -> Result<(), Error> {
        const PATIENCE: Duration = Duration::from_millis(500);
        let name: PathBuf = place::components(path)?.into_iter().collect();
        let hierarchies = Hierarchies::detect();
        let places = hierarchies.v1().iter().chain(hierarchies.v2()).filter_map(Hierarchy::place);
        let mut paths: Vec<PathBuf> = places.map(|place| place.join(&name)).collect();
        paths.retain(|path| path.is_dir());
        let cgroup = match Cgroup::open(&paths) {
            Err(Error::Gone { .. } | Error::Path { .. }) => return Ok(()),
            cgroup => cgroup?,
        };
        let (deadline, mut pause) = (Instant::now() + PATIENCE, Pause::new());
        while !cgroup.remove_empty()? && Instant::now() < deadline {
            pause.sleep();
        }
        Ok(())
    }

    /// Removes the cgroup, with the cgroups that its processes made below it,
    /// in every hierarchy, and the parents that `create` had to make for it or
    /// for another job, when they are empty.
    ///
    /// Processes that are still in it stay there, with their limits in force:
    /// the cgroup is not removed then. [`kill`](Cgroup::kill) comes before.
    ///
    /// # Errors
    /// [`Error::Timeout`] with the processes that keep it, after two seconds; it
    /// may be called again. What is gone already is no error.
    pub fn remove(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut first = Ok(());
        for member in self.members() {
            let removed = remove(member, deadline);
            if first.is_ok() {
                first = removed;
            }
        }
        first
    }
}

fn remove(member: &Member, deadline: Instant) -> Result<(), Error> {
    remove_below(&member.leaf, deadline)?;
    let Some(Level { dir: above, .. }) = member.above.last() else { return Ok(()) };
    remove_child(above, &member.leaf, deadline)?;
    remove_above(member)
}

/// Removes the parents that were made for it or another one and have no child left.
fn remove_above(member: &Member) -> Result<(), Error> {
    let all: Vec<&Level> = member.above.iter().collect();
    for pair in all.windows(2).rev() {
        let (over, level) = (pair[0], pair[1]);
        let (true, Some(name)) = (level.made, level.dir.path().file_name()) else { continue };
        match over.dir.remove(name) {
            Ok(()) | Err(Errno::NOENT | Errno::NODEV) => {}
            // Another job is below it by now, and its last one may remove it.
            Err(Errno::BUSY | Errno::NOTEMPTY) => break,
            Err(errno) => return Err(Error::io("rmdir", level.dir.path(), errno)),
        }
    }
    Ok(())
}

/// Removes everything below a directory, the innermost first, whatever its depth.
fn remove_below(top: &Dir, deadline: Instant) -> Result<(), Error> {
    loop {
        let mut above = PathBuf::new();
        let mut name = match next(top, &above)? {
            Some(name) => name,
            None => return Ok(()),
        };
        loop {
            let inner = above.join(&name);
            match next(top, &inner)? {
                Some(deeper) => (above, name) = (inner, deeper),
                None => break,
            }
        }
        let child = match top.child(above.join(&name)) {
            Ok(child) => child,
            Err(Error::Gone { .. }) => continue,
            Err(error) => return Err(error),
        };
        remove_child(&child.parent()?, &child, deadline)?;
    }
}

/// One of the children of a directory below `top`.
fn next(top: &Dir, below: &Path) -> Result<Option<PathBuf>, Error> {
    let names = if below.as_os_str().is_empty() {
        top.children()
    } else {
        top.child(below).and_then(|dir| dir.children())
    };
    match names {
        Ok(names) => Ok(names.into_iter().next().map(PathBuf::from)),
        Err(Error::Gone { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn name_of(dir: &Dir) -> &OsStr {
    dir.path().file_name().unwrap_or_default()
}

/// Somebody may have removed a directory and made another one of that name.
fn is_child(above: &Dir, dir: &Dir) -> Result<bool, Error> {
    match statat(above.fd(), name_of(dir), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(found.st_ino == dir.identity()?.1),
        Err(Errno::NOENT | Errno::NODEV) => Ok(false),
        Err(errno) => Err(Error::io("stat", dir.path(), errno)),
    }
}

/// Removes one directory, waiting for processes that are about to end.
fn remove_child(above: &Dir, dir: &Dir, deadline: Instant) -> Result<(), Error> {
    if !is_child(above, dir)? {
        return Ok(());
    }
    let mut pause = Pause::new();
    loop {
        match above.remove(name_of(dir)) {
            Ok(()) | Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
            Err(Errno::BUSY) if Instant::now() < deadline => {}
            Err(Errno::BUSY) => {
                let left: Vec<u32> = processes(dir)?.into_iter().collect();
                let found = match left.is_empty() {
                    true => "no process is left, but the kernel keeps it".to_owned(),
                    false => describe(&left),
                };
                let awaited = "its processes to leave";
                return Err(Error::Timeout { path: dir.path().to_owned(), awaited, found });
            }
            Err(errno) => return Err(Error::io("rmdir", dir.path(), errno)),
        }
        // v2 tells when the last process is gone; v1 has no such file.
        match await_event(dir, "populated", "0", deadline, "its processes to leave") {
            Err(Error::Gone { .. } | Error::Timeout { .. }) | Ok(()) => pause.sleep(),
            Err(error) => return Err(error),
        }
    }
}
