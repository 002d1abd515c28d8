//! Child: the pseudo terminal of the container, from its own devpts.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use crate::Child;
use crate::attributes;
use crate::bind::copy;
use crate::filesystem;
use crate::mountinfo::mount_id;
use crate::resolve::make_file;
use crate::sys::Depth;

/// Magic number of devpts (statfs(2)).
const DEVPTS: i64 = 0x1cd1;
/// Inode of `ptmx` in every devpts, and device number of it (pts(4)).
const PTMX_INODE: u64 = 2;
const PTMX: (u32, u32) = (5, 2);
/// Major numbers of pseudo terminal slaves (`UNIX98_PTY_SLAVE_MAJOR`, eight of them).
const SLAVES: std::ops::RangeInclusive<u32> = 136..=143;

/// Opens a pseudo terminal of the new devpts and binds its slave on `/dev/console`.
#[derive(Debug)]
pub struct Console;

impl Console {
    pub(crate) fn apply(&self, child: &mut Child) -> Result<(), Errno> {
        let dev = child.dev()?;
        let (master, slave) = open_terminal(open_directory(dev, c"pts")?.as_fd())?;
        let tree = copy(slave.as_fd(), Depth::Top)?;
        let point = make_file(dev, c"console", Mode::from_raw_mode(0o600))?;
        attributes::move_mount(tree.as_fd(), point.as_fd())?;
        (child.console, child.slave) = (Some(master), Some(slave));
        Ok(())
    }
}

/// For a process that joins a container: a new pseudo terminal of the devpts on
/// `dev/pts` below `root` (the container's `/`, opened after setns(2)). Returns
/// master and slave, both close-on-exec. Child side: allocates nothing.
///
/// Nothing but the kernel's own multiplexer is ever opened, whatever the container
/// has put on the way: symbolic links are refused, the directory must be the root of
/// a devpts, and `ptmx` is opened from it without crossing a mount.
///
/// # Errors
/// `ENODEV`: there is no devpts, or its ptmx is not the kernel's; `ELOOP`, `ENOTDIR`:
/// a symbolic link is on the way; `EXDEV`: something is mounted over ptmx.
pub fn open_terminal_in(root: BorrowedFd<'_>) -> Result<(OwnedFd, OwnedFd), Errno> {
    let dev = open_directory(root, c"dev")?;
    open_terminal(open_directory(dev.as_fd(), c"pts")?.as_fd())
}

fn open_directory(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn open_terminal(devpts: BorrowedFd<'_>) -> Result<(OwnedFd, OwnedFd), Errno> {
    let root_inode = 1;
    if filesystem::magic(devpts)? != DEVPTS || rustix::fs::fstat(devpts)?.st_ino != root_inode {
        return Err(Errno::NODEV);
    }
    let master = open_ptmx(devpts)?;
    unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    let stat = rustix::fs::fstat(&slave)?;
    let known = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && SLAVES.contains(&rustix::fs::major(stat.st_rdev))
        && filesystem::magic(slave.as_fd())? == DEVPTS;
    if known { Ok((master, slave)) } else { Err(Errno::NODEV) }
}

/// Looks before opening for real: opening some devices has effects, and a FIFO hangs.
fn open_ptmx(devpts: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = open_here(devpts, look)?;
    verify_ptmx(found.as_fd())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let master = open_here(devpts, flags)?;
    verify_ptmx(master.as_fd())?;
    Ok(master)
}

/// Nobody can rename or make files in a devpts; a mount over ptmx is all that could
/// stand there, and is not crossed.
fn open_here(devpts: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(devpts, c"ptmx", flags, Mode::empty(), how) {
        Err(Errno::NOSYS | Errno::PERM) => {}
        answer => return answer,
    }
    let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = rustix::fs::openat(devpts, c"ptmx", look, Mode::empty())?;
    if mount_id(found.as_fd())? != mount_id(devpts)? {
        return Err(Errno::XDEV);
    }
    rustix::fs::openat(devpts, c"ptmx", flags, Mode::empty())
}

fn verify_ptmx(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(file)?;
    let known = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == rustix::fs::makedev(PTMX.0, PTMX.1)
        && stat.st_ino == PTMX_INODE
        && filesystem::magic(file)? == DEVPTS;
    if known { Ok(()) } else { Err(Errno::NODEV) }
}
