//! Both: fork, unshare and what a child may do without the standard library.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

static IN_CHILD: AtomicBool = AtomicBool::new(false);

/// Ends a child that allocates: after fork only system calls are permitted.
struct Guard;

// SAFETY: everything is handed to the system's allocator.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IN_CHILD.load(Ordering::Relaxed) {
            exit(99)
        }
        // SAFETY: the caller keeps GlobalAlloc's contract, which is System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, hence from System.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GUARD: Guard = Guard;

pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process at once; no handler of the test harness runs.
    unsafe { libc::_exit(code) }
}

/// Forks; the child runs `act`, which makes system calls only, and ends with its code.
pub(crate) fn fork(act: impl FnOnce() -> i32) -> Result<rustix::process::Pid, Errno> {
    // SAFETY: the child allocates nothing (the guard above sees to it) and never returns.
    match unsafe { libc::fork() } {
        0 => {
            IN_CHILD.store(true, Ordering::Relaxed);
            exit(act())
        }
        pid => rustix::process::Pid::from_raw(pid).ok_or(Errno::AGAIN),
    }
}

pub(crate) fn unshare(flags: i32) -> Result<(), Errno> {
    // SAFETY: the caller is a single-threaded child; no descriptor table is unshared.
    match unsafe { libc::unshare(flags) } {
        0 => Ok(()),
        _ => Err(last()),
    }
}

pub(crate) fn become_user(id: u32) -> Result<(), Errno> {
    // SAFETY: raw system calls: libc's wrapper would signal threads that do not exist here.
    let ended = unsafe { libc::syscall(libc::SYS_setgroups, 0, 0) };
    // SAFETY: as above.
    let ended = ended | unsafe { libc::syscall(libc::SYS_setresgid, id, id, id) };
    // SAFETY: as above.
    let ended = ended | unsafe { libc::syscall(libc::SYS_setresuid, id, id, id) };
    // SAFETY: makes /proc/self writable by its owner again.
    let ended =
        ended | unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
    if ended == 0 { Ok(()) } else { Err(last()) }
}

/// A filter that answers ENOSYS to openat2 and mount_setattr, as an old kernel does.
pub(crate) fn old_kernel() -> Result<(), Errno> {
    let load = |k| libc::sock_filter { code: 0x20, jt: 0, jf: 0, k };
    let equal = |k, jt| libc::sock_filter { code: 0x15, jt, jf: 0, k };
    let answer = |k| libc::sock_filter { code: 0x06, jt: 0, jf: 0, k };
    let mut program = [
        load(0),
        equal(libc::SYS_openat2 as u32, 2),
        equal(libc::SYS_mount_setattr as u32, 1),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: no pointers.
    let ended = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: `filter` and `program` live across the call, and the kernel copies them.
    let loaded =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if ended == 0 && loaded == 0 { Ok(()) } else { Err(last()) }
}

/// How many descriptors would survive execve: those that the test was started with.
pub(crate) fn kept_by_exec() -> usize {
    let kept = |number: &i32| {
        // SAFETY: F_GETFD reads a flag; a number that is not open is answered with EBADF.
        let flags = unsafe { libc::fcntl(*number, libc::F_GETFD) };
        flags != -1 && flags & libc::FD_CLOEXEC == 0
    };
    (0..1024).filter(kept).count()
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
