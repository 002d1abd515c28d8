//! Both: the system calls that have no safe form.

use std::convert::Infallible;
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::mem::{MaybeUninit, forget};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use crate::program::Program;
use crate::{CloneRequest, Error, Process, denial};

// clone3's own flags (linux/sched.h); they do not fit libc's `c_int`.
const CLONE_PIDFD: u64 = 0x0000_1000;
const CLONE_PARENT: u64 = 0x0000_8000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Ioctl `NS_GET_NSTYPE` (ioctl_nsfs(2)): `_IO(0xb7, 3)`.
const NS_GET_NSTYPE: u64 = 0xb703;

/// The argument of clone3(2), with the fields of Linux 5.7 (88 bytes).
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

/// Makes a copy of the calling process, as fork(2) does, in the namespaces
/// and the cgroup of `request` (clone3(2)), and runs `child` in it.
///
/// In the parent it returns the child's [`Process`]. The signals that the
/// caller handles have their default action in the child (those it ignores
/// stay ignored), every signal is blocked there, and descriptors are copied.
/// All signals of the calling thread are blocked around the clone and
/// restored in the parent. If the caller ignores `SIGCHLD` (or has
/// `SA_NOCLDWAIT`) this is undone before the clone, for the whole process:
/// the kernel would throw the child's status away.
///
/// # Safety
/// The child is a copy with one thread of a process that may have had many,
/// so any lock may be held for ever, the allocator's too. `child`, and
/// whatever it owns, must only make system calls: no allocation and no
/// freeing, no locks, no output through std, no panic; nothing that relies on
/// the C library's idea of the calling thread. It leaves by execve(2) or
/// `_exit(2)`. What it does to shared objects (open files, shared memory) the
/// parent sees.
///
/// # Errors
/// [`Error::Denied`] with the cause as far as it can be found out,
/// [`Error::Unsupported`], [`Error::Clone`] for all else.
pub unsafe fn clone(
    request: &CloneRequest<'_>,
    child: impl FnOnce() -> Infallible,
) -> Result<Process, Error> {
    default_sigchld();
    let blocked = BlockedSignals::all();
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: u64::from(request.kinds.bits()) | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
        pidfd: ptr::from_mut(&mut pidfd).expose_provenance() as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if request.sibling {
        // The kernel wants no signal here: it takes the caller's own.
        args.flags |= CLONE_PARENT;
        args.exit_signal = 0;
    }
    if let Some(cgroup) = request.into_cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `pidfd` lives until the call returns, in parent and child; that
    // the child may run is the caller's promise.
    match unsafe { clone3(&mut args) } {
        Ok(None) => {
            forget(blocked);
            run_to_the_end(child)
        }
        Ok(Some(pid)) => {
            drop(blocked);
            // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor
            // there, which nothing else knows of.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Process::from_pidfd(pidfd, pid))
        }
        Err(errno) => {
            drop(blocked);
            Err(denial::of_clone(request, errno))
        }
    }
}

/// Whose child the copy made by [`fork_in_child()`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinship {
    /// The caller's, who waits for it.
    Child,
    /// The caller's parent's (`CLONE_PARENT`), who is sent the pidfd and waits.
    Sibling,
}

/// A plain copy of the calling process, `None` in the copy, else its pid (as
/// the caller's PID namespace has it) and a pidfd: for a process that has
/// entered the namespaces of a container and needs a process in its PID
/// namespace. Nothing is blocked, restored or explained here.
///
/// # Safety
/// As [`clone()`]'s for both processes: this is meant for a process that is
/// itself between clone and `execve`.
///
/// Made by clone(2): a filter of system calls that is in force already may refuse clone3(2).
///
/// # Errors
/// Errors of clone(2).
pub unsafe fn fork_in_child(kinship: Kinship) -> Result<Option<(Pid, OwnedFd)>, Errno> {
    let mut pidfd: c_int = -1;
    // A sibling ends with the signal that the caller ends with, and may not name one.
    let (kin, exit_signal) = match kinship {
        Kinship::Child => (0, libc::SIGCHLD),
        Kinship::Sibling => (libc::CLONE_PARENT, 0),
    };
    let flags = libc::c_long::from(kin | libc::CLONE_PIDFD | exit_signal);
    let (stack, stored_at) = (ptr::null_mut::<c_void>(), ptr::from_mut(&mut pidfd));
    // SAFETY: no stack is given, so that the child goes on with a copy of this one; `pidfd`
    // outlives the call; the rest is the caller's promise.
    #[cfg(not(target_arch = "s390x"))]
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, stack, stored_at, 0, 0) };
    // SAFETY: as above; the first two are the other way round there.
    #[cfg(target_arch = "s390x")]
    let pid = unsafe { libc::syscall(libc::SYS_clone, stack, flags, stored_at, 0, 0) };
    if pid < 0 {
        return Err(last_errno());
    }
    let Some(pid) = Pid::from_raw(pid as i32) else { return Ok(None) };
    // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor there,
    // which nothing else knows of.
    Ok(Some((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })))
}

/// `None` in the child.
///
/// # Safety
/// Pointers in `args` must be valid. Without `CLONE_VM`, which no caller
/// sets, the child has its own copy of the memory; what it may do there is
/// told at [`clone()`].
unsafe fn clone3(args: &mut CloneArgs) -> Result<Option<Pid>, Errno> {
    // SAFETY: `args` is as long as the size says; no stack is given, so the
    // child goes on with a copy of this one.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, ptr::from_mut(args), size_of::<CloneArgs>()) };
    if pid < 0 { Err(last_errno()) } else { Ok(Pid::from_raw(pid as i32)) }
}

/// `T` is uninhabited for whoever keeps the contract.
fn run_to_the_end<T>(child: impl FnOnce() -> T) -> ! {
    let _leave = ExitOnUnwind;
    child();
    exit(101)
}

/// A panic in the child must not unwind into the parent's code.
struct ExitOnUnwind;

impl Drop for ExitOnUnwind {
    fn drop(&mut self) {
        exit(101);
    }
}

/// Every signal is blocked in the calling thread until this is dropped.
pub(crate) struct BlockedSignals(u64);

impl BlockedSignals {
    /// The C library's function would leave out its own signals, whose handlers must not
    /// run in the child either.
    pub(crate) fn all() -> Self {
        Self(set_signal_mask(u64::MAX))
    }

    /// All but those by which the C library has every thread change its ids, or end
    /// (nptl(7), 32 and 33, in musl 34 too): who waits for that would wait for this thread.
    pub(crate) fn all_but_the_c_librarys() -> Self {
        Self(set_signal_mask(!(0b111 << 31)))
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        set_signal_mask(self.0);
    }
}

/// Runs a [`Command`](crate::Command)'s child in a clone.
pub(crate) fn clone_for_command(
    request: &CloneRequest<'_>,
    program: &Program,
    parents_end: BorrowedFd<'_>,
    channel: BorrowedFd<'_>,
) -> Result<Process, Error> {
    // SAFETY: `Program::run` walks what was prepared before: it makes system
    // calls, neither allocates nor locks, and ends the process.
    unsafe { clone(request, || program.run(parents_end, channel)) }
}

/// Sets the calling thread's signal mask (bit n-1 is signal n) and returns
/// the one before.
fn set_signal_mask(mask: u64) -> u64 {
    let mut old = 0_u64;
    // SAFETY: both masks are 8 bytes, the kernel's size of a signal set, and
    // outlive the call, whose only errors are about those.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            ptr::from_ref(&mask),
            ptr::from_mut(&mut old),
            size_of::<u64>(),
        )
    };
    old
}

/// Unblocks every signal and gives `SIGPIPE`, which std ignores, its default
/// action: what a program expects at its start.
pub(crate) fn signals_for_a_program() {
    // SAFETY: SIG_DFL is a valid action for SIGPIPE, and no handler is freed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    set_signal_mask(0);
}

/// Lets children become zombies: undoes `SIG_IGN` and `SA_NOCLDWAIT`.
pub(crate) fn default_sigchld() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the kernel only writes to `action`.
    unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all zeroes is a valid action, and otherwise the call filled it.
    let mut action = unsafe { action.assume_init() };
    if action.sa_sigaction != libc::SIG_IGN && action.sa_flags & libc::SA_NOCLDWAIT == 0 {
        return;
    }
    if action.sa_sigaction == libc::SIG_IGN {
        action.sa_sigaction = libc::SIG_DFL;
    }
    action.sa_flags &= !libc::SA_NOCLDWAIT;
    // SAFETY: the handler is SIG_DFL or the one that was set before.
    unsafe { libc::sigaction(libc::SIGCHLD, &action, ptr::null_mut()) };
}

/// unshare(2) of namespaces.
pub(crate) fn unshare(namespaces: u32) -> Result<(), Errno> {
    let flags = UnshareFlags::from_bits_retain(namespaces);
    // SAFETY: only CLONE_FILES can harm other threads; no kind has that flag.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Gives the calling thread a working directory, root and umask of its own
/// (unshare(2), `CLONE_FS`), without which no thread can change its mount
/// namespace.
pub(crate) fn unshare_fs() -> Result<(), Errno> {
    // SAFETY: CLONE_FS concerns paths and umask only, no descriptors.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }
}

/// Ioctl `NS_GET_NSTYPE` on a descriptor of nsfs: a `CLONE_NEW…` flag.
pub(crate) fn namespace_type(file: BorrowedFd<'_>) -> Result<u32, Errno> {
    // SAFETY: the ioctl takes no argument.
    let flag = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE as _) };
    u32::try_from(flag).map_err(|_| last_errno())
}

/// Closes the copy of a descriptor that the child got from its parent.
///
/// The owner is on a stack that the child never returns to, so nothing
/// closes it twice.
pub(crate) fn close_inherited(fd: BorrowedFd<'_>) {
    // SAFETY: called in the child of a clone only, where no owner of this
    // number ever runs again.
    unsafe { libc::close(fd.as_raw_fd()) };
}

/// execve(2); returns only when it fails. Both vectors end with a null.
pub(crate) fn execve(program: &CStr, argv: &CVector, envp: &CVector) -> Errno {
    // SAFETY: both arrays end with a null and point to strings that their
    // `CVector` owns.
    unsafe { libc::execve(program.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
    last_errno()
}

/// Ends the process without running anything else of it (`_exit(2)`).
pub(crate) fn exit(code: c_int) -> ! {
    // SAFETY: it does not return, and runs no code of the process.
    unsafe { libc::_exit(code) }
}

/// Strings in the form that execve(2) takes.
pub(crate) struct CVector {
    pointers: Vec<*const c_char>,
    _strings: Vec<std::ffi::CString>,
}

impl CVector {
    pub(crate) fn new(strings: Vec<std::ffi::CString>) -> Self {
        let end = std::iter::once(ptr::null());
        let pointers = strings.iter().map(|string| string.as_ptr()).chain(end).collect();
        Self { pointers, _strings: strings }
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

const _: () = assert!(size_of::<CloneArgs>() == 88 && size_of::<c_long>() >= 4);
