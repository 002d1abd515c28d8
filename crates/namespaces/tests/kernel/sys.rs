//! Both: what the tests need and has no safe form.

use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nsinit_namespaces::{CloneRequest, Error, Process};
use rustix::io::Errno;
use rustix::process::Pid;

/// Set in a child that must not allocate; it has its own copy.
static QUIET: AtomicBool = AtomicBool::new(false);

/// The status of a child that allocated all the same.
pub(crate) const ALLOCATED: i32 = 99;

struct Guard;

#[global_allocator]
static GUARD: Guard = Guard;

// SAFETY: every call goes to the system's allocator as it came, or ends the
// process.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        refuse_if_quiet();
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        refuse_if_quiet();
        // SAFETY: `pointer` came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn refuse_if_quiet() {
    if QUIET.load(Relaxed) {
        exit(ALLOCATED);
    }
}

/// A clone whose child does as it likes: a copy of a process with one thread
/// has no locks that another thread held.
pub(crate) fn child(
    request: &CloneRequest<'_>,
    body: impl FnOnce() -> i32,
) -> Result<Process, Error> {
    assert_eq!(std::fs::read_dir("/proc/self/task").unwrap().count(), 1, "one thread");
    let body = || {
        die_with_parent();
        body()
    };
    // SAFETY: the process has one thread, so that the child is as good as the
    // parent; it never returns, also by panic.
    unsafe { nsinit_namespaces::clone(request, || run_to_the_end(body)) }
}

/// A scenario that fails leaves no process behind, which would also keep its
/// standard error open. Another root's user id clears this (prctl(2)).
pub(crate) fn die_with_parent() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
}

/// A clone whose child may not allocate, in a process with any threads.
pub(crate) fn quiet_child(
    request: &CloneRequest<'_>,
    body: impl FnOnce() -> i32,
) -> Result<Process, Error> {
    let quiet_body = || {
        QUIET.store(true, Relaxed);
        exit(body())
    };
    // SAFETY: the allocator ends a child that calls it; the bodies given here
    // make system calls only.
    unsafe { nsinit_namespaces::clone(request, quiet_body) }
}

/// Lets `body` panic in the child.
pub(crate) fn panicking_child() -> Result<Process, Error> {
    // SAFETY: as in `child`, which the callers' scenario makes sure of.
    unsafe { nsinit_namespaces::clone(&CloneRequest::default(), || panic!("on purpose")) }
}

/// `fork_in_child`, in a child with one thread.
pub(crate) fn fork() -> Result<Option<Pid>, Errno> {
    // SAFETY: called in a child of `child` or `quiet_child` only.
    unsafe {
        nsinit_namespaces::fork_in_child(nsinit_namespaces::Kinship::Child)
            .map(|fork| fork.map(|(pid, _)| pid))
    }
}

fn run_to_the_end(body: impl FnOnce() -> i32) -> Infallible {
    exit(catch_unwind(AssertUnwindSafe(body)).unwrap_or(101))
}

pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: it ends the process.
    unsafe { libc::_exit(code) }
}

pub(crate) fn ignore_sigchld() {
    // SAFETY: SIG_IGN is a valid action.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// The other way to lose the status of children: `SA_NOCLDWAIT`.
pub(crate) fn children_are_no_zombies() {
    // SAFETY: all zeroes is a valid action: the default one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_flags = libc::SA_NOCLDWAIT;
    // SAFETY: `action` outlives the call.
    unsafe { libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()) };
}

pub(crate) fn handle_sigusr1() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGUSR1, handler) };
}

pub(crate) fn block_sigusr2() {
    // SAFETY: all zeroes is a valid set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a set, and the signal exists.
    unsafe { libc::sigaddset(&mut set, libc::SIGUSR2) };
    // SAFETY: `set` outlives the call.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
}

/// Lets clone3 answer ENOSYS from now on, as the filters of container engines
/// did for years.
pub(crate) fn forbid_clone3() {
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let mut program = [
        statement(load, 0, 0, 0),
        statement(equal, 0, 1, libc::SYS_clone3 as u32),
        statement(answer, 0, 0, enosys),
        statement(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: the call takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: `filter` and its four statements outlive the call.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) };
    assert_eq!(set, 0);
}

/// setgid(2) to what it is, for all threads.
pub(crate) fn set_own_gid() {
    // SAFETY: takes nothing.
    let gid = unsafe { libc::getgid() };
    // SAFETY: takes a number.
    assert_eq!(unsafe { libc::setgid(gid) }, 0);
}
