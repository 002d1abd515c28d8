//! Parent: removing a cgroup and what was made below it, and never moving anybody out of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;

use crate::cgroup::{Cgroup, Level, Member, processes};
use crate::dir::Dir;
use crate::error::Error;
use crate::freeze::{Pause, await_event};
use crate::kill::describe;

/// How long processes that are about to end may keep a directory.
const PATIENCE: Duration = Duration::from_secs(2);

impl Cgroup {
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

/// Removes one directory, waiting for processes that are about to end.
fn remove_child(above: &Dir, dir: &Dir, deadline: Instant) -> Result<(), Error> {
    let Some(name) = dir.path().file_name() else { return Ok(()) };
    // Somebody may have removed it and made another one of that name.
    let same = match statat(above.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found.st_ino == dir.identity()?.1,
        Err(Errno::NOENT | Errno::NODEV) => false,
        Err(errno) => return Err(Error::io("stat", dir.path(), errno)),
    };
    if !same {
        return Ok(());
    }
    let mut pause = Pause::new();
    loop {
        match above.remove(name) {
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
