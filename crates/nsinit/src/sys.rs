//! Child: the system calls that rustix lacks, behind safe signatures.
//!
//! Nothing here allocates after construction.

use std::ffi::{CStr, CString};
use std::sync::atomic::AtomicU64;

use libc::{c_char, c_int, c_void};
use nsinit_namespaces::Kinship;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::process::Pid;

fn errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

fn check(result: c_int) -> Result<c_int, Errno> {
    if result < 0 { Err(errno()) } else { Ok(result) }
}

/// Strings, and the NULL-terminated array of pointers to them that execve wants.
#[derive(Debug)]
pub(crate) struct CArray {
    strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl CArray {
    pub(crate) fn new(strings: Vec<CString>) -> CArray {
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        CArray { strings, pointers }
    }

    pub(crate) fn strings(&self) -> &[CString] {
        &self.strings
    }
}

impl Clone for CArray {
    fn clone(&self) -> CArray {
        CArray::new(self.strings.clone())
    }
}

// SAFETY: the pointers lead into `strings`, which the value owns and never changes.
unsafe impl Send for CArray {}
// SAFETY: as for Send; there is no interior mutability.
unsafe impl Sync for CArray {}

/// execve(2); returns only when it failed.
pub(crate) fn execve(path: &CStr, argv: &CArray, envp: &CArray) -> Errno {
    // SAFETY: all three are NUL-terminated strings or NULL-terminated arrays of
    // such strings, alive during the call.
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
    errno()
}

/// Ends this process without running exit handlers of the launcher's copy.
pub(crate) fn exit_immediately(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Gives every signal its default disposition, and unblocks all.
///
/// execve keeps ignored signals and the mask (signal(7)); the program is to
/// start with neither the launcher's nor its caller's.
pub(crate) fn reset_signals() -> Result<(), Errno> {
    // The kernel's structure: handler, flags, restorer, mask. All zeroes are SIG_DFL with
    // no flags and an empty mask. The raw call reaches the two signals that the C library
    // keeps for itself, too, which posix_spawn leaves ignored.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: `default` is as long as the kernel's structure; the old action is not
        // asked for. KILL and STOP cannot be changed and answer EINVAL.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<c_void>(),
                size_of::<u64>(),
            )
        };
    }
    set_mask(libc::SIG_SETMASK, Mask::Empty)
}

/// Which signals [`block_all`] and [`reset_signals`] talk about.
#[derive(Clone, Copy)]
enum Mask {
    Empty,
    Full,
}

fn set_mask(how: c_int, mask: Mask) -> Result<(), Errno> {
    // The kernel's mask is 64 bits; the raw call is used because the C library
    // keeps two signals out of reach.
    let bits: u64 = match mask {
        Mask::Empty => 0,
        Mask::Full => !0,
    };
    // SAFETY: `bits` is a mask of the size that is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            how,
            &raw const bits,
            std::ptr::null_mut::<c_void>(),
            size_of::<u64>(),
        )
    };
    check(result as c_int).map(drop)
}

/// Blocks every signal that can be blocked, for [`wait_for_signal`].
pub(crate) fn block_all() -> Result<(), Errno> {
    set_mask(libc::SIG_SETMASK, Mask::Full)
}

/// Waits for any signal: its number.
pub(crate) fn wait_for_signal() -> Result<c_int, Errno> {
    let all: u64 = !0;
    loop {
        // SAFETY: `all` is a mask of the size that is passed; no details and no time-out are asked.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigtimedwait,
                &raw const all,
                std::ptr::null_mut::<c_void>(),
                std::ptr::null::<c_void>(),
                size_of::<u64>(),
            )
        };
        match check(result as c_int) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// kill(2) with any signal number, real-time ones included.
pub(crate) fn kill(pid: Pid, signal: c_int) -> Result<(), Errno> {
    // SAFETY: kill has no memory preconditions.
    check(unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) }).map(drop)
}

/// A copy of init, `None` in the copy, else its pid and pidfd. Only for a process
/// between clone and execve.
pub(crate) fn fork(kinship: Kinship) -> Result<Option<(Pid, OwnedFd)>, Errno> {
    // SAFETY: init only makes system calls on prepared data, and so do its copies.
    unsafe { nsinit_namespaces::fork_in_child(kinship) }
}

/// A child that ended, as init sees it.
pub(crate) struct Ended {
    pub(crate) pid: i32,
    /// The exit code, or 128 + the signal.
    pub(crate) code: i32,
}

/// Reaps one child that has ended, if there is one.
pub(crate) fn reap() -> Option<Ended> {
    let mut status: c_int = 0;
    // SAFETY: `status` is a valid place for the result.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    if pid <= 0 {
        return None;
    }
    let code = if libc::WIFSIGNALED(status) {
        128 + libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    };
    Some(Ended { pid, code })
}

/// Closes every descriptor but standard input, output, error and those in `keep`, which
/// is sorted (close_range(2)).
pub(crate) fn close_all_but(keep: &[RawFd]) -> Result<(), Errno> {
    let mut first = 3;
    for fd in keep {
        // Not negative: it is open.
        let fd = *fd as u32;
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = first.max(fd + 1);
    }
    close_range(first, u32::MAX)
}

/// Closes every descriptor.
pub(crate) fn close_all() -> Result<(), Errno> {
    close_range(0, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: nothing in this process uses the descriptors any more: it is about to
    // call execve, or lives on as init without any.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    check(result as c_int).map(drop)
}

/// Makes `fd` the descriptor `target` (0, 1 or 2), not close-on-exec.
pub(crate) fn make_stdio(fd: BorrowedFd<'_>, target: c_int) -> Result<(), Errno> {
    // SAFETY: dup2 has no memory preconditions; 0, 1 and 2 are never owned here.
    check(unsafe { libc::dup2(fd.as_raw_fd(), target) })?;
    // dup2 of a descriptor onto itself keeps its close-on-exec flag.
    // SAFETY: fcntl with F_SETFD has no memory preconditions.
    check(unsafe { libc::fcntl(target, libc::F_SETFD, 0) }).map(drop)
}

/// Makes the terminal on standard input the controlling terminal of this session.
pub(crate) fn set_controlling_terminal() -> Result<(), Errno> {
    // SAFETY: TIOCSCTTY takes an integer.
    check(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }).map(drop)
}

/// Words in memory that stays shared across clone.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    start: *mut c_void,
    words: usize,
}

impl SharedMemory {
    pub(crate) fn new(words: usize) -> Result<SharedMemory, Errno> {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        let words = words.max(1);
        let length = words * size_of::<u64>();
        // SAFETY: a new anonymous mapping at a place of the kernel's choice.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
            )
        }?;
        Ok(SharedMemory { start, words })
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is that long, page-aligned, zeroed by the kernel, and
        // lives as long as `self`; both processes only access it atomically.
        unsafe { std::slice::from_raw_parts(self.start.cast::<AtomicU64>(), self.words) }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new`, and `words` borrows from `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start, self.words * size_of::<u64>()) };
        debug_assert!(unmapped.is_ok());
    }
}

// SAFETY: access goes through atomics only.
unsafe impl Send for SharedMemory {}
// SAFETY: access goes through atomics only.
unsafe impl Sync for SharedMemory {}

/// execveat(2) of an open file; returns only when it failed.
pub(crate) fn execveat(file: BorrowedFd<'_>, argv: &CArray, envp: &CArray) -> Errno {
    // SAFETY: as for `execve`; the path is empty, so that `file` is executed.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    errno()
}

/// mount_setattr(2): that mount becomes read-only.
pub(crate) fn make_mount_read_only(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: `attributes` is a valid structure of the size that is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    check(result as c_int).map(drop)
}
