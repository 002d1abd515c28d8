//! Parent: where things may stand. Destinations are judged by where they lead to,
//! not by how they are spelt.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, StatVfsMountFlags};
use rustix::io::Errno;

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
    /// Resolved paths: equal bytes are equal paths.
    planned: Vec<OsString>,
}

impl<'a> Site<'a> {
    pub(crate) fn new(root: &'a Rootfs) -> Site<'a> {
        Site { root, planned: Vec::new() }
    }

    /// From here on something is mounted at this resolved path.
    pub(crate) fn plan(&mut self, resolved: &Path) {
        if !self.holds(resolved.as_os_str()) {
            self.planned.push(resolved.into());
        }
    }

    /// Whether a mount is planned at this resolved path.
    pub(crate) fn holds(&self, resolved: impl AsRef<OsStr>) -> bool {
        self.planned.iter().any(|planned| planned == resolved.as_ref())
    }

    fn look(&self, path: &Path, last: Last) -> Result<(PathBuf, Found), Error> {
        let relative = examine::relative(path)?;
        match self.root.directory() {
            None => Ok((relative, Found::Unknown)),
            Some(root) => {
                let hidden = |at: &[u8]| self.holds(OsStr::from_bytes(at));
                examine::resolve(root, &relative, last, &hidden)
            }
        }
    }

    /// The resolved destination of a mount and what is there, or why nothing may be
    /// mounted there.
    pub(crate) fn destination_of(&self, mount: &Mount) -> Result<(PathBuf, Found), Error> {
        let (at, found) = self.look(&mount.destination, Last::Keep)?;
        if found == Found::Is(FileType::Symlink) && !matches!(mount.kind, Kind::Symlink { .. }) {
            return Err(self.symbolic_link(&mount.destination, &at));
        }
        permitted(mount, &at)?;
        Ok((at, found))
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
        let (at, found) = self.destination_of(mount)?;
        match (found, want) {
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
        let over_proc = match REPLACEABLE.iter().any(|path| at.as_os_str() == *path) {
            true => OverProc::Permitted,
            false => OverProc::Refused,
        };
        if self.planned.iter().any(|planned| is_below(at.as_os_str(), planned)) {
            return Err(Error::unusable(shown, "mount would hide an earlier one below it"));
        }
        let place = Place::new(shown, &at)?;
        self.plan(&at);
        Ok((place, over_proc))
    }

    /// A place for a symbolic link, which is not a mount.
    pub(crate) fn link(&self, mount: &Mount) -> Result<Place, Error> {
        let (at, found) = self.destination_of(mount)?;
        match found {
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

pub(crate) fn expect_directory(root: &Rootfs, mounts: &[Mount], path: &Path) -> Result<(), Error> {
    let mut site = Site::new(root);
    site.plan(Path::new("dev"));
    for mount in mounts {
        let (at, _) = site.destination_of(mount)?;
        site.plan(&at);
    }
    match site.look(path, Last::Follow) {
        // Mount points are made, with what is above them.
        Ok((at, Found::Missing)) if !site.planned.iter().any(|m| is_below(at.as_os_str(), m)) => {
            Err(Error::io(path, Errno::NOENT))
        }
        Ok((_, Found::Is(kind))) if kind != FileType::Directory => {
            Err(Error::kind(path, "not a directory"))
        }
        _ => Ok(()),
    }
}

/// Whether a resolved path lies below another.
fn is_below(above: &OsStr, path: &OsStr) -> bool {
    let rest = path.as_bytes().strip_prefix(above.as_bytes());
    rest.is_some_and(|rest| rest.starts_with(b"/"))
}

fn permitted(mount: &Mount, at: &Path) -> Result<(), Error> {
    let kind = match &mount.kind {
        Kind::Filesystem(filesystem) => Some(*filesystem),
        _ => None,
    };
    let reason = if at.as_os_str() == "proc" && kind != Some(Filesystem::Proc) {
        "only proc may be mounted here"
    } else if is_below(OsStr::new("proc"), at.as_os_str()) {
        let replaces = matches!(mount.kind, Kind::Bind { .. } | Kind::File { .. });
        if replaces && REPLACEABLE.iter().any(|path| at.as_os_str() == *path) {
            return Ok(());
        }
        "nothing below /proc may be covered, except files that only report"
    } else if at.as_os_str() == "dev" && !matches!(kind, Some(Filesystem::Dev | Filesystem::Tmpfs))
    {
        "/dev is always a tmpfs of the container's own"
    } else if kind == Some(Filesystem::Dev) && at.as_os_str() != "dev" {
        "the tmpfs with the device nodes may be mounted on /dev only"
    } else if at.as_os_str() == "dev/pts" && kind != Some(Filesystem::Devpts) {
        "only devpts may be mounted here"
    } else {
        return Ok(());
    };
    let (path, resolved) = (mount.destination.clone(), absolute(at));
    Err(Error::Reserved { path, resolved, reason })
}
