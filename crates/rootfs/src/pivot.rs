//! Child: the root filesystem becomes `/`, and the host is gone.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

use crate::mountinfo::{Ids, Lines, mount_id, unescape};
use crate::procfs::FdPath;
use crate::{Child, Pivot};

impl Pivot {
    /// Afterwards the table holds the detached procfs and the console, no directory.
    pub(crate) fn apply(self, child: &mut Child) -> Result<(), Errno> {
        match self {
            Pivot::PivotRoot => swap(child)?,
            Pivot::MoveMount => shut_in(child)?,
        }
        chdir(c"/")?;
        (child.root, child.dev, child.scratch, child.null) = (None, None, None, None);
        if let Some(umask) = child.umask.take() {
            rustix::process::umask(umask);
        }
        Ok(())
    }
}

/// The old root goes onto a directory of the scratch tmpfs, which stands over the new
/// one, so that no directory of the image has to hold it (pivot_root(2), Notes), and
/// goes with it, as the procfs does: each detaching, and each closing of a mount that is
/// attached nowhere, waits for an RCU grace period.
fn swap(child: &Child) -> Result<(), Errno> {
    let (root, scratch) = (child.root()?, child.scratch()?);
    let proc = child.proc().ok_or(Errno::BADF)?;
    let host = open_here(scratch, c"host")?;
    fchdir(proc)?;
    pivot_root(FdPath::of(root).as_c_str()?, FdPath::of(host.as_fd()).as_c_str()?)?;
    rustix::mount::unmount(FdPath::of(scratch).as_c_str()?, UnmountFlags::DETACH)?;
    // Where something is left over the root, the step upwards lands on it.
    let top = open_here(CWD, c"/..")?;
    if mount_id(top.as_fd())? == mount_id(root)? { Ok(()) } else { Err(Errno::BUSY) }
}

fn open_here(directory: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

/// The root already stands over `/`, as after `MS_MOVE`: leaving the chroot by `..`
/// leads back to it, when the scratch tmpfs over it has gone. Below it only the ramdisk itself remains, for a full procfs or
/// sysfs down there would be another way to the host.
///
/// Never inline: its buffers would cost every pivot a page fault each.
#[inline(never)]
fn shut_in(child: &Child) -> Result<(), Errno> {
    let root = child.root()?;
    let proc = child.proc().ok_or(Errno::BADF)?;
    fchdir(root)?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
    detach_host(proc, root)?;
    fchdir(root)?;
    chroot(c".")
}

/// Detaches what is mounted on the host's root; what the kernel has locked (in a
/// user namespace) and is a procfs or sysfs gets an empty tmpfs over it.
fn detach_host(proc: BorrowedFd<'_>, root: BorrowedFd<'_>) -> Result<(), Errno> {
    let container = Ids::below(proc, mount_id(root)?)?;
    let host = mount_id(open_here(CWD, c"/")?.as_fd())?;
    let mut locked = Ids::new();
    let mut path = [0; libc::PATH_MAX as usize];
    while let Some(next) = next_of_host(proc, host, [&container, &locked], &mut path)? {
        let point = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::INVAL)?;
        match rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => continue,
            Err(Errno::INVAL | Errno::PERM) => locked.insert(next.id)?,
            Err(errno) => return Err(errno),
        }
        if next.reveals {
            let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
            rustix::mount::mount(c"tmpfs", point, c"tmpfs", flags, c"nr_inodes=2")?;
        }
    }
    Ok(())
}

struct Next {
    id: u64,
    /// It is a procfs or a sysfs.
    reveals: bool,
}

/// Finds a mount of the host that is still to be dealt with; its path goes to `path`.
/// Mounts at `/` are the host's root and the stack over it.
fn next_of_host(
    proc: BorrowedFd<'_>,
    host: u64,
    passed: [&Ids; 2],
    path: &mut [u8],
) -> Result<Option<Next>, Errno> {
    let mut lines = Lines::open(proc)?;
    while let Some(entry) = lines.next()? {
        let reveals = entry.filesystem == b"proc" || entry.filesystem == b"sysfs";
        let concerns = entry.point != b"/" && (entry.parent == host || reveals);
        if concerns && passed.iter().all(|ids| !ids.contains(entry.id)) {
            unescape(entry.point, path).ok_or(Errno::NAMETOOLONG)?;
            return Ok(Some(Next { id: entry.id, reveals }));
        }
    }
    Ok(None)
}
