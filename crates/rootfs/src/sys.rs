//! Both: the one system call that rustix lacks, `mount_setattr(2)`.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// Whether the call is about the mount itself or about the whole tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Top,
    Tree,
}

/// Sets and clears attributes and the propagation type of the mount that `mount`
/// is the root of (`mount_setattr(2)`, kernel 5.12). `propagation` is one of
/// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE`, or 0 to leave it.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    depth: Depth,
    set: u64,
    clear: u64,
    propagation: u64,
) -> Result<(), Errno> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let flags = match depth {
        Depth::Top => libc::AT_EMPTY_PATH,
        Depth::Tree => libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
    };
    // SAFETY: the path is a static C string, `attributes` lives across the call and
    // the size passed is its own; the kernel only reads both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Whether the kernel has `mount_setattr(2)` and lets us call it: a call with a size
/// of zero does nothing and is answered with EINVAL.
pub(crate) fn mount_setattr_exists() -> bool {
    // SAFETY: the kernel refuses the size before it would read the null pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            -1,
            c"".as_ptr(),
            0,
            std::ptr::null::<libc::mount_attr>(),
            0usize,
        )
    };
    result == -1 && last_errno() == Errno::INVAL
}

/// The errno of the call that just returned -1. Allocates nothing.
fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
