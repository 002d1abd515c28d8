//! Child: from a path below the root to a descriptor, and never out of the root.
//!
//! `openat2(2)` with `RESOLVE_IN_ROOT` lets the kernel resolve. Where an outer
//! filter refuses it, the path is walked component by component and a symbolic link
//! on it is an error. Missing mount points are always made by the walk, exclusively:
//! what a symbolic link points to is never created.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::child::Openat2;
use crate::place::Place;

/// `openat2(2)` gives EAGAIN when a rename or a mount anywhere on the host races
/// with a `..`: try again, but not for ever.
const ATTEMPTS: u32 = 128;

/// What has to be at a mount point, and what is made where it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// A directory (made with mode 0755).
    Directory,
    /// Anything but a directory or a symbolic link (made as a file, mode 0644).
    File,
}

/// Whether a symbolic link at the end of the path is followed (below the root).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    Yes,
    No,
}

/// Opens `place` below `root` with `O_PATH`.
///
/// ELOOP: a symbolic link stands there (or, in a walk, on the way).
pub(crate) fn open(
    root: BorrowedFd<'_>,
    place: &Place,
    follow: Follow,
    openat2: Openat2,
) -> Result<OwnedFd, Errno> {
    match openat2 {
        Openat2::Present => resolve(root, &place.whole, follow),
        Openat2::Missing => walk(root, place),
    }
}

fn resolve(root: BorrowedFd<'_>, path: &CStr, follow: Follow) -> Result<OwnedFd, Errno> {
    let flags = match follow {
        Follow::Yes => OFlags::PATH | OFlags::CLOEXEC,
        Follow::No => OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
    };
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 1..ATTEMPTS {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), how) {
            Err(Errno::AGAIN) => {}
            answer => return answer,
        }
    }
    rustix::fs::openat2(root, path, flags, Mode::empty(), how)
}

fn walk(root: BorrowedFd<'_>, place: &Place) -> Result<OwnedFd, Errno> {
    let mut here = None;
    for name in place.directories() {
        here = Some(enter(here.as_ref().map_or(root, AsFd::as_fd), name)?);
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let at = here.as_ref().map_or(root, AsFd::as_fd);
    let found = rustix::fs::openat(at, place.name(), flags, Mode::empty())?;
    match kind_of(found.as_fd())? {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(found),
    }
}

/// Opens the subdirectory `name`; O_PATH needs search permission only.
fn enter(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    match kind_of(found.as_fd())? {
        FileType::Directory => Ok(found),
        FileType::Symlink => Err(Errno::LOOP),
        _ => Err(Errno::NOTDIR),
    }
}

pub(crate) fn kind_of(file: BorrowedFd<'_>) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode))
}

/// Opens the mount point `place`, or makes it if it is missing.
pub(crate) fn mount_point(
    root: BorrowedFd<'_>,
    place: &Place,
    want: Want,
    openat2: Openat2,
) -> Result<OwnedFd, Errno> {
    let found = match open(root, place, Follow::No, openat2) {
        Err(Errno::NOENT) => return make(root, place, want),
        answer => answer?,
    };
    match (kind_of(found.as_fd())?, want) {
        (FileType::Symlink, _) => Err(Errno::LOOP),
        (FileType::Directory, Want::File) => Err(Errno::ISDIR),
        (FileType::Directory, Want::Directory) => Ok(found),
        (_, Want::Directory) => Err(Errno::NOTDIR),
        (_, Want::File) => Ok(found),
    }
}

fn make(root: BorrowedFd<'_>, place: &Place, want: Want) -> Result<OwnedFd, Errno> {
    let directory = parent(root, place)?;
    let at = directory.as_ref().map_or(root, AsFd::as_fd);
    match want {
        Want::Directory => enter_or_make(at, place.name()),
        Want::File => make_file(at, place.name(), Mode::from_raw_mode(0o644)),
    }
}

/// Makes an empty file that must not be there yet.
pub(crate) fn make_file(
    directory: BorrowedFd<'_>,
    name: &CStr,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, mode)
}

/// Opens the directory that holds `place`, making what is missing on the way.
/// `None`: it is `root` itself.
pub(crate) fn parent(root: BorrowedFd<'_>, place: &Place) -> Result<Option<OwnedFd>, Errno> {
    let mut here = None;
    for name in place.directories() {
        here = Some(enter_or_make(here.as_ref().map_or(root, AsFd::as_fd), name)?);
    }
    Ok(here)
}

fn enter_or_make(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    match enter(directory, name) {
        Err(Errno::NOENT) => {}
        answer => return answer,
    }
    rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(0o755))?;
    enter(directory, name)
}
