//! Child: flags and propagation of mounts, in one call or, before Linux 5.12, by a
//! walk over the mounts that keeps every flag that is already set.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags};

use crate::Child;
use crate::child::MountSetattr;
use crate::mountinfo::{Ids, Lines, mount_id, unescape};
use crate::procfs::FdPath;
use crate::sys::{self, Depth};

/// What is to be set (`MOUNT_ATTR_*`), cleared, and where events flow (`MS_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
}

pub(crate) const READ_ONLY: Attributes =
    Attributes { set: libc::MOUNT_ATTR_RDONLY, clear: 0, propagation: 0 };

/// Attaches a detached tree to `to`. The tree has its attributes before anybody can
/// see it where the kernel can do that, and directly afterwards otherwise.
pub(crate) fn attach(
    child: &Child,
    tree: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    depth: Depth,
    attributes: Attributes,
) -> Result<(), Errno> {
    let nothing = attributes == Attributes::default();
    if !nothing && child.kernel.mount_setattr == MountSetattr::Present {
        set(child, tree, depth, attributes)?;
    }
    move_mount(tree, to)?;
    if !nothing && child.kernel.mount_setattr == MountSetattr::Missing {
        set(child, tree, depth, attributes)?;
    }
    Ok(())
}

/// Moves a detached mount onto a file or a directory, both given by descriptor.
pub(crate) fn move_mount(tree: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", to, c"", flags)
}

/// Sets attributes of the mount whose root `mount` is. Where `mount_setattr(2)` is
/// missing the mount has to be attached already.
pub(crate) fn set(
    child: &Child,
    mount: BorrowedFd<'_>,
    depth: Depth,
    attributes: Attributes,
) -> Result<(), Errno> {
    let Attributes { set, clear, propagation } = attributes;
    match child.kernel.mount_setattr {
        MountSetattr::Present => sys::mount_setattr(mount, depth, set, clear, propagation),
        MountSetattr::Missing => set_by_remounting(child, mount, depth, attributes),
    }
}

/// Apart from the way that is taken: its buffers would cost every call a page fault each.
#[inline(never)]
fn set_by_remounting(
    child: &Child,
    mount: BorrowedFd<'_>,
    depth: Depth,
    attributes: Attributes,
) -> Result<(), Errno> {
    let Attributes { set, clear, propagation } = attributes;
    let proc = child.proc().ok_or(Errno::BADF)?;
    if propagation != 0 {
        change_propagation(proc, mount, depth, propagation)?;
    }
    if set | clear == 0 {
        return Ok(());
    }
    remount(proc, mount, attributes)?;
    match depth {
        Depth::Top => Ok(()),
        Depth::Tree => remount_below(child, proc, mount, attributes),
    }
}

fn change_propagation(
    proc: BorrowedFd<'_>,
    mount: BorrowedFd<'_>,
    depth: Depth,
    propagation: u64,
) -> Result<(), Errno> {
    let mut flags = match propagation {
        libc::MS_PRIVATE => MountPropagationFlags::PRIVATE,
        libc::MS_SLAVE => MountPropagationFlags::DOWNSTREAM,
        libc::MS_SHARED => MountPropagationFlags::SHARED,
        libc::MS_UNBINDABLE => MountPropagationFlags::UNBINDABLE,
        _ => return Err(Errno::INVAL),
    };
    if depth == Depth::Tree {
        flags |= MountPropagationFlags::REC;
    }
    rustix::process::fchdir(proc)?;
    rustix::mount::mount_change(FdPath::of(mount).as_c_str()?, flags)
}

/// One remount. Flags that are set stay set: in a user namespace some of them are
/// locked, and dropping one would be refused.
fn remount(
    proc: BorrowedFd<'_>,
    mount: BorrowedFd<'_>,
    attributes: Attributes,
) -> Result<(), Errno> {
    let now = rustix::fs::fstatvfs(mount)?.f_flag;
    let mut flags = MountFlags::BIND;
    for (seen, attribute, flag) in [
        (StatVfsMountFlags::RDONLY, libc::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOSUID, libc::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, libc::MOUNT_ATTR_NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, libc::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NODIRATIME, libc::MOUNT_ATTR_NODIRATIME, MountFlags::NODIRATIME),
    ] {
        let keep = now.contains(seen) && attributes.clear & attribute == 0;
        flags.set(flag, keep || attributes.set & attribute != 0);
    }
    flags |= if attributes.clear & libc::MOUNT_ATTR__ATIME != 0 {
        match attributes.set & libc::MOUNT_ATTR__ATIME {
            libc::MOUNT_ATTR_NOATIME => MountFlags::NOATIME,
            libc::MOUNT_ATTR_STRICTATIME => MountFlags::STRICTATIME,
            _ => MountFlags::RELATIME,
        }
    } else if now.contains(StatVfsMountFlags::NOATIME) {
        MountFlags::NOATIME
    } else if now.contains(StatVfsMountFlags::RELATIME) {
        MountFlags::RELATIME
    } else {
        MountFlags::STRICTATIME
    };
    rustix::process::fchdir(proc)?;
    rustix::mount::mount_remount(FdPath::of(mount).as_c_str()?, flags, c"")
}

fn remount_below(
    child: &Child,
    proc: BorrowedFd<'_>,
    mount: BorrowedFd<'_>,
    attributes: Attributes,
) -> Result<(), Errno> {
    let top = mount_id(mount)?;
    let tree = Ids::below(proc, top)?;
    let root = child.root.as_ref().map_or(mount, AsFd::as_fd);
    let mut lines = Lines::open(proc)?;
    let mut path = [0; libc::PATH_MAX as usize];
    while let Some(entry) = lines.next()? {
        if entry.id == top || !tree.contains(entry.id) {
            continue;
        }
        let id = entry.id;
        let path = unescape(entry.point, &mut path).ok_or(Errno::NAMETOOLONG)?;
        let found = open_mount(root, path)?;
        if mount_id(found.as_fd())? == id {
            remount(proc, found.as_fd(), attributes)?;
        } else if !has_mount_on_itself(proc, id)? {
            return Err(Errno::STALE);
        }
    }
    Ok(())
}

/// A mount with another one on its very root can be reached by no path.
fn has_mount_on_itself(proc: BorrowedFd<'_>, id: u64) -> Result<bool, Errno> {
    let mut point = [0; libc::PATH_MAX as usize];
    let mut length = None;
    let mut lines = Lines::open(proc)?;
    while let Some(entry) = lines.next()? {
        if entry.id == id {
            length = unescape(entry.point, &mut point).map(<[u8]>::len);
        }
    }
    let Some(length) = length else { return Ok(false) };
    let mut other = [0; libc::PATH_MAX as usize];
    let mut lines = Lines::open(proc)?;
    while let Some(entry) = lines.next()? {
        if entry.parent == id && unescape(entry.point, &mut other) == Some(&point[..length]) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens a mount point of the list below the root of the container, which stands
/// over `/`: its paths in the list are those that the container will see.
fn open_mount(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = rustix::fs::openat(root, c".", flags, Mode::empty())?;
    let mut name = [0; 256];
    for part in path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
        name.get_mut(..part.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(part);
        *name.get_mut(part.len()).ok_or(Errno::NAMETOOLONG)? = 0;
        let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno::INVAL)?;
        here = rustix::fs::openat(&here, name, flags, Mode::empty())?;
    }
    Ok(here)
}
