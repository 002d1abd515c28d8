//! Child: from clone to execve. No allocation, no locks, no return.
//!
//! The process is a copy of the launcher, taken while other threads may have held
//! any lock: it may only make system calls and must leave by execve or `_exit`.

use std::convert::Infallible;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nsinit_cgroups::Entry;
use nsinit_namespaces::{Join, Kinds, Kinship, NamespaceFile};
use nsinit_network as network;
use nsinit_rootfs as rootfs;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, pidfd_send_signal};

use crate::handshake::{ChildEnd, Failure, Tag};
use crate::plan::Plan;
use crate::program::{FileId, Obstacle, Program, interpreter};
use crate::sys;
use crate::trace::Ring;

/// Descriptors that the launcher opened and that cross the clone.
#[derive(Default)]
pub(crate) struct Inherited {
    pub(crate) cgroup: Option<Entry>,
    pub(crate) namespaces: Vec<NamespaceFile>,
    pub(crate) container: Option<Join>,
    /// What becomes standard input, output and error; None stays as it is.
    pub(crate) stdio: [Option<OwnedFd>; 3],
}

impl Inherited {
    pub(crate) fn enter_cgroup(&self) -> Result<(), Errno> {
        self.cgroup.as_ref().map_or(Ok(()), Entry::enter)
    }

    /// What a child keeps of the launcher's descriptors, in order. The other end of the
    /// channel must go: with it open the launcher's death would not be seen. So must
    /// the lock on the container's entry, and whatever the launcher's caller has open.
    pub(crate) fn keep(&self, channel: &ChildEnd) -> Vec<RawFd> {
        let cgroup = self.cgroup.iter().flat_map(Entry::files);
        let namespaces = self.namespaces.iter().map(AsFd::as_fd);
        let container = self.container.iter().map(Join::pidfd);
        let stdio = self.stdio.iter().flatten().map(AsFd::as_fd);
        let all = cgroup.chain(namespaces).chain(container).chain(stdio).chain([channel.as_fd()]);
        let mut keep: Vec<_> = all.map(|fd| fd.as_raw_fd()).collect();
        keep.sort_unstable();
        keep
    }

    pub(crate) fn join_namespace(&self, index: usize) -> Result<(), Errno> {
        self.namespaces.get(index).ok_or(Errno::BADF)?.enter()
    }

    pub(crate) fn join_container(&self, kinds: Kinds) -> Result<(), Errno> {
        self.container.as_ref().ok_or(Errno::BADF)?.enter(kinds)
    }
}

/// What init holds: a fixed table.
pub(crate) struct Child<'a> {
    pub(crate) channel: &'a ChildEnd,
    pub(crate) inherited: &'a Inherited,
    pub(crate) rootfs: rootfs::Child,
    procfs: Option<OwnedFd>,
    /// A socket of the new network namespace, whoever has made that.
    netlink: Option<OwnedFd>,
    /// Both ends of the program's terminal.
    terminal: Option<(OwnedFd, OwnedFd)>,
}

impl<'a> Child<'a> {
    fn new(channel: &'a ChildEnd, inherited: &'a Inherited) -> Child<'a> {
        Child {
            channel,
            inherited,
            rootfs: rootfs::Child::new(),
            procfs: None,
            netlink: None,
            terminal: None,
        }
    }

    /// A procfs that nobody in the container can have covered.
    pub(crate) fn procfs(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.procfs.as_ref().map(AsFd::as_fd).or_else(|| self.rootfs.proc()).ok_or(Errno::BADF)
    }

    pub(crate) fn open_procfs(&mut self) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.procfs = Some(rustix::fs::openat(CWD, c"/proc", flags, Mode::empty())?);
        Ok(())
    }

    fn netlink(&mut self) -> Result<BorrowedFd<'_>, Errno> {
        if self.netlink.is_none() {
            self.netlink = Some(network::open_socket()?);
        }
        self.netlink.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    pub(crate) fn loopback_up(&mut self) -> Result<(), Errno> {
        network::loopback_up(self.netlink()?)
    }

    pub(crate) fn send_netlink(&mut self) -> Result<(), Errno> {
        let channel = self.channel;
        channel.send(Tag::Netlink, Some(self.netlink()?))
    }

    /// Waits for one message with this tag; the launcher's death is `EPIPE`. The network
    /// namespace may be ready before it is asked for.
    pub(crate) fn wait(&mut self, tag: Tag) -> Result<(), Errno> {
        loop {
            match self.channel.receive()? {
                (received, None) if received == tag => return Ok(()),
                (Tag::Netlink, Some(socket)) if self.netlink.is_none() => {
                    self.netlink = Some(socket);
                }
                _ => return Err(Errno::PROTO),
            }
        }
    }

    pub(crate) fn enter_network(&mut self) -> Result<(), Errno> {
        let socket = match self.netlink.take() {
            Some(socket) => socket,
            None => match self.channel.receive()? {
                (Tag::Netlink, Some(socket)) => socket,
                _ => return Err(Errno::PROTO),
            },
        };
        network::enter_namespace_of(socket.as_fd())
    }

    pub(crate) fn open_terminal(&mut self) -> Result<(), Errno> {
        let root = rustix::fs::openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        self.terminal = Some(rootfs::open_terminal_in(root.as_fd())?);
        Ok(())
    }

    pub(crate) fn send_console(&mut self) -> Result<(), Errno> {
        let console = self.rootfs.take_console();
        let master = self.terminal.as_ref().map(|(master, _)| master).or(console.as_ref());
        self.channel.send(Tag::Console, Some(master.ok_or(Errno::NOTTY)?.as_fd()))
    }

    /// Afterwards only the channel is left, which execve closes.
    ///
    /// Descriptors that are only close-on-exec could still be named by the working
    /// directory, by the program's path or by an interpreter (`/proc/self/fd/7`,
    /// CVE-2024-21626), and be taken from a process that others can see.
    pub(crate) fn close_descriptors(&self) -> Result<(), Errno> {
        sys::close_all_but(&[self.channel.as_fd().as_raw_fd()])
    }

    pub(crate) fn make_stdio(&self) -> Result<(), Errno> {
        let own = self.terminal.as_ref().map(|(_, slave)| slave.as_fd());
        if let Some(slave) = own.or_else(|| self.rootfs.console_slave()) {
            for target in 0..3 {
                sys::make_stdio(slave, target)?;
            }
            return Ok(());
        }
        for (fd, target) in self.inherited.stdio.iter().zip(0..) {
            if let Some(fd) = fd {
                sys::make_stdio(fd.as_fd(), target)?;
            }
        }
        Ok(())
    }
}

/// The whole life of init. Never returns: `Infallible` has no value.
pub(crate) fn run(
    plan: &Plan,
    channel: &ChildEnd,
    inherited: &Inherited,
    keep: &[RawFd],
    ring: Option<&Ring>,
) -> Infallible {
    let mut child = Child::new(channel, inherited);
    if let Some(ring) = ring {
        ring.begin();
    }
    let failure = match sys::close_all_but(keep) {
        Ok(()) => enter(plan, &mut child, ring),
        Err(errno) => {
            let detail = Obstacle::Leaving.to_detail();
            Failure { step: plan.step_count(), errno, detail }
        }
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, c"/", flags, Mode::empty()).ok();
    channel.fail(failure, root.as_ref().map(AsFd::as_fd));
    sys::exit_immediately(1)
}

fn enter(plan: &Plan, child: &mut Child<'_>, ring: Option<&Ring>) -> Failure {
    if let Err(failure) = furnish(plan, child, ring) {
        return failure;
    }
    let (errno, obstacle) = execute(&plan.program);
    Failure { step: plan.step_count(), errno, detail: obstacle.to_detail() }
}

fn furnish(plan: &Plan, child: &mut Child<'_>, ring: Option<&Ring>) -> Result<(), Failure> {
    for (index, step) in (0u32..).zip(plan.all_steps()) {
        step.apply(child).map_err(|errno| Failure { step: index, errno, detail: 0 })?;
        if let Some(ring) = ring {
            ring.mark(index);
        }
    }
    Ok(())
}

/// Becomes the program; returns only what stood in the way.
fn execute(program: &Program) -> (Errno, Obstacle) {
    if let Err(errno) = sys::reset_signals() {
        return (errno, Obstacle::Leaving);
    }
    let mut last = (Errno::NOENT, Obstacle::NotFound);
    for (index, path) in (0u16..).zip(program.candidates()) {
        match attempt(program, path) {
            (Errno::NOENT | Errno::NOTDIR, Obstacle::NotFound) => {}
            // As shells do: a candidate that may not be executed is remembered, and
            // the search goes on.
            (errno @ Errno::ACCESS, Obstacle::Execve(_)) => {
                last = (errno, Obstacle::Execve(index));
            }
            (errno, obstacle) => return (errno, obstacle.at(index)),
        }
    }
    last
}

fn attempt(program: &Program, path: &CStr) -> (Errno, Obstacle) {
    let file = match rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => file,
        Err(errno @ (Errno::NOENT | Errno::NOTDIR)) => return (errno, Obstacle::NotFound),
        Err(errno) => return (errno, Obstacle::Execve(0)),
    };
    match refuse_own_executable(program.own_executable, path, &file) {
        Ok(()) => (sys::execve(path, &program.argv, &program.envp), Obstacle::Execve(0)),
        Err(refusal) => refusal,
    }
}

/// The program and its chain of `#!` interpreters must not be this executable
/// (CVE-2019-5736): it would run with a door to the host's copy of itself.
fn refuse_own_executable(
    own: Option<FileId>,
    path: &CStr,
    file: &OwnedFd,
) -> Result<(), (Errno, Obstacle)> {
    /// As many as the kernel follows (`BINPRM_MAX_RECURSION`), and one.
    const INTERPRETERS: usize = 6;
    let Some(own) = own else { return Ok(()) };
    let execve = |errno| (errno, Obstacle::Execve(0));
    let stat = rustix::fs::fstat(file).map_err(execve)?;
    if FileId::of(&stat) == own {
        return Err((Errno::ACCESS, Obstacle::OwnExecutable(0)));
    }
    let mut first_line = [0u8; 256];
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
        || !read_first_line(path, &mut first_line)
    {
        return Ok(());
    }
    for _ in 0..INTERPRETERS {
        let mut name = [0u8; 256];
        let Some(interpreter) = interpreter_of(&first_line, &mut name) else { return Ok(()) };
        let Ok(stat) = rustix::fs::stat(interpreter) else { return Ok(()) };
        if FileId::of(&stat) == own {
            return Err((Errno::ACCESS, Obstacle::OwnExecutable(0)));
        }
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || !read_first_line(interpreter, &mut first_line) {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads the start of a file; false when it cannot be read, which execve decides on.
fn read_first_line(path: &CStr, buffer: &mut [u8; 256]) -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(CWD, path, flags, Mode::empty()) else { return false };
    *buffer = [0; 256];
    let space = buffer.len() - 1;
    rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut buffer[..space])).is_ok()
}

/// The interpreter named by a `#!` line, for the system calls.
fn interpreter_of<'a>(line: &[u8; 256], name: &'a mut [u8; 256]) -> Option<&'a CStr> {
    let found = interpreter(&line[..255])?;
    name[..found.len()].copy_from_slice(found);
    name[found.len()] = 0;
    CStr::from_bytes_until_nul(name).ok()
}

/// Goes on as a sibling, which the joined PID namespace holds; this process waits for
/// nobody and ends. The sibling is in sight of the container from its first moment: it
/// has nothing by now that the program would not have.
pub(crate) fn enter_pid_namespace(child: &Child<'_>) -> Result<(), Errno> {
    match sys::fork(Kinship::Sibling)? {
        None => Ok(()),
        Some((_, program)) => match child.channel.send(Tag::Program, Some(program.as_fd())) {
            Ok(()) => sys::exit_immediately(0),
            Err(errno) => {
                // It would wait for a word that nobody says.
                let _ = pidfd_send_signal(&program, Signal::KILL);
                Err(errno)
            }
        },
    }
}

/// Stays as PID 1; the program's future process returns.
pub(crate) fn stay(child: &Child<'_>) -> Result<(), Errno> {
    match sys::fork(Kinship::Child)? {
        None => rustix::process::setsid().map(drop),
        Some((pid, program)) => {
            // The other one ends with this.
            child.channel.send(Tag::Program, Some(program.as_fd()))?;
            reap_until_end_of(pid)
        }
    }
}

/// PID 1 in the container: reaps orphans, forwards signals, and ends with the
/// program's status. Killing it ends everything in the PID namespace.
fn reap_until_end_of(program: Pid) -> ! {
    // Standard input and output too: a reader must see the end when the program closes them.
    let ready = sys::close_all().and_then(|()| sys::block_all());
    if ready.is_err() {
        sys::exit_immediately(125);
    }
    loop {
        match sys::wait_for_signal() {
            Ok(libc::SIGCHLD) => {
                while let Some(ended) = sys::reap() {
                    if ended.pid == program.as_raw_nonzero().get() {
                        sys::exit_immediately(ended.code);
                    }
                }
            }
            // The program may just have ended; its SIGCHLD follows.
            Ok(signal) => drop(sys::kill(program, signal)),
            Err(_) => sys::exit_immediately(125),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter(text: &[u8]) -> Option<String> {
        let mut line = [0; 256];
        line[..text.len()].copy_from_slice(text);
        let mut name = [0; 256];
        interpreter_of(&line, &mut name).map(|name| name.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_interpreter_of_a_script_is_found() {
        assert_eq!(interpreter(b"#!/bin/sh\n").as_deref(), Some("/bin/sh"));
        assert_eq!(interpreter(b"#! \t/bin/env python3\n").as_deref(), Some("/bin/env"));
        assert_eq!(interpreter(b"#!/bin/sh").as_deref(), Some("/bin/sh"));
    }

    #[test]
    fn what_is_not_a_script_has_no_interpreter() {
        assert_eq!(interpreter(b"\x7fELF"), None);
        assert_eq!(interpreter(b"#!\n"), None);
        assert_eq!(interpreter(b""), None);
    }
}
