//! The floor: makes the container of the benchmark with the system calls that this
//! container needs, each in its cheapest form, and waits for the program's end.
//!
//! ```text
//! floor ROOT PROGRAM [ARGUMENT]…                 a new container
//! floor --cgroup NAME ROOT PROGRAM [ARGUMENT]…   the same in v1 cgroups with limits
//! floor --join PID PROGRAM [ARGUMENT]…           a program more in that container
//! ```
//!
//! What runs inside finds what it finds in a container that nsinit made from
//! `{"hostname": "bench", "namespaces": ["NEWNS", "NEWUTS", "NEWIPC", "NEWPID", "NEWNET"]}`
//! (a test compares them): namespaces, mounts, devices, masked and read-only paths, kernel
//! parameters, loopback, keyring, limits, user, capabilities, environment.
//!
//! What nsinit does besides, and the floor does not:
//! - read a configuration or anything else that would let it make another container;
//! - record what it made, so that others can join and a killed launcher's remains are found;
//! - resolve paths below the root: a hostile image leads the floor where it likes;
//! - look whether a step did what it was to do: capabilities are not read back, and a path
//!   that is missing counts as one that need not be masked;
//! - close what it inherited, reset ignored signals, or refuse to run itself;
//! - protect a joining process from the container;
//! - relay signals, and kill what is left in a cgroup;
//! - say what went wrong in more than a word.
#![no_main]

use std::ffi::CString;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

mod cgroup;
mod container;
mod process;
#[expect(unsafe_code, reason = "the entry point, clone3, execve and keyctl have no safe form")]
mod sys;

const NAMESPACES: ThreadNameSpaceType = ThreadNameSpaceType::MOUNT
    .union(ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME)
    .union(ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION)
    .union(ThreadNameSpaceType::PROCESS_ID)
    .union(ThreadNameSpaceType::NETWORK);

/// What failed, in a word, and how.
struct Failure(&'static str, Errno);

type Result<T = ()> = std::result::Result<T, Failure>;

/// Names what a call was for, if it fails.
fn at(what: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure(what, errno)
}

/// A path that the kernel or the host lacks needs nothing.
fn if_there(outcome: std::result::Result<(), Errno>) -> std::result::Result<(), Errno> {
    if outcome == Err(Errno::NOENT) { Ok(()) } else { outcome }
}

/// Called by `sys::main`; returns the exit status.
fn run(arguments: Vec<CString>) -> i32 {
    let mut words = arguments.into_iter();
    let outcome = match words.next() {
        Some(word) if word.as_c_str() == c"--join" => join(words),
        Some(word) if word.as_c_str() == c"--cgroup" => in_cgroup(words),
        Some(root) => start(&root, None, words),
        None => Err(Failure("arguments", Errno::INVAL)),
    };
    outcome.unwrap_or_else(|failure| fail(&failure))
}

fn fail(Failure(what, errno): &Failure) -> i32 {
    let text = format!("floor: {what}: {errno}\n");
    // Nobody is left to be told.
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
    125
}

fn start(
    root: &CString,
    cgroup: Option<&cgroup::Cgroup>,
    program: impl Iterator<Item = CString>,
) -> Result<i32> {
    let program = process::Program::new(program);
    let child = || {
        container::make(root)?;
        cgroup.map_or(Ok(()), cgroup::Cgroup::enter)?;
        container::enter()?;
        process::confine()?;
        program.execute()
    };
    wait(sys::clone(NAMESPACES, child).map_err(at("clone3"))?)
}

fn in_cgroup(mut words: impl Iterator<Item = CString>) -> Result<i32> {
    let (Some(name), Some(root)) = (words.next(), words.next()) else {
        return Err(Failure("arguments", Errno::INVAL));
    };
    let cgroup = cgroup::Cgroup::make(&name)?;
    let status = start(&root, Some(&cgroup), words);
    cgroup.remove()?;
    status
}

fn join(mut words: impl Iterator<Item = CString>) -> Result<i32> {
    let pid = words.next().and_then(|word| Pid::from_raw(word.to_str().ok()?.parse().ok()?));
    let pid = pid.ok_or(Failure("arguments", Errno::INVAL))?;
    let container = pidfd_open(pid, PidfdFlags::empty()).map_err(at("pidfd_open"))?;
    let program = process::Program::new(words);
    move_into_thread_name_spaces(container.as_fd(), NAMESPACES).map_err(at("setns"))?;
    let child = || {
        process::confine()?;
        program.execute()
    };
    wait(sys::clone(ThreadNameSpaceType::empty(), child).map_err(at("clone3"))?)
}

/// The exit status of a child as a shell would say it.
fn wait(child: Pid) -> Result<i32> {
    let status = waitpid(Some(child), WaitOptions::empty()).map_err(at("wait"))?;
    let (_, status) = status.ok_or(Failure("wait", Errno::CHILD))?;
    Ok(status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0)))
}
