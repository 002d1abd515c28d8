//! Both: the system calls that rustix does not have.

use rustix::io::Errno;

/// setgroups(2) for the calling thread alone, without the C library's lock and signals.
pub(crate) fn setgroups(groups: &[u32]) -> Result<(), Errno> {
    // On these the plain number is the old call with ids of 16 bits.
    #[cfg(any(target_arch = "x86", target_arch = "arm", target_arch = "sparc"))]
    const NUMBER: libc::c_long = libc::SYS_setgroups32;
    #[cfg(not(any(target_arch = "x86", target_arch = "arm", target_arch = "sparc")))]
    const NUMBER: libc::c_long = libc::SYS_setgroups;
    // SAFETY: the kernel reads exactly `len` ids of 32 bits from the slice, and keeps no pointer.
    let returned = unsafe { libc::syscall(NUMBER, groups.len(), groups.as_ptr()) };
    result(returned)
}

/// keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL): a new anonymous session keyring.
pub(crate) fn join_new_session_keyring() -> Result<(), Errno> {
    let no_name: *const libc::c_char = core::ptr::null();
    // SAFETY: the only pointer is the name, for which NULL is defined (keyctl(2)).
    let returned =
        unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, no_name) };
    result(returned)
}

fn result(returned: libc::c_long) -> Result<(), Errno> {
    if returned >= 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

/// A mount namespace for the calling thread, which then may cover what it likes.
#[cfg(test)]
pub(crate) fn unshare_mounts() -> Result<(), Errno> {
    // SAFETY: the call takes a number; descriptors stay shared with the other threads.
    result(unsafe { libc::c_long::from(libc::unshare(libc::CLONE_NEWNS)) })
}
