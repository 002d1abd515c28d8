//! Parent: what is below the root now. Reads through one directory descriptor,
//! component by component, so that no symbolic link is followed by the kernel.

use std::borrow::Cow;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
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
    let refuse = |reason| Err(Error::unusable(path, reason));
    if !bytes.starts_with(b"/") {
        return refuse("path is not absolute");
    }
    if bytes.contains(&0) {
        return refuse("path holds a NUL byte");
    }
    if bytes.len() >= PATH_MAX {
        return refuse("path is longer than 4095 bytes");
    }
    let mut relative = Vec::with_capacity(bytes.len());
    for name in names(bytes) {
        match name {
            b".." => return refuse("path holds \"..\""),
            _ if name.len() > NAME_MAX => {
                return refuse("path has a component of more than 255 bytes");
            }
            _ => push(&mut relative, name),
        }
    }
    match relative.is_empty() {
        true => refuse("path is the root itself"),
        false => Ok(path_of(relative)),
    }
}

/// The names that a path is made of, `..` included.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."))
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn pop(path: &mut Vec<u8>) {
    path.truncate(path.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
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
    hidden: &dyn Fn(&[u8]) -> bool,
) -> Result<(PathBuf, Found), Error> {
    let error =
        |at: &[u8], errno: Errno| Error::io(absolute(Path::new(OsStr::from_bytes(at))), errno);
    let mut todo = Cow::Borrowed(path.as_os_str().as_bytes());
    let mut at = 0;
    let mut done = Vec::with_capacity(todo.len());
    let mut opened: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    let mut found = FileType::Directory;
    while let Some(name) = next_name(&todo, &mut at) {
        if name == b".." {
            pop(&mut done);
            opened.pop();
            found = FileType::Directory;
            continue;
        }
        if found != FileType::Directory {
            return Err(error(&done, Errno::NOTDIR));
        }
        let here = opened.last().map_or(root, AsFd::as_fd);
        push(&mut done, name);
        if hidden(&done) {
            return append(done, &todo[at..], Found::Unknown);
        }
        let stat = match rustix::fs::statat(here, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return append(done, &todo[at..], Found::Missing),
            Err(errno) => return Err(error(&done, errno)),
        };
        found = FileType::from_raw_mode(stat.st_mode);
        let is_last = names(&todo[at..]).next().is_none();
        if found == FileType::Symlink && (last == Last::Follow || !is_last) {
            links += 1;
            if links > MAX_LINKS {
                return Err(error(path.as_os_str().as_bytes(), Errno::LOOP));
            }
            let target = read_link(here, name).map_err(|errno| error(&done, errno))?;
            pop(&mut done);
            if target.starts_with(b"/") {
                done.clear();
                opened.clear();
            }
            todo = Cow::Owned([&target, &b"/"[..], &todo[at..]].concat());
            (at, found) = (0, FileType::Directory);
            continue;
        }
        if found == FileType::Directory {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = rustix::fs::openat(here, name, flags, Mode::empty());
            opened.push(directory.map_err(|errno| error(&done, errno))?);
        }
    }
    Ok((path_of(done), Found::Is(found)))
}

/// The name that begins at or after `at`, which is then behind it.
fn next_name<'a>(path: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    loop {
        let start = *at + path[*at..].iter().position(|byte| *byte != b'/')?;
        let length = path[start..].iter().position(|byte| *byte == b'/');
        *at = length.map_or(path.len(), |length| start + length);
        match &path[start..*at] {
            b"." => {}
            name => return Some(name),
        }
    }
}

/// The part of a path that cannot be looked at: taken as it is, if it is plain.
fn append(mut done: Vec<u8>, rest: &[u8], found: Found) -> Result<(PathBuf, Found), Error> {
    for name in names(rest) {
        if name == b".." {
            let reason = "a symbolic link leads out of it by \"..\"";
            return Err(Error::unusable(absolute(&path_of(done)), reason));
        }
        push(&mut done, name);
    }
    Ok((path_of(done), found))
}

/// The target of the link `name` in `directory`.
fn read_link(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    Ok(rustix::fs::readlinkat(directory, name, Vec::new())?.into_bytes())
}

/// A path without symbolic links. Where the kernel finds none on an absolute path it is
/// one already, which is the usual case.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf, Error> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let plain = path.is_absolute() && !path.as_os_str().as_bytes().windows(2).any(|at| at == b"..");
    let resolve = ResolveFlags::NO_SYMLINKS;
    if plain && rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve).is_ok() {
        return Ok(path.components().collect());
    }
    path.canonicalize().map_err(|source| Error::io(path, source))
}

/// Opens a path that [`resolve`] returned, again refusing every symbolic link.
pub(crate) fn open(
    root: BorrowedFd<'_>,
    resolved: &Path,
    access: Access,
) -> Result<Option<OwnedFd>, Error> {
    let error = |errno| Error::io(absolute(resolved), errno);
    let mut here: Option<OwnedFd> = None;
    let mut names: Vec<_> = names(resolved.as_os_str().as_bytes()).collect();
    let Some(file) = names.pop() else {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        return rustix::fs::openat(root, c".", flags, Mode::empty()).map(Some).map_err(error);
    };
    for name in names {
        let at = here.as_ref().map_or(root, AsFd::as_fd);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(at, name, flags, Mode::empty()) {
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
    match rustix::fs::openat(here.as_ref().map_or(root, AsFd::as_fd), file, flags, Mode::empty()) {
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
