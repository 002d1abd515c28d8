//! Parent: what is below the root now. Reads through one directory descriptor,
//! component by component, so that no symbolic link is followed by the kernel.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::Error;

/// Limits of the kernel: PATH_MAX with its NUL, NAME_MAX, links in one look-up.
const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;
const MAX_LINKS: usize = 40;

/// What a resolved path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Is(FileType),
    Missing,
    /// Below a mount that does not exist yet.
    Unknown,
}

/// How [`open`] opens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Look,
    Open(OFlags),
}

/// Whether a symbolic link at the end of the path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Follow,
    Keep,
}

/// A path of the container, without its leading slash, or why it is none.
pub(crate) fn relative(path: &Path) -> Result<PathBuf, Error> {
    let bytes = path.as_os_str().as_bytes();
    let reason = if !path.is_absolute() {
        "path is not absolute"
    } else if bytes.contains(&0) {
        "path holds a NUL byte"
    } else if bytes.len() >= PATH_MAX {
        "path is longer than 4095 bytes"
    } else if path.components().any(|part| part == Component::ParentDir) {
        "path holds \"..\""
    } else if path.components().any(|part| part.as_os_str().len() > NAME_MAX) {
        "path has a component of more than 255 bytes"
    } else {
        let names: PathBuf = path.components().skip(1).collect();
        if !names.as_os_str().is_empty() {
            return Ok(names);
        }
        "path is the root itself"
    };
    Err(Error::unusable(path, reason))
}

/// `path` as a C string.
pub(crate) fn c_string(path: &Path) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::unusable(path, "path holds a NUL byte"))
}

/// The path shown to people: with its leading slash.
pub(crate) fn absolute(relative: &Path) -> PathBuf {
    Path::new("/").join(relative)
}

/// Resolves `path` (relative to the root) as the container would: absolute links
/// start at the root and `..` stops there. `hidden` tells the resolved paths at
/// which a planned mount begins: what is below them is not looked at.
pub(crate) fn resolve(
    root: BorrowedFd<'_>,
    path: &Path,
    last: Last,
    hidden: &dyn Fn(&Path) -> bool,
) -> Result<(PathBuf, Found), Error> {
    let error = |at: &Path, errno: Errno| Error::io(absolute(at), errno);
    let mut todo: VecDeque<OsString> = names(path);
    let mut done = PathBuf::new();
    let mut opened: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    let mut found = FileType::Directory;
    while let Some(name) = todo.pop_front() {
        if name == ".." {
            done.pop();
            opened.pop();
            found = FileType::Directory;
            continue;
        }
        if found != FileType::Directory {
            return Err(error(&done, Errno::NOTDIR));
        }
        let here = opened.last().map_or(root, AsFd::as_fd);
        let next = done.join(&name);
        if hidden(&next) {
            return append(next, todo, Found::Unknown);
        }
        let stat = match rustix::fs::statat(here, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return append(next, todo, Found::Missing),
            Err(errno) => return Err(error(&next, errno)),
        };
        found = FileType::from_raw_mode(stat.st_mode);
        if found == FileType::Symlink && (last == Last::Follow || !todo.is_empty()) {
            links += 1;
            if links > MAX_LINKS {
                return Err(error(&next, Errno::LOOP));
            }
            let target = read_link(here, &name).map_err(|errno| error(&next, errno))?;
            if target.is_absolute() {
                done.clear();
                opened.clear();
            }
            for name in names(&target).into_iter().rev() {
                todo.push_front(name);
            }
            found = FileType::Directory;
            continue;
        }
        if found == FileType::Directory {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = rustix::fs::openat(here, &name, flags, Mode::empty());
            opened.push(directory.map_err(|errno| error(&next, errno))?);
        }
        done = next;
    }
    Ok((done, Found::Is(found)))
}

/// The part of a path that cannot be looked at: taken as it is, if it is plain.
fn append(
    mut done: PathBuf,
    todo: VecDeque<OsString>,
    found: Found,
) -> Result<(PathBuf, Found), Error> {
    for name in todo {
        if name == ".." {
            return Err(Error::unusable(
                absolute(&done),
                "a symbolic link leads out of it by \"..\"",
            ));
        }
        done.push(name);
    }
    Ok((done, found))
}

fn names(path: &Path) -> VecDeque<OsString> {
    let keep = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(keep).collect()
}

/// The target of the link `name` in `directory`.
pub(crate) fn read_link(directory: BorrowedFd<'_>, name: &OsStr) -> Result<PathBuf, Errno> {
    let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
    Ok(OsString::from_vec(target.into_bytes()).into())
}

/// Opens a path that [`resolve`] returned, again refusing every symbolic link.
pub(crate) fn open(
    root: BorrowedFd<'_>,
    resolved: &Path,
    access: Access,
) -> Result<Option<OwnedFd>, Error> {
    let error = |errno| Error::io(absolute(resolved), errno);
    let mut here: Option<OwnedFd> = None;
    let mut names = names(resolved);
    let Some(file) = names.pop_back() else {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        return rustix::fs::openat(root, c".", flags, Mode::empty()).map(Some).map_err(error);
    };
    for name in names {
        let at = here.as_ref().map_or(root, AsFd::as_fd);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(at, &name, flags, Mode::empty()) {
            Ok(directory) => here = Some(directory),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(error(errno)),
        }
    }
    let flags = match access {
        Access::Look => OFlags::PATH,
        Access::Open(flags) => flags,
    } | OFlags::NOFOLLOW
        | OFlags::CLOEXEC;
    match rustix::fs::openat(here.as_ref().map_or(root, AsFd::as_fd), &file, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(error(errno)),
    }
}

/// Opens a regular file below the source of a bind mount (or the source itself).
pub(crate) fn open_source_file(source: &Path, rest: &Path) -> Result<Option<File>, Error> {
    let real = match source.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(source, error)),
    };
    let (at, path) = match rest.as_os_str().is_empty() {
        true => (Path::new("/"), real.strip_prefix("/").unwrap_or(&real)),
        false => (real.as_path(), rest),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(at, flags, Mode::empty()).map_err(|errno| Error::io(at, errno))?;
    let (resolved, found) = resolve(root.as_fd(), path, Last::Follow, &|_| false)?;
    match found {
        Found::Is(FileType::RegularFile) => {}
        Found::Is(_) => return Err(Error::kind(at.join(resolved), "not a regular file")),
        Found::Missing | Found::Unknown => return Ok(None),
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(open(root.as_fd(), &resolved, Access::Open(flags))?.map(File::from))
}
