//! Both: a process that is born in a cgroup.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::process::Pid;

/// `struct clone_args`, clone(2).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// A child that waits for a signal.
pub(crate) fn clone_into(cgroup: BorrowedFd<'_>) -> Pid {
    let args = CloneArgs {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArgs::default()
    };
    // SAFETY: `args` is a whole `struct clone_args` that asks for a copy of this
    // process with its own memory; the child makes two system calls and ends.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    if pid == 0 {
        // SAFETY: pause(2) has no argument and is async-signal-safe.
        unsafe { libc::pause() };
        // SAFETY: _exit(2) runs nothing of this process and does not return.
        unsafe { libc::_exit(0) };
    }
    assert!(pid > 0, "clone3: {}", std::io::Error::last_os_error());
    Pid::from_raw(pid as i32).expect("a process number")
}
