//! Parent: from a plan to a running container.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nsinit_cgroups::Cgroup;
use nsinit_namespaces::{CloneRequest, NamespaceFile, Process};
use nsinit_network::{Links, NetworkNamespace};
use rustix::process::{Pid, Signal};

use crate::apart::Apart;
use crate::diagnosis::Scene;
use crate::error::{Error, Result};
use crate::handshake::{self, ParentEnd, Received, Tag};
use crate::init::{self, Inherited};
use crate::journal::Journal;
use crate::net::Network;
use crate::outside::Outside;
use crate::plan::{Plan, connect_lines, launcher_lines, map_lines};
use crate::process;
use crate::running::Running;
use crate::stdio::{Occupied, Pipes, Stdio};
use crate::systemd;
use crate::trace::Ring;

/// Init, which dies with this value unless it is taken out.
#[derive(Debug)]
struct KillOnDrop(Option<Process>);

impl KillOnDrop {
    fn process(&self) -> &Process {
        self.0.as_ref().expect("present until taken")
    }

    fn take(mut self) -> Process {
        self.0.take().expect("present until taken")
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            // Both fail only when init is gone already.
            let _ = process.kill(Signal::KILL);
            let _ = process.wait();
        }
    }
}

impl Plan {
    /// Creates the container and starts the program.
    ///
    /// The caller may have threads. The container is killed when the thread that
    /// calls this ends before it (`parent_death_signal`, prctl(2)). `SIGCHLD` must be left
    /// alone: an ignored one is reset to its default, for the whole process.
    ///
    /// # Errors
    ///
    /// [`Error::Step`] and [`Error::Program`] tell what failed inside; nothing is left
    /// behind.
    pub fn launch(&self, stdio: Stdio) -> Result<Running> {
        let _standard = Occupied::take().map_err(Error::io("open /dev/null"))?;
        self.begin(&stdio, &Journal::SILENT, |_| Ok(()))?.0.run()
    }

    /// Creates the container; the program waits for [`Created::start`].
    ///
    /// # Errors
    ///
    /// As [`Plan::launch`].
    pub fn create(&self, stdio: &Stdio) -> Result<Created<'_>> {
        let _standard = Occupied::take().map_err(Error::io("open /dev/null"))?;
        self.begin(stdio, &Journal::SILENT, |_| Ok(()))?.0.ready()
    }

    /// Makes init and what the container has outside. `record` keeps what it has to know
    /// of that, when init has mounted.
    pub(crate) fn begin<R>(
        &self,
        stdio: &Stdio,
        journal: &Journal,
        record: impl FnOnce(&Created<'_>) -> Result<R>,
    ) -> Result<(Begun<'_>, R)> {
        let mut outside = Outside::default();
        if let Some(cgroup) = self.cgroup.as_ref().filter(|cgroup| cgroup.scope.is_none()) {
            let made = Cgroup::create(&cgroup.path, &cgroup.limits);
            outside.cgroup = Some(made.map_err(Error::Cgroup)?);
            journal.done(|| cgroup.to_string());
        }
        let (pipes, child_stdio) = stdio.open().map_err(Error::io("make pipes"))?;
        let inherited = self.inherit(&outside, child_stdio)?;
        let ring = self.ring(stdio.trace || journal.is_traced())?;
        let (channel, child_end) = handshake::pair().map_err(Error::io("make a socket pair"))?;

        let request = CloneRequest {
            kinds: self.namespaces,
            into_cgroup: inherited.cgroup.as_ref().and_then(nsinit_cgroups::Entry::clone_into),
            ..CloneRequest::default()
        };
        let keep = inherited.keep(&child_end);
        let child = || init::run(self, &child_end, &inherited, &keep, ring.as_ref());
        journal.done(|| "prepare the clone".into());
        #[expect(unsafe_code, reason = "the one clone of a launch")]
        // SAFETY: `init::run` only makes system calls on prepared data and never returns.
        let init = unsafe { nsinit_namespaces::clone(&request, child) };
        let init = KillOnDrop(Some(init.map_err(Error::Namespaces)?));
        drop((child_end, inherited));
        let busy = !self.launcher_steps.is_empty();
        let apart = busy.then(|| Apart::ask(init.process().pid())).flatten();
        journal.done(|| format!("clone into new {}", self.namespaces));
        journal.follow(self, ring.as_ref(), init.process().pid());
        let mut created = Created {
            plan: self,
            channel,
            init,
            outside,
            pipes,
            ring,
            procfs: None,
            terminal: None,
            ready: false,
        };
        match created.connect_outside(apart, journal, record) {
            Ok(recorded) => Ok((Begun(created), recorded)),
            Err(error) => Err(created.explain(error)),
        }
    }

    pub(crate) fn ring(&self, traced: bool) -> Result<Option<Ring>> {
        let ring = traced.then(|| Ring::new(self.step_count())).transpose();
        ring.map_err(|errno| Error::io("map memory for a trace")(errno.into()))
    }

    fn inherit(&self, outside: &Outside, stdio: [Option<OwnedFd>; 3]) -> Result<Inherited> {
        let cgroup = outside.cgroup.as_ref().map(Cgroup::entry).transpose();
        let open = |joined: &crate::plan::JoinedNamespace| {
            NamespaceFile::open(&joined.path, joined.kind).map_err(Error::Namespaces)
        };
        Ok(Inherited {
            cgroup: cgroup.map_err(Error::Cgroup)?,
            namespaces: self.joined.iter().map(open).collect::<Result<_>>()?,
            container: None,
            stdio,
        })
    }
}

/// A container whose init is at work.
#[derive(Debug)]
pub(crate) struct Begun<'a>(Created<'a>);

impl<'a> Begun<'a> {
    pub(crate) fn pid(&self) -> Pid {
        self.0.pid()
    }

    /// Waits until init has done everything but its last steps.
    pub(crate) fn ready(self) -> Result<Created<'a>> {
        let Begun(mut created) = self;
        match created.await_ready() {
            Ok(()) => Ok(created),
            Err(error) => Err(created.explain(error)),
        }
    }

    /// Returns when the program runs. Init is told to start before it is ready where
    /// nobody has anything to do in between.
    pub(crate) fn run(self) -> Result<Running> {
        match self.0.plan.pauses_when_ready() {
            true => self.ready()?.start(),
            false => self.0.start(),
        }
    }
}

/// A container whose init waits before its last steps.
///
/// Dropping it kills the container and removes everything.
#[derive(Debug)]
pub struct Created<'a> {
    plan: &'a Plan,
    channel: ParentEnd,
    init: KillOnDrop,
    outside: Outside,
    pipes: Pipes,
    ring: Option<Ring>,
    /// By which the network's parameters were set. To close it takes a grace period of the
    /// kernel's, for which nobody has to wait while the program runs.
    procfs: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
    ready: bool,
}

impl Created<'_> {
    /// Init's process id, as the caller sees it.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.init.process().pid()
    }

    /// The cgroup, if the configuration asks for one.
    #[must_use]
    pub fn cgroup(&self) -> Option<&Cgroup> {
        self.outside.cgroup.as_ref()
    }

    /// The host ends of the container's interfaces.
    #[must_use]
    pub fn host_links(&self) -> Vec<String> {
        let names = self.outside.links.iter().flat_map(Links::host_names);
        names.map(str::to_owned).collect()
    }

    /// Bridges that were made for the container.
    #[must_use]
    pub fn own_bridges(&self) -> Vec<String> {
        self.outside.links.iter().flat_map(|links| links.own_bridges().to_vec()).collect()
    }

    /// The pty's master, if the container has a terminal. Before [`Created::start`] its
    /// size can be set, which a program may ask for first.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// The launcher's part, while init is at work on its own.
    fn connect_outside<R>(
        &mut self,
        apart: Option<Apart>,
        journal: &Journal,
        record: impl FnOnce(&Created<'_>) -> Result<R>,
    ) -> Result<R> {
        let plan = self.plan;
        let scope = plan.cgroup.as_ref().and_then(|cgroup| Some((cgroup, cgroup.scope.as_ref()?)));
        if let Some((cgroup, scope)) = scope {
            self.outside.cgroup = Some(systemd::create(scope, &cgroup.limits, self.pid())?);
            journal.done(|| cgroup.to_string());
        }
        if let Some(maps) = &plan.id_maps {
            maps.write(self.pid()).map_err(Error::Namespaces)?;
            journal.done(|| map_lines(maps).join(", "));
        }
        if plan.id_maps.is_some() || scope.is_some() {
            self.send(Tag::Mapped, None)?;
        }
        let mut socket = None;
        // By its socket init enters it.
        let give = |socket: BorrowedFd<'_>| self.send(Tag::Netlink, Some(socket));
        if let Some(network) = Network::make(plan, give)? {
            socket = Some(network.socket);
            self.procfs = Some(network.procfs);
            journal.done(|| launcher_lines(plan).join(", "));
        }
        if !plan.interfaces.is_empty() {
            if socket.is_none() {
                socket = self.expect(Tag::Netlink)?;
                journal.done(|| "wait for a netlink socket".into());
            }
            self.connect(socket.ok_or_else(Error::protocol)?)?;
            self.send(Tag::Proceed, None)?;
            journal.done(|| connect_lines(&plan.interfaces).join(", "));
        }
        if plan.launcher_steps.is_empty() {
            self.expect(Tag::Mounted)?;
            journal.done(|| "wait for mounts".into());
        }
        let recorded = record(self)?;
        journal.done(|| "record the container".into());
        let whole = apart.map_or(Ok(()), Apart::end);
        whole.map_err(|errno| Error::io("let init use all processors")(errno.into()))?;
        Ok(recorded)
    }

    fn await_ready(&mut self) -> Result<()> {
        loop {
            match self.receive()? {
                (Tag::Console, Some(master)) if self.plan.terminal => {
                    self.terminal = Some(master);
                }
                (Tag::Ready, None) => {
                    self.ready = true;
                    return self.restrict_devices();
                }
                _ => return Err(Error::protocol()),
            }
        }
    }

    /// Only the program is bound by the rules: init had nodes to make.
    fn restrict_devices(&self) -> Result<()> {
        let rules = self.plan.cgroup.as_ref().and_then(|cgroup| cgroup.devices.as_ref());
        match (&self.outside.cgroup, rules) {
            (Some(cgroup), Some(rules)) => cgroup.restrict_devices(rules).map_err(Error::Cgroup),
            _ => Ok(()),
        }
    }

    fn connect(&mut self, socket: OwnedFd) -> Result<()> {
        let namespace = NetworkNamespace::from_socket(socket).map_err(Error::Network)?;
        let links = nsinit_network::blocking::connect(&namespace, &self.plan.interfaces);
        self.outside.links = Some(links.map_err(Error::Network)?);
        Ok(())
    }

    /// Lets init go on; returns when the program runs.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when there is no such program, or it cannot be executed.
    pub fn start(mut self) -> Result<Running> {
        let program = match self.send(Tag::Start, None).and_then(|()| self.wait_for_execve()) {
            Ok(program) => program,
            Err(error) => return Err(self.explain(error)),
        };
        Ok(Running {
            program,
            init: self.init.take(),
            outside: self.outside,
            stdin: self.pipes.stdin,
            stdout: self.pipes.stdout,
            stderr: self.pipes.stderr,
            terminal: self.terminal,
            ring: self.ring,
            ended: None,
            out_of_memory: None,
        })
    }

    fn send(&self, tag: Tag, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        match self.channel.send(tag, fd) {
            // Init has gone; what it said before is still to be read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Error::io("send a message to init")),
        }
    }

    /// The next message, which has to be this one.
    fn expect(&self, tag: Tag) -> Result<Option<OwnedFd>> {
        match self.receive()? {
            (received, fd) if received == tag => Ok(fd),
            _ => Err(Error::protocol()),
        }
    }

    fn receive(&self) -> Result<(Tag, Option<OwnedFd>)> {
        let ended = Error::Init { status: None, out_of_memory: None };
        self.receive_from(self.pid())?.ok_or(ended)
    }

    /// The next message, or that there will be none. Who tells of a failure waits.
    fn receive_from(&self, teller: Pid) -> Result<Option<(Tag, Option<OwnedFd>)>> {
        match self.channel.receive().map_err(Error::io("read a message of init"))? {
            Received::Message(message, root) if message.tag == Tag::Failed => {
                Err(Error::of_failure(self.plan, message, &Scene::of(teller, root)))
            }
            Received::Message(message, fd) => Ok(Some((message.tag, fd))),
            Received::End => Ok(None),
        }
    }

    /// The program's pid, if it is not init's.
    fn wait_for_execve(&mut self) -> Result<Option<Pid>> {
        self.channel.wait_for_end().map_err(Error::io("wait for init"))?;
        let mut program = None;
        loop {
            match self.receive_from(program.unwrap_or(self.pid()))? {
                Some((Tag::Program, Some(pidfd))) => program = process::pid_of(&pidfd),
                Some((Tag::Ready, None)) if !self.ready => self.ready = true,
                Some(_) => return Err(Error::protocol()),
                // execve closed the channel. (Or init was killed just before: then it ended
                // by that signal, which is what the caller will be told of the program, too.)
                None if self.ready => return Ok(program),
                None => return Err(Error::Init { status: None, out_of_memory: None }),
            }
        }
    }

    /// Adds to an error what only the parent can find out, now that init is gone.
    fn explain(&mut self, error: Error) -> Error {
        let Error::Init { status: None, .. } = error else { return error };
        let process = self.init.process();
        let _ = process.kill(Signal::KILL);
        let status = process.wait().ok();
        Error::Init { status, out_of_memory: self.outside.out_of_memory() }
    }
}
