//! Child: writing files below a procfs that the caller holds open.
//!
//! Neither a symbolic link, nor a mount, nor another file system may be on the way: else a
//! container's image decides where a label or a parameter goes (CVE-2019-16884, CVE-2025-52881).

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, StatxFlags};
use rustix::io::{self, Errno};

/// Writes `value` by one write(2) to `path`, which passes no link at all.
pub(crate) fn write_parameter(
    proc: BorrowedFd<'_>,
    path: &CStr,
    value: &[u8],
) -> Result<(), Errno> {
    write_once(&open(proc, path, ResolveFlags::NO_SYMLINKS)?, value)
}

/// Writes `value` by one write(2) to `path`, which starts with `self` or `thread-self`.
pub(crate) fn write_own(proc: BorrowedFd<'_>, path: &CStr, value: &[u8]) -> Result<(), Errno> {
    write_once(&open_own(proc, path)?, value)
}

/// Opens `path`, which starts with `self` or `thread-self`, for writing.
pub(crate) fn open_own(proc: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    // These two are links of procfs itself; magic ones are still refused.
    open(proc, path, ResolveFlags::NO_MAGICLINKS)
}

/// The kernel acts on each write, so a part is a failure.
pub(crate) fn write_once(file: &OwnedFd, value: &[u8]) -> Result<(), Errno> {
    let written = loop {
        match io::write(file, value) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    if written == value.len() { Ok(()) } else { Err(Errno::IO) }
}

const FLAGS: OFlags = OFlags::WRONLY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

fn open(proc: BorrowedFd<'_>, path: &CStr, links: ResolveFlags) -> Result<OwnedFd, Errno> {
    if fs::fstatfs(proc)?.f_type != PROC_SUPER_MAGIC {
        return Err(Errno::XDEV);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | links;
    match fs::openat2(proc, path, FLAGS, Mode::empty(), resolve) {
        // What the filter of an outer container says about a call that it does not know.
        Err(Errno::NOSYS | Errno::PERM) => walk(proc, path, links),
        result => result,
    }
}

/// What openat2(2) does, element by element.
fn walk(proc: BorrowedFd<'_>, path: &CStr, links: ResolveFlags) -> Result<OwnedFd, Errno> {
    const DIRECTORY: OFlags =
        OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
    let mount = mount_of(proc)?;
    let mut path = path.to_bytes();
    let (mut own, mut directory) = ([0u8; 64], None);
    if !links.contains(ResolveFlags::NO_SYMLINKS) {
        let (first, rest) = split(path);
        let length = fs::readlinkat_raw(proc, element(first)?.name(), &mut own[..])?;
        // `PID` or `PID/task/TID`, of the pid namespace of this procfs.
        for number in own[..length].split(|byte| *byte == b'/') {
            directory = Some(step(directory.as_ref(), proc, number, DIRECTORY, mount)?);
        }
        path = rest;
    }
    loop {
        let (first, rest) = split(path);
        if rest.is_empty() {
            return step(directory.as_ref(), proc, first, FLAGS.union(OFlags::NONBLOCK), mount);
        }
        directory = Some(step(directory.as_ref(), proc, first, DIRECTORY, mount)?);
        path = rest;
    }
}

fn step(
    directory: Option<&OwnedFd>,
    proc: BorrowedFd<'_>,
    name: &[u8],
    flags: OFlags,
    mount: (u64, u64),
) -> Result<OwnedFd, Errno> {
    if matches!(name, b"" | b"." | b"..") {
        return Err(Errno::XDEV);
    }
    let directory = directory.map_or(proc, AsFd::as_fd);
    let file = fs::openat(directory, element(name)?.name(), flags, Mode::empty())?;
    if mount_of(file.as_fd())? == mount { Ok(file) } else { Err(Errno::XDEV) }
}

/// The device and, from Linux 5.8 on, the mount that a file was reached by.
fn mount_of(file: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    let device = fs::fstat(file)?.st_dev;
    match fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
        Ok(statx) if statx.stx_mask & StatxFlags::MNT_ID.bits() != 0 => {
            Ok((device, statx.stx_mnt_id))
        }
        Ok(_) | Err(Errno::NOSYS | Errno::PERM) => Ok((device, 0)),
        Err(errno) => Err(errno),
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (path, b""),
    }
}

/// One element of a path with the NUL that the kernel wants, without the heap.
struct Element([u8; 256]);

fn element(name: &[u8]) -> Result<Element, Errno> {
    let mut element = Element([0; 256]);
    element.0[..255].get_mut(..name.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(name);
    Ok(element)
}

impl Element {
    fn name(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    type Open = fn(BorrowedFd<'_>, &CStr, ResolveFlags) -> Result<OwnedFd, Errno>;
    const BOTH: [Open; 2] = [open, walk];

    fn inode(file: OwnedFd) -> u64 {
        File::from(file).metadata().unwrap().ino()
    }

    #[test]
    fn own_files_are_found_with_and_without_openat2() {
        let proc = File::open("/proc").unwrap();
        let wanted = std::fs::metadata("/proc/thread-self/comm").unwrap().ino();
        for open in BOTH {
            let links = ResolveFlags::NO_MAGICLINKS;
            let file = open(proc.as_fd(), c"thread-self/comm", links).unwrap();
            assert_eq!(inode(file), wanted);
            assert!(open(proc.as_fd(), c"self/comm", links).is_ok());
        }
    }

    #[test]
    fn links_and_dots_are_refused_with_and_without_openat2() {
        let proc = File::open("/proc").unwrap();
        for open in BOTH {
            let refused = |path, links| open(proc.as_fd(), path, links).map(inode).unwrap_err();
            refused(c"self/comm", ResolveFlags::NO_SYMLINKS);
            refused(c"net/dev", ResolveFlags::NO_SYMLINKS);
            refused(c"self/root/etc", ResolveFlags::NO_MAGICLINKS);
            refused(c"self/cwd/x", ResolveFlags::NO_MAGICLINKS);
            refused(c"sys/../../etc/passwd", ResolveFlags::NO_SYMLINKS);
            refused(c"/etc/passwd", ResolveFlags::NO_SYMLINKS);
        }
    }

    #[test]
    fn the_walk_goes_down_only() {
        let proc = File::open("/proc").unwrap();
        let path = c"sys/../sys/kernel/msgmax";
        let errno = walk(proc.as_fd(), path, ResolveFlags::NO_SYMLINKS).unwrap_err();
        assert_eq!(errno, Errno::XDEV);
    }

    #[test]
    fn another_file_system_is_refused() {
        let root = File::open("/").unwrap();
        let errno = open(root.as_fd(), c"proc/self/comm", ResolveFlags::NO_MAGICLINKS).unwrap_err();
        assert_eq!(errno, Errno::XDEV);
        let errno = walk(root.as_fd(), c"proc/uptime", ResolveFlags::NO_SYMLINKS).unwrap_err();
        assert_eq!(errno, Errno::XDEV);
    }

    #[test]
    fn a_mount_on_the_way_is_refused_with_and_without_openat2() {
        use rustix::mount::{MountPropagationFlags as Propagation, mount_bind, mount_change};
        if crate::sys::unshare_mounts().is_err() {
            let reason = "needs root: mounts over a file of /proc";
            assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none_or(|v| v != "1"), "{reason}");
            eprintln!("SKIPPED: {reason}");
            return;
        }
        mount_change("/", Propagation::PRIVATE | Propagation::REC).unwrap();
        let proc = File::open("/proc").unwrap();
        for open in BOTH {
            assert!(open(proc.as_fd(), c"sys/kernel/msgmax", ResolveFlags::NO_SYMLINKS).is_ok());
        }
        mount_bind("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/msgmax").unwrap();
        for open in BOTH {
            let result = open(proc.as_fd(), c"sys/kernel/msgmax", ResolveFlags::NO_SYMLINKS);
            assert_eq!(result.unwrap_err(), Errno::XDEV);
        }
    }
}
