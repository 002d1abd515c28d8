//! Parent: the entry point.
//!
//! The standard library's own reads `/proc/self/maps` to guard the stack of a thread
//! that overflows, which costs every start more than reading the command line does
//! (docs/performance.md). What it does besides is done here.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

/// Called by the C library.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    if !open_standard_descriptors() {
        return 125;
    }
    // What is written to a closed pipe is an error like others.
    // SAFETY: no handler is installed, and there is one thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let argument = |index| -> OsString {
        // SAFETY: the C library passes `count` pointers, which stay valid.
        let argument = unsafe { *arguments.wrapping_add(index) };
        // SAFETY: each leads to a string with a NUL at its end.
        OsStr::from_bytes(unsafe { CStr::from_ptr(argument) }.to_bytes()).to_owned()
    };
    let code = super::run((0..usize::try_from(count).unwrap_or(0)).map(argument).collect());
    // What was printed is written. The C library has nothing of ours to see to at its end, and
    // touches six pages.
    // SAFETY: nothing runs afterwards.
    unsafe { libc::_exit(code.into()) }
}

/// Opens `/dev/null` where the caller has closed standard input, output or error: else
/// the next file that is opened would be taken for it.
fn open_standard_descriptors() -> bool {
    // SAFETY: fcntl with F_GETFD has no memory preconditions.
    let is_open = |fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
    // SAFETY: the path is a string with a NUL at its end.
    let open = || unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
    (0..3).all(|fd| is_open(fd) || open() == fd)
}
