//! Parent: a further process in a running container.
//!
//! The plan is shorter and walked by the same loop. Joining a PID namespace takes
//! effect for children only: the first process enters everything else, gives up what
//! the program will not have, and goes on as its own sibling, whose pidfd it sends. So
//! no process with a privilege or a descriptor of the host's is ever in sight of the
//! container (CVE-2016-9962).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nsinit_cgroups::Cgroup;
use nsinit_config::CgroupDriver;
use nsinit_namespaces::{CloneRequest, Join, Kinds, Process};
use nsinit_security::Groups;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::below;
use crate::diagnosis::Scene;
use crate::error::{Error, Result};
use crate::handshake::{self, ParentEnd, Received, Tag};
use crate::host::{Host, setgroups_denied};
use crate::init::{self, Inherited};
use crate::journal::Journal;
use crate::lower::process::{self as lower, Identity};
use crate::plan::Plan;
use crate::process;
use crate::running::Running;
use crate::state::State;
use crate::stdio::Occupied;
use crate::step::Step;
use crate::systemd;

/// What a joining process is made from.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    /// The running container, with the configuration that it was started with (and
    /// what the command line changes for this process).
    pub state: &'a State,
    /// Facts about the host.
    pub host: &'a Host,
    /// `KEY=value` on top of the configuration's environment.
    pub environment: &'a [String],
}

/// Takes a process into a running container; the program waits for [`Joined::start`].
///
/// The caller should have been re-executed from a sealed copy
/// ([`reexecute_sealed`](crate::reexecute_sealed)) if the container is not trusted.
///
/// # Errors
///
/// When the container has ended, or as [`Plan::launch`].
pub fn join(joining: &Joining<'_>, args: &[OsString]) -> Result<Joined> {
    let _standard = Occupied::take().map_err(Error::io("open /dev/null"))?;
    let mut joined = begin(joining, args, &Journal::SILENT)?;
    joined.await_ready(&|_| Ok(()))?;
    Ok(joined)
}

/// What is done before a message is read that may be long in coming.
type Wait<'a> = &'a dyn Fn(BorrowedFd<'_>) -> io::Result<()>;

/// Takes a process into a running container and starts the program; `connect` gets the
/// pty's master, if it has a terminal, before the program runs. Somebody in the container
/// may hold the program up: `wait` for a message is how who joins is not held up, too.
pub(crate) fn run<T>(
    joining: &Joining<'_>,
    args: &[OsString],
    journal: &Journal,
    wait: Wait<'_>,
    connect: impl FnOnce(OwnedFd) -> Result<T>,
) -> Result<(Running, Option<T>)> {
    let mut joined = begin(joining, args, journal)?;
    if !joined.plan.pauses_when_ready() {
        return Ok((joined.start_waiting(wait)?, None));
    }
    joined.await_ready(wait)?;
    let terminal = joined.take_terminal().map(connect).transpose()?;
    Ok((joined.start_waiting(wait)?, terminal))
}

fn begin(joining: &Joining<'_>, args: &[OsString], journal: &Journal) -> Result<Joined> {
    let state = joining.state;
    let (container, kinds, pid) = container(state)?;
    let plan = plan(joining, pid, kinds, args)?;
    // What was read of the process before this is its own, and not a successor's.
    if container.has_ended().map_err(Error::Namespaces)? {
        return Err(gone());
    }
    journal.done(|| "make the plan".into());

    let cgroup = match state.cgroup.is_empty() {
        true => None,
        false => Some(Cgroup::open(&state.whole_cgroup()?).map_err(Error::Cgroup)?),
    };
    let (scope, own) = cgroup.as_ref().map_or((None, None), |cgroup| match attaches(state) {
        true => (Some(cgroup), None),
        false => (None, Some(cgroup)),
    });
    let inherited = Inherited {
        cgroup: own.map(Cgroup::entry).transpose().map_err(Error::Cgroup)?,
        container: Some(container),
        ..Inherited::default()
    };
    let ring = plan.ring(journal.is_traced())?;
    let (channel, child_end) = handshake::pair().map_err(Error::io("make a socket pair"))?;
    let request = CloneRequest {
        into_cgroup: inherited.cgroup.as_ref().and_then(nsinit_cgroups::Entry::clone_into),
        ..CloneRequest::default()
    };
    let keep = inherited.keep(&child_end);
    let child = || init::run(&plan, &child_end, &inherited, &keep, ring.as_ref());
    journal.done(|| "prepare the clone".into());
    #[expect(unsafe_code, reason = "the one clone of a join")]
    // SAFETY: `init::run` only makes system calls on prepared data and never returns.
    let first = unsafe { nsinit_namespaces::clone(&request, child) };
    let first = first.map_err(Error::Namespaces)?;
    journal.done(|| "clone".into());
    let pid = first.pid();
    journal.follow(&plan, ring.as_ref(), pid);
    let first = Unwaited(Some(first));
    drop((child_end, inherited));
    if let Some(scope) = scope {
        systemd::attach(scope, pid)?;
        journal.done(|| "have systemd move the process into the scope".into());
    }
    Ok(Joined {
        plan,
        channel,
        first,
        second: Unwaited(None),
        has_pid_namespace: kinds.contains(Kinds::PID),
        terminal: None,
        ready: false,
    })
}

/// Whether it is systemd that puts processes into the container's cgroup.
fn attaches(state: &State) -> bool {
    let driver = state.container.cgroups.as_ref().and_then(|cgroups| cgroups.driver);
    driver == Some(CgroupDriver::Systemd) && !rustix::process::geteuid().is_root()
}

fn gone() -> Error {
    Error::io("join the container")(Errno::SRCH.into())
}

/// The running container, what is to be joined of it, and its program's pid.
fn container(state: &State) -> Result<(Join, Kinds, i32)> {
    let program = state.program.as_ref().ok_or_else(gone)?;
    let pid = program.pid;
    let container = Join::process(pid).map_err(Error::Namespaces)?;
    if !program.is(container.start_time()) {
        return Err(gone());
    }
    let kinds = container.kinds_to_join().map_err(Error::Namespaces)?;
    Ok((container, kinds, pid))
}

/// What a process that joins would be confined to, and the pid of the container's program.
pub(crate) fn plan_of(joining: &Joining<'_>) -> Result<(Plan, i32)> {
    let (_, kinds, pid) = container(joining.state)?;
    Ok((plan(joining, pid, kinds, &["sh".into()])?, pid))
}

/// A process in a running container that waits before its last steps.
///
/// Dropping it kills the process.
#[derive(Debug)]
pub struct Joined {
    plan: Plan,
    channel: ParentEnd,
    /// Who entered the namespaces.
    first: Unwaited,
    /// Who is the program, where there is a PID namespace: then the first has said its
    /// last word, and only has to be reaped.
    second: Unwaited,
    has_pid_namespace: bool,
    terminal: Option<OwnedFd>,
    ready: bool,
}

impl Joined {
    /// The pty's master, if the process has a terminal.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Lets the process go on; returns when the program runs.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when there is no such program, or it cannot be executed.
    pub fn start(self) -> Result<Running> {
        self.start_waiting(&|_| Ok(()))
    }

    fn start_waiting(mut self, wait: Wait<'_>) -> Result<Running> {
        self.send(Tag::Start)?;
        while let Some(message) = self.receive(wait)? {
            match message {
                (Tag::Ready, None) if !self.ready => self.ready = true,
                (Tag::Program, Some(pidfd)) => {
                    let pid = process::pid_of(&pidfd).ok_or_else(Error::protocol)?;
                    self.second = Unwaited(Some(Process::from_pidfd(pidfd, pid)));
                    // The first has had the channel, too, whose end tells that the program
                    // runs: it must be gone before.
                    self.first = Unwaited(None);
                    self.send(Tag::Proceed)?;
                }
                _ => return Err(Error::protocol()),
            }
        }
        // execve closed the channel, or whoever held it died.
        let program = match self.has_pid_namespace {
            true => self.second.take(),
            false if self.ready => self.first.take(),
            false => None,
        };
        let ended = Error::Init { status: None, out_of_memory: None };
        Ok(Running::joined(program.ok_or(ended)?, self.terminal.take()))
    }

    fn send(&self, tag: Tag) -> Result<()> {
        match self.channel.send(tag, None) {
            // It has gone; what it said before is still to be read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Error::io("send a message to init")),
        }
    }

    fn await_ready(&mut self, wait: Wait<'_>) -> Result<()> {
        loop {
            match self.receive(wait)? {
                Some((Tag::Console, Some(master))) => self.terminal = Some(master),
                Some((Tag::Ready, None)) => {
                    self.ready = true;
                    return Ok(());
                }
                Some(_) => return Err(Error::protocol()),
                None => return Err(Error::Init { status: None, out_of_memory: None }),
            }
        }
    }

    /// The next message; None at the end of the conversation.
    fn receive(&self, wait: Wait<'_>) -> Result<Option<(Tag, Option<OwnedFd>)>> {
        wait(self.channel.as_fd()).map_err(Error::io("wait for a message of init"))?;
        match self.channel.receive().map_err(Error::io("read a message of init"))? {
            Received::Message(message, root) if message.tag == Tag::Failed => {
                let process = self.second.0.as_ref().or(self.first.0.as_ref());
                let pid = process.map(Process::pid).ok_or_else(Error::protocol)?;
                Err(Error::of_failure(&self.plan, message, &Scene::of(pid, root)))
            }
            Received::Message(message, fd) => Ok(Some((message.tag, fd))),
            Received::End => Ok(None),
        }
    }
}

/// A process that is killed and reaped unless it is taken out.
#[derive(Debug)]
struct Unwaited(Option<Process>);

impl Unwaited {
    fn take(&mut self) -> Option<Process> {
        self.0.take()
    }
}

impl Drop for Unwaited {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            // Both fail only when it is gone already.
            let _ = process.kill(Signal::KILL);
            let _ = process.wait();
        }
    }
}

fn plan(joining: &Joining<'_>, pid: i32, kinds: Kinds, args: &[OsString]) -> Result<Plan> {
    let Joining { state, host, environment } = *joining;
    let container = &state.container;
    let user_namespace = kinds.contains(Kinds::USER);
    let terminal = container.tty.unwrap_or(host.terminal);
    let identity =
        Identity::resolve(container, host, user_namespace, |path| account_file(pid, path))?;
    let groups = if setgroups_denied(&pid.to_string()) { Groups::Denied } else { Groups::Set };

    let die = || Step::ParentDeathSignal(Some(Signal::KILL));
    let mut steps = vec![die(), Step::EnterCgroup, Step::OpenProcfs];
    // Written from outside, to the host's /proc: a fork keeps what they ask for.
    steps.extend(lower::own_proc_files(container, host, user_namespace)?);
    steps.extend([Step::NotDumpable, Step::JoinContainer(kinds)]);
    if user_namespace {
        steps.push(Step::BecomeRoot { setgroups: groups == Groups::Set });
        steps.push(die());
    }
    if terminal {
        steps.extend([Step::OpenTerminal, Step::SendConsole]);
    }
    steps.push(Step::Report(Tag::Ready));
    let mut last_steps = vec![Step::Await(Tag::Start)];
    last_steps.extend(lower::confine(container, host, &identity)?);
    last_steps.extend(lower::become_user(container, &identity, groups));
    last_steps.extend(lower::hand_over(container)?);
    // Last: who can trace processes in the container finds nothing but what it has.
    last_steps.push(Step::NotDumpable);
    if kinds.contains(Kinds::PID) {
        last_steps.extend([Step::EnterPidNamespace, Step::Await(Tag::Proceed)]);
    }
    last_steps.extend([die(), Step::NewSession]);
    if terminal {
        last_steps.push(Step::ControllingTerminal);
    }
    let program = lower::program(container, host, &identity.user, environment, terminal, args)?;
    Ok(Plan {
        namespaces: Kinds::NONE,
        joined: Vec::new(),
        id_maps: None,
        cgroup: None,
        launcher_steps: Vec::new(),
        interfaces: Vec::new(),
        terminal,
        steps,
        last_steps,
        program,
    })
}

/// A file of the running container's accounts, below its root as it is mounted there.
fn account_file(pid: i32, path: &str) -> Result<Option<Vec<u8>>> {
    /// As much as the accounts' parser takes, and one byte to tell that there is more.
    const LIMIT: u64 = (1 << 20) + 1;
    let root = format!("/proc/{pid}/root");
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let what = || format!("read {path} of the container");
    let open = || -> std::result::Result<Option<File>, Errno> {
        let root = rustix::fs::openat(CWD, root.as_str(), directory, Mode::empty())?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        match below::open(root.as_fd(), Path::new(path), flags) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            other => Ok(Some(File::from(other?))),
        }
    };
    let Some(file) = open().map_err(|errno| Error::io(what())(errno.into()))? else {
        return Ok(None);
    };
    let is_file = file.metadata().map_err(Error::io(what()))?.is_file();
    if !is_file {
        return Err(Error::io(what())(io::Error::other("is not a regular file")));
    }
    let mut content = Vec::new();
    file.take(LIMIT).read_to_end(&mut content).map_err(Error::io(what()))?;
    Ok(Some(content))
}
