//! Parent: `nsinit exec`: start or join, stay until the program ends, clean up.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitStatus;

use nsinit_config::Container;
use rustix::process::Signal;

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::join::{self, Joining};
use crate::launch::{Running, Stdio};
use crate::log::Log;
use crate::pid_file::{self, PidFile};
use crate::plan::Plan;
use crate::process::ProcessId;
use crate::state::{Entry, RunDirectory, State};
use crate::terminal::{RelayEnds, Signals, Terminal, relay};

/// One command's hold on a directory's container: its entry, locked.
#[derive(Debug)]
pub(crate) struct Session {
    entry: Entry,
}

impl Session {
    pub(crate) fn open(directory: &Directory) -> Result<Session> {
        let uid = rustix::process::geteuid().as_raw();
        refuse_foreign(&directory.path.join("pid"), uid)?;
        let entry = RunDirectory::open(uid)?.lock(directory.id)?;
        Ok(Session { entry })
    }

    /// The container, if it lives; else what is left of one is removed.
    pub(crate) fn running(&self) -> Result<Option<State>> {
        match self.entry.read()? {
            Some(state) if state.init().is_some() => Ok(Some(state)),
            Some(state) => {
                state.clean_up()?;
                self.entry.clear()?;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Runs a program in the running container.
    pub(crate) fn join(
        self,
        state: &State,
        environment: &[String],
        args: &[OsString],
    ) -> Result<ExitStatus> {
        let signals = Signals::block().map_err(Error::io("block signals"))?;
        let host = Host::probe()?;
        let mut running = join::join(&Joining { state, host: &host, environment }, args)?;
        // From here on the container's end is the kernel's to tell.
        drop(self);
        stay(&mut running, &signals, SignalTarget::Program)?;
        running.wait()
    }

    /// Starts the container, runs the program in it, and removes everything.
    pub(crate) fn start(
        self,
        directory: &Directory,
        sealed: Container,
        plan: &Plan,
        log: &Log,
    ) -> Result<ExitStatus> {
        let signals = Signals::block().map_err(Error::io("block signals"))?;
        let is_init = sealed.init.unwrap_or(false);
        let mut pid_file = None;
        if directory.has_pid_file() {
            let path = directory.path.join("pid");
            pid_file = match PidFile::create(&path) {
                // It is for people: a container in a directory that the caller cannot write
                // is found by its state all the same.
                Err(error) if is_not_writable(&error) => None,
                other => Some(other.map_err(Error::path("create", &path))?),
            };
        }
        let mut running = match self.launch(sealed, plan, pid_file.as_mut(), log) {
            Ok(running) => running,
            Err(error) => {
                self.entry.clear()?;
                return Err(error);
            }
        };
        // Others may join while the program runs.
        let entry = self.entry.unlock();
        let target = if is_init { SignalTarget::Init } else { SignalTarget::Program };
        stay(&mut running, &signals, target)?;
        // Nobody starts the next container before this one's remains are removed.
        let entry = entry.lock()?;
        let status = running.wait()?;
        drop(pid_file);
        entry.clear()?;
        Ok(status)
    }

    fn launch(
        &self,
        sealed: Container,
        plan: &Plan,
        pid_file: Option<&mut PidFile>,
        log: &Log,
    ) -> Result<Running> {
        let created = plan.create(&Stdio::inherit())?;
        let init = ProcessId::of_child(created.pid())?;
        let pid = init.pid;
        log.event(&format!("created, init is pid {pid}"));
        let mut state = State {
            program: init.clone(),
            init,
            container: sealed,
            cgroup: created.cgroup().map_or_else(Vec::new, nsinit_cgroups::Cgroup::paths),
            cgroup_parents: created
                .cgroup()
                .map_or_else(Vec::new, nsinit_cgroups::Cgroup::made_parents),
            links: created.host_links(),
            bridges: created.own_bridges(),
            pid_file: pid_file.as_ref().map(|file| file.path().to_owned()),
        };
        self.entry.write(&state)?;
        if let Some(file) = pid_file {
            file.write(pid).map_err(Error::path("write", file.path()))?;
        }
        let running = created.start()?;
        if let Some(program) = running.program() {
            state.program = ProcessId::of_child(program)?;
            self.entry.write(&state)?;
        }
        Ok(running)
    }
}

fn is_not_writable(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// Somebody else's container in this directory is told, and never joined: its state is
/// in a run directory that this user cannot read, or must not trust.
fn refuse_foreign(pid_file: &Path, uid: u32) -> Result<()> {
    let Some(pid) = pid_file::read(pid_file) else { return Ok(()) };
    let Some(init) = pid_file::init_of(pid) else { return Ok(()) };
    if init.uid == uid || !init.in_inner_pid_namespace {
        return Ok(());
    }
    let owner = if init.uid == 0 { "root".to_owned() } else { format!("uid {}", init.uid) };
    Err(Error::Foreign { owner, pid })
}

/// Who gets the launcher's signals.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SignalTarget {
    /// Our init, which passes them on.
    Init,
    /// The program itself: as PID 1 it ignores what it has no handler for.
    Program,
}

/// Carries the terminal and the signals until the program has ended.
fn stay(running: &mut Running, signals: &Signals, target: SignalTarget) -> Result<()> {
    let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
    let terminal = running
        .terminal
        .take()
        .map(|master| Terminal::connect(stdin.as_fd(), stdout.as_fd(), master))
        .transpose()
        .map_err(Error::io("connect the terminal"))?;
    let pid = running.pid().as_raw_nonzero().get();
    let ends = RelayEnds { init: running.as_fd(), terminal, signals };
    let end = relay(ends, |signal| {
        let handled = target == SignalTarget::Init || handles(pid, signal);
        let fatal = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT].contains(&signal);
        // A program that has no handler would be ended by it, were it not PID 1.
        let signal = if fatal && !handled { Signal::KILL } else { signal };
        // The container may have ended just now.
        let _ = running.signal(signal);
    })
    .map_err(Error::io("wait for the program"))?;
    if let Some(errno) = end.lost_output {
        let action = "write the program's output to standard output";
        return Err(Error::io(action)(errno.into()));
    }
    Ok(())
}

/// Whether a process catches that signal, or waits for it blocked.
fn handles(pid: i32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let bit = 1_u64 << (signal.as_raw() - 1);
    ["SigCgt:", "SigBlk:", "SigIgn:"].iter().any(|name| mask(name).is_some_and(|set| set & bit != 0))
}
