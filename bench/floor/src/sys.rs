//! Both: the entry point, and the system calls that have no safe form.

use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_long};

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::ThreadNameSpaceType;

use crate::{Failure, fail};

/// Called by the C library. Rust's own start would prepare for what does not happen here.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let argument = |index| {
        // SAFETY: the C library passes `count` pointers, which stay valid.
        let argument = unsafe { *arguments.wrapping_add(index) };
        // SAFETY: each leads to a string with a NUL at its end.
        unsafe { CStr::from_ptr(argument) }.to_owned()
    };
    crate::run((1..usize::try_from(count).unwrap_or(1)).map(argument).collect())
}

fn check(result: c_long) -> Result<c_long, Errno> {
    if result >= 0 {
        return Ok(result);
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// A copy of this process in new namespaces, which runs `child` (clone3(2)).
pub(crate) fn clone(
    namespaces: ThreadNameSpaceType,
    child: impl FnOnce() -> Result<Infallible, Failure>,
) -> Result<Pid, Errno> {
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
    let arguments =
        [u64::from(namespaces.bits()), 0, 0, 0, libc::SIGCHLD.unsigned_abs().into(), 0, 0, 0];
    // SAFETY: the structure of Linux 5.3; without CLONE_VM the child has its own memory,
    // and this process has one thread.
    let pid = check(unsafe {
        libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments))
    })?;
    if let Some(pid) = Pid::from_raw(i32::try_from(pid).unwrap_or(0)) {
        return Ok(pid);
    }
    let Err(failure) = child();
    let status = fail(&failure);
    // SAFETY: the copy ends here.
    unsafe { libc::_exit(status) }
}

/// Strings, and the NULL-terminated array of pointers to them that execve wants.
pub(crate) struct CArray {
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl CArray {
    pub(crate) fn new(strings: Vec<CString>) -> CArray {
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        CArray { _strings: strings, pointers }
    }
}

/// execve(2); returns only when it failed.
pub(crate) fn execve(path: &CStr, arguments: &CArray, environment: &CArray) -> Errno {
    let (arguments, environment) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
    // SAFETY: a string and two NULL-terminated arrays of strings, alive during the call.
    check(unsafe { libc::execve(path.as_ptr(), arguments, environment) }.into())
        .err()
        .unwrap_or(Errno::IO)
}

/// KEYCTL_JOIN_SESSION_KEYRING with an anonymous one (keyctl(2)).
pub(crate) fn join_new_session_keyring() -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::syscall(libc::SYS_keyctl, 1_i64, 0_i64) }).map(drop)
}
