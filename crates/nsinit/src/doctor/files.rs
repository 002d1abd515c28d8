//! Parent: whether the container will have the program and its working directory.
//!
//! The mounts of the plan do not stand yet. What lies below none of them is looked for in
//! the image, what lies below a directory of the host at its own place is looked for
//! there; a link that is made is followed, a tmpfs has nothing but what is mounted on it,
//! and what lies below another mount is not known.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nsinit_namespaces::IdMap;
use nsinit_rootfs as rootfs;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Check;
use crate::diagnosis::program::{Found, Identity, Inside, too_long};
use crate::diagnosis::read;
use crate::directory::Directory;
use crate::plan::Plan;
use crate::reason::{Fault, Reason};
use crate::step::Step;

/// Where the container's files come from.
pub(super) struct Place {
    /// None for a root filesystem that the mounts alone furnish.
    image: Option<PathBuf>,
}

impl Place {
    pub(super) fn of(directory: &Directory) -> Place {
        let image = directory.rootfs().ok().and_then(|root| root.path().map(Path::to_owned));
        Place { image }
    }

    /// The directory of the host whose files a path will show, and that path without the
    /// links that are made.
    fn root_of(&self, plan: &Plan, path: PathBuf) -> (Shown, PathBuf) {
        /// As many links as the kernel follows.
        const LINKS: usize = 40;
        let mut path = path;
        for _ in 0..LINKS {
            let covering = plan.all_steps().filter_map(|step| match step {
                Step::Rootfs(step) => covers(step).filter(|(point, _)| path.starts_with(point)),
                _ => None,
            });
            let shown = match (covering.last(), &self.image) {
                (Some((point, Cover::Link(target))), _) => {
                    let rest = path.strip_prefix(&point).unwrap_or(Path::new(""));
                    let above = point.parent().unwrap_or(Path::new("/"));
                    path = normal(&above.join(target).join(rest));
                    continue;
                }
                (Some((_, Cover::Host)), _) => Shown::Of(PathBuf::from("/")),
                (Some((point, Cover::Tmpfs)), _) if point != path => Shown::Nothing,
                (Some((point, _)), _) => Shown::By(point),
                (None, Some(image)) => Shown::Of(image.clone()),
                (None, None) => Shown::Nothing,
            };
            return (shown, path);
        }
        (Shown::Nothing, path)
    }
}

/// Without `.` and `..`, by the names alone: what is above a mount point is no link.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

enum Shown {
    Of(PathBuf),
    By(PathBuf),
    Nothing,
}

enum Cover {
    /// A directory of the host at the same path.
    Host,
    Link(PathBuf),
    Tmpfs,
    Other,
}

fn covers(step: &rootfs::Step) -> Option<(PathBuf, Cover)> {
    use rootfs::Step::{Bind, File, Link, Mount};
    let point = step.object().to_owned();
    match step {
        Bind(bind) if bind.source() == point => Some((point, Cover::Host)),
        Link(link) => Some((point, Cover::Link(link.target().to_owned()))),
        Mount(_) if step.filesystem() == Some("tmpfs") && point != Path::new("/dev") => {
            Some((point, Cover::Tmpfs))
        }
        Bind(_) | Mount(_) | File(_) => Some((point, Cover::Other)),
        _ => None,
    }
}

/// One look at a path of the container to be.
enum Look {
    Missing,
    There(Option<Found>),
    Unknown(PathBuf),
}

fn look(plan: &Plan, place: &Place, path: &Path, at: &dyn Fn(&Inside<'_>, &Path) -> Look) -> Look {
    let Some(identity) = Identity::of(plan) else { return Look::Missing };
    let (shown, path) = place.root_of(plan, identity.working_directory.join(path));
    let root = match shown {
        Shown::Of(root) => root,
        Shown::By(point) => return Look::Unknown(point),
        Shown::Nothing => return Look::Missing,
    };
    let Ok(root) = File::open(&root) else { return Look::Unknown(root) };
    let map = |lines: &[IdMap]| {
        let line = |l: &IdMap| format!("{} {} {}\n", l.container_id, l.host_id, l.size);
        lines.iter().map(line).collect::<String>()
    };
    let maps = match &plan.id_maps {
        Some(maps) => [map(&maps.uids), map(&maps.gids)],
        None => ["uid_map", "gid_map"].map(|file| read(&format!("/proc/self/{file}"))),
    };
    let mountinfo = read("/proc/self/mountinfo");
    at(&Inside { root: root.as_fd(), mountinfo, maps, identity }, &path)
}

pub(super) fn working_directory(plan: &Plan, place: &Place) -> Check {
    const NAME: &str = "working directory";
    let Some(identity) = Identity::of(plan) else { return Check::ok(NAME, "/") };
    let path = identity.working_directory;
    let shown = path.display().to_string();
    let enter = |inside: &Inside<'_>, path: &Path| match inside.open(path, OFlags::DIRECTORY) {
        Err(_) => Look::Missing,
        Ok(_) => Look::There(inside.closed_from_root(path).map(Found::Fault)),
    };
    match look(plan, place, path, &enter) {
        _ if path == Path::new("/") => Check::ok(NAME, shown),
        Look::There(None) => Check::ok(NAME, shown),
        Look::There(Some(found)) => {
            let reason = found.into_reason(Errno::ACCESS);
            Check::problem(NAME, reason.to_string(), reason.hint())
        }
        Look::Missing => {
            let hint = "it must be there in the root filesystem, or be made by a mount";
            Check::problem(NAME, format!("{shown} is not there"), Some(hint.into()))
        }
        // A mount's own root, which root may enter.
        Look::Unknown(by) if by == path && identity.is_root() => Check::ok(NAME, shown),
        Look::Unknown(by) => Check::unknown(NAME, format!("{shown} lies on {}", by.display())),
    }
}

/// Searched as init will search it.
pub(super) fn program(plan: &Plan, place: &Place) -> Check {
    const NAME: &str = "program";
    let (mut refused, mut unknown) = (None, None);
    for candidate in plan.program.candidates() {
        let path = as_path(candidate);
        let examine = |inside: &Inside<'_>, path: &Path| match inside.open(path, OFlags::empty()) {
            Err(_) => Look::Missing,
            Ok(_) => Look::There(inside.examine(path, None)),
        };
        match look(plan, place, path, &examine) {
            Look::Missing => {}
            Look::Unknown(by) => unknown = unknown.or(Some(by)),
            Look::There(Some(found @ Found::Fault(Fault::Permission(_) | Fault::Kind(_)))) => {
                refused = refused.or(Some((path.to_owned(), found)));
            }
            Look::There(Some(found)) => {
                refused = Some((path.to_owned(), found));
                unknown = None;
                break;
            }
            Look::There(None) => {
                return match too_long(plan, &read("/proc/self/limits")) {
                    Some(fault) => problem(path, Found::Fault(fault)),
                    None => Check::ok(NAME, path.display().to_string()),
                };
            }
        }
    }
    match (refused, unknown) {
        (_, Some(by)) => {
            let name = plan.program.name().to_string_lossy().into_owned();
            Check::unknown(NAME, format!("{name} may lie on {}", by.display()))
        }
        (Some((path, found)), None) => problem(&path, found),
        (None, None) => {
            let reason = Reason::NotFound { searched: plan.program.searched() };
            let name = plan.program.name().to_string_lossy().into_owned();
            Check::problem(NAME, format!("{name}: {reason}"), None)
        }
    }
}

fn problem(path: &Path, found: Found) -> Check {
    let errno = match &found {
        Found::Fault(Fault::LongString { .. } | Fault::LongArguments { .. }) => Errno::TOOBIG,
        Found::Fault(Fault::Capabilities(_)) => Errno::PERM,
        Found::Fault(Fault::Permission(_) | Fault::Kind(_) | Fault::NoExec { .. }) => Errno::ACCESS,
        _ => Errno::NOEXEC,
    };
    let reason = found.into_reason(errno);
    Check::problem("program", format!("{}: {reason}", path.display()), reason.hint())
}

fn as_path(text: &CStr) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(text.to_bytes()))
}
