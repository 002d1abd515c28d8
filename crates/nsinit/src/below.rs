//! Parent: a file of a container by its path there, which leads below the container's root
//! and nowhere else.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

/// Opens it; links are followed as in the container, but for magic ones.
pub(crate) fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    /// A rename anywhere on the host may race with a `..`.
    const ATTEMPTS: usize = 16;
    let flags = flags | OFlags::CLOEXEC;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let open = || openat2(root, path, flags, Mode::empty(), how);
    let raced = |answer: &Result<_, Errno>| matches!(answer, Err(Errno::AGAIN));
    match (1..ATTEMPTS).map(|_| open()).find(|answer| !raced(answer)).unwrap_or_else(open) {
        // An outer container's filter does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => walk(root, path, flags),
        answer => answer,
    }
}

/// The same by hand: every step is taken from a directory that is held, and back to one
/// that was. Nothing that is renamed or replaced meanwhile leads out.
fn walk(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    /// As many links as the kernel follows.
    const LINKS: usize = 40;
    let (mut held, mut links): (Vec<OwnedFd>, usize) = (Vec::new(), 0);
    let mut rest = names(path);
    while let Some(name) = rest.pop() {
        if name == ".." {
            held.pop();
            continue;
        }
        let here = held.last().map_or(root, AsFd::as_fd);
        let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = openat(here, &name, look, Mode::empty())?;
        let is_link = FileType::from_raw_mode(fstat(&found)?.st_mode) == FileType::Symlink;
        if is_link && !(rest.is_empty() && flags.contains(OFlags::NOFOLLOW)) {
            links += 1;
            if links > LINKS {
                return Err(Errno::LOOP);
            }
            let target = OsString::from_vec(readlinkat(&found, "", Vec::new())?.into_bytes());
            if Path::new(&target).is_absolute() {
                held.clear();
            }
            rest.extend(names(Path::new(&target)));
        } else if rest.is_empty() {
            return openat(here, &name, flags | OFlags::NOFOLLOW, Mode::empty());
        } else {
            held.push(found);
        }
    }
    openat(held.last().map_or(root, AsFd::as_fd), ".", flags, Mode::empty())
}

/// The names on a path, the first one last.
fn names(path: &Path) -> Vec<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_lead_below_the_root_with_and_without_openat2() {
        let base = std::env::temp_dir().join(format!("nsinit-below-{}", std::process::id()));
        let root = base.join("root");
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(root.join("file"), "inside").unwrap();
        fs::write(base.join("file"), "outside").unwrap();
        fs::write(root.join("usr/bin/tool"), "tool").unwrap();
        for (link, target) in [
            ("bin", "usr/bin"),
            ("absolute", "/usr/bin/tool"),
            ("climbs", "../../../file"),
            ("usr/up", "../bin/../../file"),
            ("loop", "loop"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let top = File::open(&root).unwrap();
        let read = |file: OwnedFd| {
            let mut text = String::new();
            File::from(file).read_to_string(&mut text).unwrap();
            text
        };
        for open in [open, walk] {
            let open = |path: &str, flags| open(top.as_fd(), Path::new(path), flags);
            for (path, text) in [
                ("/file", "inside"),
                ("bin/tool", "tool"),
                ("/absolute", "tool"),
                ("climbs", "inside"),
                ("/usr/up", "inside"),
                ("../../file", "inside"),
            ] {
                assert_eq!(open(path, OFlags::RDONLY).map(read), Ok(text.to_owned()), "{path}");
            }
            for (path, flags, errno) in [
                ("loop", OFlags::RDONLY, Errno::LOOP),
                ("nowhere", OFlags::RDONLY, Errno::NOENT),
                ("file/x", OFlags::RDONLY, Errno::NOTDIR),
                ("absolute", OFlags::RDONLY | OFlags::NOFOLLOW, Errno::LOOP),
                ("bin/tool", OFlags::RDONLY | OFlags::DIRECTORY, Errno::NOTDIR),
            ] {
                assert_eq!(open(path, flags).err(), Some(errno), "{path}");
            }
            let link = open("bin", OFlags::PATH | OFlags::NOFOLLOW).unwrap();
            assert_eq!(readlinkat(&link, "", Vec::new()).unwrap().as_bytes(), b"usr/bin");
            assert!(open("bin/..", OFlags::PATH | OFlags::DIRECTORY).is_ok());
            assert!(open("..", OFlags::PATH | OFlags::DIRECTORY).is_ok());
        }
        fs::remove_dir_all(&base).unwrap();
    }
}
