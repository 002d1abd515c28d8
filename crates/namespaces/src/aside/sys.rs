//! Child: something that is done meanwhile, on another processor.
//!
//! A process between clone and `execve` cannot have a thread of std's, and needs none: what
//! helps it is a process that shares its memory and its descriptors (`CLONE_VM`,
//! `CLONE_FILES`), and has namespaces of its own to change.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::process::Pid;
use rustix::thread::{CpuSet, futex};

/// More than some system calls take, in a build without optimisation, too.
const STACK: usize = 128 << 10;

/// Work for a [`Helper`], and afterwards its result.
pub struct Task<F, T> {
    /// Whoever sets it has `work` and `result` to itself, until the helper has let go.
    taken: AtomicBool,
    /// Not zero while a helper uses the memory: cleared by the kernel, however it ends.
    user: AtomicU32,
    work: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<T>>,
}

// SAFETY: `taken` gives the contents to one process, and the next one waits for its end.
unsafe impl<F: Send, T: Send> Sync for Task<F, T> {}

impl<F: FnOnce() -> T + Send, T: Send> Task<F, T> {
    /// Nobody does it yet.
    pub const fn new(work: F) -> Self {
        Self {
            taken: AtomicBool::new(false),
            user: AtomicU32::new(0),
            work: UnsafeCell::new(Some(work)),
            result: UnsafeCell::new(None),
        }
    }

    /// Does the work, unless somebody has taken it on: whether it did.
    fn run(&self) -> bool {
        let ours = self.take();
        if ours {
            // SAFETY: nobody else is told that it is theirs.
            let work = unsafe { (*self.work.get()).take() };
            let result = work.map(|work| work());
            // SAFETY: as before.
            unsafe { *self.result.get() = result };
        }
        ours
    }

    fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::AcqRel)
    }
}

/// A process that works for the calling one, and ends before it.
pub struct Helper<'a, F: FnOnce() -> T + Send, T: Send> {
    task: &'a Task<F, T>,
    /// None where there is no helper: then the caller does it.
    process: Option<Pid>,
}

impl<'a, F: FnOnce() -> T + Send, T: Send> Helper<'a, F, T> {
    /// Starts a helper on another processor, if the caller may use one and there can be a
    /// further process; else the work is done when it is asked for.
    ///
    /// The helper starts with the caller's namespaces, credentials and blocked signals. Its
    /// end sends no signal.
    ///
    /// # Safety
    /// The caller has no other thread and is between clone and `execve`; it does not leak the
    /// helper, which is waited for when it is dropped. What is told at
    /// [`clone()`](crate::clone()) holds for the work; besides, it uses nothing that the C
    /// library keeps for each thread, `errno` included: it would be the caller's.
    pub unsafe fn start(task: &'a Task<F, T>) -> Self {
        Self { task, process: begin(task) }
    }

    /// The result of the work; `None` if the helper was killed. What the helper has not begun
    /// the caller does. The helper has let go of the caller's memory, and is about to end.
    pub fn finish(mut self) -> (Option<T>, Remains) {
        let ours = self.task.run();
        let remains = self.end(ours);
        // SAFETY: the helper has let go of the memory, and this process has no other.
        (unsafe { (*self.task.result.get()).take() }, remains)
    }

    /// Waits until the helper needs the memory no more: after its work, which waits for nobody,
    /// or without.
    fn end(&mut self, idle: bool) -> Remains {
        let Some(pid) = self.process.take() else { return Remains(None) };
        if idle {
            // The other processors are busy, and this one is about to have nothing to do.
            let mut here = CpuSet::new();
            here.set(rustix::thread::sched_getcpu());
            let _ = rustix::thread::sched_setaffinity(Some(pid), &here);
        }
        loop {
            let user = self.task.user.load(Ordering::Acquire);
            if user == 0 {
                return Remains(Some(pid));
            }
            // Not a private one, because of how the kernel wakes (futex(2), set_tid_address(2)).
            // Whatever it says, the number tells.
            let _ = futex::wait(&self.task.user, futex::Flags::empty(), user, None);
        }
    }
}

/// What is left of a helper that is about to end. Dropping it reaps the process.
#[derive(Debug, Default)]
pub struct Remains(Option<Pid>);

impl Drop for Remains {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            wait(pid);
        }
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Drop for Helper<'_, F, T> {
    fn drop(&mut self) {
        if self.process.is_some() {
            let idle = self.task.take();
            drop(self.end(idle));
        }
    }
}

fn begin<F: FnOnce() -> T + Send, T: Send>(task: &Task<F, T>) -> Option<Pid> {
    let others = other_processors()?;
    let stack = map_stack().ok()?;
    let argument = ptr::from_ref(task).cast_mut().cast::<c_void>();
    let shared = libc::CLONE_VM | libc::CLONE_FILES;
    let flags = shared | libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_CLEARTID;
    let (user, unused) = (task.user.as_ptr(), ptr::null_mut::<c_void>());
    // SAFETY: the stack is the helper's alone, and both it and the task are there until the
    // kernel has cleared `user`, which `Helper` waits for, when the helper has left the memory.
    // What the work may do is the promise of who starts it.
    let pid = unsafe { libc::clone(run::<F, T>, stack, flags, argument, user, unused, user) };
    let pid = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw)?;
    // Some kernels leave a new process where its parent is. It has not run yet.
    let _ = rustix::thread::sched_setaffinity(Some(pid), &others);
    Some(pid)
}

extern "C" fn run<F: FnOnce() -> T + Send, T: Send>(task: *mut c_void) -> c_int {
    // SAFETY: it is what `begin` passes, and outlives the helper.
    let task = unsafe { &*task.cast::<Task<F, T>>() };
    task.run();
    0
}

/// Where the caller may run, but for where it does.
fn other_processors() -> Option<CpuSet> {
    let mut processors = rustix::thread::sched_getaffinity(None).ok()?;
    processors.unset(rustix::thread::sched_getcpu());
    (processors.count() > 0).then_some(processors)
}

/// Memory for the helper's stack: where it begins, which is its upper end. Below it the kernel
/// keeps a gap to whatever comes next (mmap(2), `MAP_GROWSDOWN`). It is never unmapped: that
/// would interrupt the processor that the helper was on, and `execve` does it anyway.
fn map_stack() -> Result<*mut c_void, Errno> {
    let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    let flags = flags | MapFlags::GROWSDOWN;
    // SAFETY: a new anonymous mapping at a place of the kernel's choice.
    let start = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), STACK, access, flags) }?;
    Ok(start.wrapping_byte_add(STACK))
}

/// Reaps it. With `__WALL`, because its end sends no signal.
fn wait(pid: Pid) {
    let pid = pid.as_raw_nonzero().get();
    loop {
        // SAFETY: the status is not asked for.
        let reaped = unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) };
        let interrupted =
            || std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted;
        if reaped >= 0 || !interrupted() {
            return;
        }
    }
}
