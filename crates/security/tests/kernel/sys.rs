//! Both: the calls and the allocator that the tests of this directory need.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rustix::io::Errno;

struct Guard;

thread_local! {
    static FORBIDDEN: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Guard = Guard;

// SAFETY: everything is left to the system's allocator; the guard only ends the process.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if FORBIDDEN.get() {
            std::process::abort();
        }
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if FORBIDDEN.get() {
            std::process::abort();
        }
        // SAFETY: the block is from `alloc` above, which is `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Runs `child_side`; the process ends by SIGABRT if it allocates or frees.
pub(crate) fn without_allocation<T>(child_side: impl FnOnce() -> T) -> T {
    FORBIDDEN.set(true);
    let result = child_side();
    FORBIDDEN.set(false);
    result
}

/// The serial number of the session keyring.
pub(crate) fn session_keyring() -> i64 {
    const DO_NOT_CREATE: libc::c_long = 0;
    // SAFETY: the call takes three numbers.
    let id = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_GET_KEYRING_ID,
            libc::KEY_SPEC_SESSION_KEYRING,
            DO_NOT_CREATE,
        )
    };
    #[expect(clippy::useless_conversion, reason = "c_long has 32 bits elsewhere")]
    i64::from(id)
}

/// unshare(2) for the calling thread.
pub(crate) fn unshare(flags: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the call takes a number; CLONE_FILES is not among the flags of these tests.
    match unsafe { libc::unshare(flags) } {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}
