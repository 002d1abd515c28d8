//! The system calls that rustix lacks.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::null_mut;
use std::time::Duration;

use rustix::thread::UnshareFlags;

/// A child that ended.
pub(crate) struct Ended {
    pub(crate) pid: i32,
    /// As wait(2) has it: 0 is success.
    pub(crate) status: i32,
    /// User and system time, its own and of the children that it waited for.
    pub(crate) cpu: Duration,
}

/// Waits for a child, or for any with `-1` (wait4(2)).
pub(crate) fn wait4(pid: i32) -> io::Result<Ended> {
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
    // SAFETY: both places are valid for what is stored.
    let pid = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: wait4 has filled it.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| {
        let (seconds, microseconds) = (time.tv_sec.unsigned_abs(), time.tv_usec.unsigned_abs());
        Duration::from_secs(seconds) + Duration::from_micros(microseconds)
    };
    Ok(Ended { pid, status, cpu: time(usage.ru_utime) + time(usage.ru_stime) })
}

/// Signals that are blocked and waited for.
pub(crate) struct Awaited(libc::sigset_t);

impl Awaited {
    pub(crate) fn block(signals: &[i32]) -> io::Result<Awaited> {
        let mut set = no_signals();
        for signal in signals {
            // SAFETY: the set is initialised.
            unsafe { libc::sigaddset(&raw mut set, *signal) };
        }
        set_mask(&set)?;
        Ok(Awaited(set))
    }

    pub(crate) fn wait(&self) -> i32 {
        let mut signal = 0;
        // SAFETY: the set is initialised, and the place is valid.
        unsafe { libc::sigwait(&raw const self.0, &raw mut signal) };
        signal
    }
}

/// Blocks no signal: what is started inherits that.
pub(crate) fn unblock_signals() -> io::Result<()> {
    set_mask(&no_signals())
}

fn no_signals() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: fills the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was filled above.
    unsafe { set.assume_init() }
}

fn set_mask(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: a set that is initialised; the old mask is not asked for.
    match unsafe { libc::sigprocmask(libc::SIG_SETMASK, set, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// New namespaces for this process, or its next child (unshare(2)).
pub(crate) fn unshare(kinds: UnshareFlags) -> io::Result<()> {
    // SAFETY: descriptors are not unshared, and there is one thread.
    Ok(unsafe { rustix::thread::unshare_unsafe(kinds) }?)
}

/// Has `command` stop when it is executed, for its parent to trace it (ptrace(2)).
pub(crate) fn trace(command: &mut Command) {
    let trace_me = || {
        // SAFETY: this request has no other arguments.
        match unsafe { libc::ptrace(libc::PTRACE_TRACEME) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: one system call between fork and execve, which allocates nothing.
    unsafe { command.pre_exec(trace_me) };
}

/// What a stopped process is told.
#[derive(Clone, Copy)]
pub(crate) enum Go {
    /// One instruction, with this signal; its children are traced, too.
    Step(i32),
    /// On its own.
    Alone,
}

/// Lets a stopped process go on.
pub(crate) fn go(pid: i32, how: Go) -> io::Result<()> {
    let (request, signal) = match how {
        Go::Step(signal) => (libc::PTRACE_SINGLESTEP, signal),
        Go::Alone => (libc::PTRACE_DETACH, 0),
    };
    request_of(request, pid, 0, usize::try_from(signal).unwrap_or(0))
}

/// Has the children of a stopped process traced, and execve told.
pub(crate) fn follow(pid: i32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    request_of(libc::PTRACE_SETOPTIONS, pid, 0, usize::try_from(options).unwrap_or(0))
}

/// The address of the next instruction of a stopped process.
pub(crate) fn instruction(pid: i32) -> io::Result<usize> {
    let mut registers = MaybeUninit::<libc::user_regs_struct>::zeroed();
    let mut place = libc::iovec {
        iov_base: registers.as_mut_ptr().cast(),
        iov_len: size_of::<libc::user_regs_struct>(),
    };
    let kind = usize::try_from(libc::NT_PRSTATUS).unwrap_or(0);
    request_of(libc::PTRACE_GETREGSET, pid, kind, (&raw mut place).addr())?;
    // SAFETY: the kernel has filled what was zeroed before.
    let registers = unsafe { registers.assume_init() };
    #[cfg(target_arch = "x86_64")]
    let at = registers.rip;
    #[cfg(target_arch = "aarch64")]
    let at = registers.pc;
    Ok(usize::try_from(at).unwrap_or(0))
}

/// Each C library has its own.
#[cfg(target_env = "musl")]
type Request = libc::c_int;
#[cfg(not(target_env = "musl"))]
type Request = libc::c_uint;

fn request_of(request: Request, pid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: of the requests above one stores something, in the place that it is given.
    match unsafe { libc::ptrace(request, pid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
