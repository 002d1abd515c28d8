//! Parent: signal masks, signalfd(2) and default actions, with safe signatures.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use rustix::process::Signal;

/// A set of signals.
#[derive(Clone, Copy)]
pub(super) struct Mask(libc::sigset_t);

impl Mask {
    pub(super) fn empty() -> Mask {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset writes the whole set that the pointer leads to.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: sigemptyset has just initialised it; it cannot fail for a valid pointer.
        Mask(unsafe { set.assume_init() })
    }

    /// Adds a signal; a number that is none is left out.
    pub(super) fn insert(&mut self, signal: c_int) {
        // SAFETY: the set is initialised, and an invalid number is refused with EINVAL.
        unsafe { libc::sigaddset(&mut self.0, signal) };
    }

    /// Takes a signal out.
    pub(super) fn remove(&mut self, signal: c_int) {
        // SAFETY: the set is initialised, and an invalid number is refused with EINVAL.
        unsafe { libc::sigdelset(&mut self.0, signal) };
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

fn change_mask(how: c_int, mask: &Mask) -> io::Result<Mask> {
    let mut before = Mask::empty();
    // SAFETY: both sets are initialised, and no reference to either is kept.
    match unsafe { libc::pthread_sigmask(how, &mask.0, &mut before.0) } {
        0 => Ok(before),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Blocks the signals of `mask` in this thread, besides those that are blocked
/// already; returns the mask of before.
pub(super) fn block(mask: &Mask) -> io::Result<Mask> {
    change_mask(libc::SIG_BLOCK, mask)
}

/// Takes away what is pending of blocked signals, so that they do nothing when they are let
/// in. (Of each at most one is pending, but for those of real time.)
pub(super) fn consume(signals: &[c_int]) {
    let mut mask = Mask::empty();
    signals.iter().for_each(|signal| mask.insert(*signal));
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    for _ in signals {
        // SAFETY: set and time are initialised, and no details are asked for.
        unsafe { libc::sigtimedwait(&mask.0, ptr::null_mut(), &at_once) };
    }
}

/// Unblocks the signals of `mask` in this thread; returns the mask of before.
pub(super) fn unblock(mask: &Mask) -> io::Result<Mask> {
    change_mask(libc::SIG_UNBLOCK, mask)
}

/// Makes `mask` the mask of this thread.
pub(super) fn set_mask(mask: &Mask) -> io::Result<()> {
    change_mask(libc::SIG_SETMASK, mask).map(drop)
}

/// A descriptor that yields the signals of `mask`, non-blocking and close-on-exec.
pub(super) fn signalfd(mask: &Mask) -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised; -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &mask.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: signalfd has just returned this descriptor, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether this process ignores the signal, as nohup(1) arranges it for SIGHUP.
pub(super) fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action changes nothing, and the old one is written to `action`.
    let result = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all bytes zero is a valid `sigaction`, which the kernel may have overwritten.
    let action = unsafe { action.assume_init() };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Sends a signal to this thread.
pub(super) fn raise(signal: c_int) {
    // SAFETY: takes a number only; an invalid one is refused with EINVAL.
    unsafe { libc::raise(signal) };
}

/// The highest real-time signal, the lowest one, as the C library leaves them to programs.
pub(super) fn real_time_signals() -> std::ops::RangeInclusive<c_int> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// The signal with this number, real-time signals included.
pub(super) fn signal(number: c_int) -> Option<Signal> {
    if real_time_signals().contains(&number) {
        // SAFETY: in the range that the C library does not keep for itself.
        return Some(unsafe { Signal::from_raw_unchecked(number) });
    }
    Signal::from_named_raw(number)
}

/// This thread, for [`signal_thread`].
#[cfg(test)]
pub(super) fn this_thread() -> libc::pthread_t {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::pthread_self() }
}

/// Sends a signal to one thread of this process, which must not have ended yet.
#[cfg(test)]
pub(super) fn signal_thread(thread: libc::pthread_t, signal: Signal) {
    // SAFETY: the tests call this while the thread waits in `relay`.
    unsafe { libc::pthread_kill(thread, signal.as_raw()) };
}
