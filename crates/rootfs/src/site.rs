//! Parent: where things may stand. Destinations are judged by where they lead to,
//! not by how they are spelt.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, StatVfsMountFlags};

use crate::examine::{self, Access, Found, Last, absolute};
use crate::filesystem::OverProc;
use crate::mount::{Filesystem, Kind};
use crate::place::Place;
use crate::resolve::Want;
use crate::{Error, Mount, Rootfs};

/// Files of `/proc` that a bind mount or a generated file may replace: they report,
/// and nothing security relevant is read from or written to them.
const REPLACEABLE: &[&str] = &[
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/loadavg",
    "proc/meminfo",
    "proc/slabinfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
    "proc/sys/crypto/fips_enabled",
    "proc/sys/kernel/ns_last_pid",
];

/// The root filesystem with what has been planned for it so far.
pub(crate) struct Site<'a> {
    root: &'a Rootfs,
    planned: Vec<PathBuf>,
}

impl<'a> Site<'a> {
    pub(crate) fn new(root: &'a Rootfs) -> Site<'a> {
        Site { root, planned: Vec::new() }
    }

    /// From here on something is mounted at this resolved path.
    pub(crate) fn plan(&mut self, resolved: &Path) {
        if !self.planned.iter().any(|planned| planned == resolved) {
            self.planned.push(resolved.to_owned());
        }
    }

    /// Whether a mount is planned at this resolved path.
    pub(crate) fn holds(&self, resolved: &str) -> bool {
        self.planned.iter().any(|planned| planned == Path::new(resolved))
    }

    fn look(&self, path: &Path, last: Last) -> Result<(PathBuf, Found), Error> {
        let relative = examine::relative(path)?;
        match self.root.directory() {
            None => Ok((relative, Found::Unknown)),
            Some(root) => {
                let hidden = |at: &Path| self.planned.iter().any(|planned| planned == at);
                examine::resolve(root, &relative, last, &hidden)
            }
        }
    }

    /// The resolved destination of a mount, or why nothing may be mounted there.
    pub(crate) fn destination_of(&self, mount: &Mount) -> Result<PathBuf, Error> {
        let (at, found) = self.look(&mount.destination, Last::Keep)?;
        if found == Found::Is(FileType::Symlink) && !matches!(mount.kind, Kind::Symlink { .. }) {
            return Err(self.symbolic_link(&mount.destination, &at));
        }
        permitted(mount, &at)?;
        Ok(at)
    }

    fn symbolic_link(&self, shown: &Path, at: &Path) -> Error {
        let (path, role) = (shown.to_owned(), "destination");
        let target = self.root.path().map(|root| root.join(at).read_link());
        Error::SymbolicLink { path, role, target: target.and_then(Result::ok).unwrap_or_default() }
    }

    /// Plans a mount point: checks its type, and that it can be made if it is missing.
    pub(crate) fn mount_point(
        &mut self,
        mount: &Mount,
        want: Want,
    ) -> Result<(Place, OverProc), Error> {
        let shown = &mount.destination;
        let at = self.destination_of(mount)?;
        match (self.look(shown, Last::Keep)?.1, want) {
            (Found::Missing, _) => self.can_be_made(shown, &at)?,
            (Found::Is(FileType::Directory), Want::File) => {
                let reason = "destination is a directory, the source is not";
                return Err(Error::kind(shown, reason));
            }
            (Found::Is(kind), Want::Directory) if kind != FileType::Directory => {
                let reason = "destination is not a directory, the source is";
                return Err(Error::kind(shown, reason));
            }
            _ => {}
        }
        let over_proc = match REPLACEABLE.iter().any(|path| at == Path::new(path)) {
            true => OverProc::Permitted,
            false => OverProc::Refused,
        };
        if self.planned.iter().any(|planned| planned != &at && planned.starts_with(&at)) {
            return Err(Error::unusable(shown, "mount would hide an earlier one below it"));
        }
        let place = Place::new(shown, &at)?;
        self.plan(&at);
        Ok((place, over_proc))
    }

    /// A place for a symbolic link, which is not a mount.
    pub(crate) fn link(&self, mount: &Mount) -> Result<Place, Error> {
        let at = self.destination_of(mount)?;
        match self.look(&mount.destination, Last::Keep)?.1 {
            Found::Is(FileType::Symlink) | Found::Unknown => {}
            Found::Missing => self.can_be_made(&mount.destination, &at)?,
            Found::Is(_) => {
                let reason = "destination exists and is not a symbolic link";
                return Err(Error::kind(&mount.destination, reason));
            }
        }
        Place::new(&mount.destination, &at)
    }

    fn can_be_made(&self, shown: &Path, at: &Path) -> Result<(), Error> {
        let Some(root) = self.root.directory() else { return Ok(()) };
        for above in at.ancestors().skip(1) {
            let Some(directory) = examine::open(root, above, Access::Look)? else { continue };
            let seen = rustix::fs::fstatvfs(directory.as_fd());
            let seen = seen.map_err(|errno| Error::io(absolute(above), errno))?;
            if seen.f_flag.contains(StatVfsMountFlags::RDONLY) {
                let root = self.root.path().unwrap_or(Path::new("/"));
                return Err(Error::MissingMountPoint {
                    path: shown.to_owned(),
                    above: root.join(above),
                });
            }
            break;
        }
        Ok(())
    }

    /// A path that is masked or made read-only if it is there. Symbolic links that
    /// are visible now are resolved now, so that the walk without openat2 works too.
    pub(crate) fn existing(&self, path: &Path) -> Result<Place, Error> {
        let (at, _) = self.look(path, Last::Follow)?;
        Place::new(path, &at)
    }
}

fn permitted(mount: &Mount, at: &Path) -> Result<(), Error> {
    let kind = match &mount.kind {
        Kind::Filesystem(filesystem) => Some(*filesystem),
        _ => None,
    };
    let reason = if at == Path::new("proc") && kind != Some(Filesystem::Proc) {
        "only proc may be mounted here"
    } else if at != Path::new("proc") && at.starts_with("proc") {
        let replaces = matches!(mount.kind, Kind::Bind { .. } | Kind::File { .. });
        if replaces && REPLACEABLE.iter().any(|path| at == Path::new(path)) {
            return Ok(());
        }
        "nothing below /proc may be covered, except files that only report"
    } else if at == Path::new("dev") && !matches!(kind, Some(Filesystem::Dev | Filesystem::Tmpfs)) {
        "/dev is always a tmpfs of the container's own"
    } else if kind == Some(Filesystem::Dev) && at != Path::new("dev") {
        "the tmpfs with the device nodes may be mounted on /dev only"
    } else if at == Path::new("dev/pts") && kind != Some(Filesystem::Devpts) {
        "only devpts may be mounted here"
    } else {
        return Ok(());
    };
    let (path, resolved) = (mount.destination.clone(), absolute(at));
    Err(Error::Reserved { path, resolved, reason })
}
