//! Parent: `nsinit exec`: start or join, stay until the program ends, clean up.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nsinit_cgroups::Cgroup;
use nsinit_config::Container;
use nsinit_network::Interface;
use nsinit_rootfs as rootfs;
use rustix::process::{Pid, Signal};

use crate::directory::{CONFIG_FILE, Directory, Origin, Place};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::join::{self, Joining};
use crate::journal::Journal;
use crate::launch::Created;
use crate::outside::out_of_memory;
use crate::own_file::{self, OwnFile};
use crate::plan::Plan;
use crate::process::ProcessId;
use crate::running::Running;
use crate::state::{CgroupDirectory, Entry, Record, RunDirectory, State};
use crate::stdio::Stdio;
use crate::step::Step;
use crate::terminal::{RelayEnds, Signals, Terminal, relay};

/// One command's hold on a directory's container: its entry, locked.
#[derive(Debug)]
pub(crate) struct Session {
    entry: Entry,
    uid: u32,
    pid_file: PathBuf,
}

impl Session {
    pub(crate) fn open(place: &Place) -> Result<Session> {
        let uid = rustix::process::geteuid().as_raw();
        let entry = RunDirectory::open(uid)?.lock(place.id)?;
        Ok(Session { entry, uid, pid_file: place.path.join("pid") })
    }

    /// Holds what is recorded: no container may reach it.
    pub(crate) fn directory(&self) -> &Path {
        self.entry.path()
    }

    /// Whether there is a container, or what is left of one.
    pub(crate) fn is_recorded(&self) -> bool {
        self.entry.is_recorded()
    }

    /// The container, if it lives; else what is left of one is removed.
    ///
    /// # Errors
    ///
    /// When one lives that is somebody else's.
    pub(crate) fn running(&self) -> Result<Option<State>> {
        if let Some(state) = self.entry.read()? {
            if state.init()?.is_some() {
                return Ok(Some(state));
            }
            state.clean_up()?;
            self.entry.clear()?;
        }
        refuse_foreign(&self.pid_file, self.uid)?;
        Ok(None)
    }

    /// Runs a program in the running container: the exit code.
    pub(crate) fn join(
        self,
        state: &State,
        environment: &[String],
        args: &[OsString],
        journal: &Journal,
    ) -> std::result::Result<u8, Box<NotJoined>> {
        let begun = Signals::block().map_err(Error::io("block signals")).and_then(|signals| {
            let joined = start_joined(state, environment, args, &signals, journal)?;
            Ok((joined, signals))
        });
        let ((mut running, terminal), signals) = match begun {
            Ok(begun) => begun,
            Err(error) => return Err(Box::new(NotJoined { error, held: Some(self) })),
        };
        // From here on the container's end is the kernel's to tell.
        drop(self);
        journal.executed(&running);
        journal.publish();
        let ended = stay(&running, terminal, &signals, SignalTarget::Program)
            .and_then(|killed_by| Ok(code(running.wait()?, killed_by)));
        journal.done(|| "wait for the program's end".into());
        if ended.as_ref().is_ok_and(|code| *code == KILLED) {
            let cgroup = state.cgroup_paths().map(|paths| Cgroup::open(&paths));
            let limit = cgroup.ok().and_then(|cgroup| out_of_memory(&cgroup.ok()?));
            tell_of_memory(journal, args.first(), limit);
            if limit.is_none() && state.has_ended() {
                journal.remark("the container has ended, as its first program did");
            }
        }
        ended.map_err(|error| Box::new(NotJoined { error, held: None }))
    }

    /// Starts the container, runs the program in it, and removes everything: the exit
    /// code.
    pub(crate) fn start(
        self,
        directory: &Directory,
        sealed: Container,
        plan: &Plan,
        journal: &Journal,
    ) -> Result<u8> {
        // Dropped last: a signal that comes while this cleans up takes effect then.
        let signals = Signals::block().map_err(Error::io("block signals"))?;
        let is_init = sealed.init.unwrap_or(false);
        let launched = match self.launch(directory, sealed, plan, journal) {
            Ok(launched) => launched,
            Err(error) => {
                self.entry.clear()?;
                return Err(error);
            }
        };
        journal.publish();
        let Launched { mut running, terminal, record, files } = launched;
        // Others may join while the program runs.
        let entry = self.entry.unlock()?;
        let target = if is_init { SignalTarget::Init } else { SignalTarget::Program };
        let stayed = stay(&running, terminal, &signals, target);
        journal.done(|| "wait for the program's end".into());
        // Nobody starts the next container before this one's remains are removed; but
        // somebody may have found it dead, removed them, and started one already.
        let entry = entry.lock()?.filter(|entry| entry.holds(&record));
        if entry.is_none() {
            running.disown();
        }
        let status = running.wait()?;
        tell_of_memory(journal, Some(&plan.program.name()), running.out_of_memory());
        drop(files);
        if let Some(entry) = entry {
            entry.clear()?;
        }
        journal.done(|| "clean up".into());
        Ok(code(status, stayed?))
    }

    fn launch(
        &self,
        directory: &Directory,
        sealed: Container,
        plan: &Plan,
        journal: &Journal,
    ) -> Result<Launched> {
        let mut state = intent(directory, sealed, plan);
        if state.may_leave_remains() {
            self.entry.write(&state)?;
            journal.done(|| "record what will be made".into());
        }
        // They are there before init, which covers them.
        let files = Files::create(&state)?;
        let record = |created: &Created<'_>| {
            add_what_was_made(&mut state, created)?;
            let record = self.entry.write(&state)?;
            files.tell(created.pid())?;
            Ok(record)
        };
        let (begun, mut record) = plan.begin(&Stdio::inherit(), journal, record)?;
        journal.event(format_args!("created, init is pid {}", begun.pid()));
        let (running, terminal) = match plan.terminal {
            false => (begun.run()?, None),
            true => {
                let mut created = begun.ready()?;
                let terminal = created.take_terminal().map(connect);
                let terminal = terminal.transpose()?;
                journal.done(|| "connect the terminal".into());
                (created.start()?, terminal)
            }
        };
        journal.executed(&running);
        if let Some(program) = running.program() {
            state.program = Some(ProcessId::of_child(program)?);
            record = self.entry.write(&state)?;
            journal.done(|| "record the program".into());
        }
        Ok(Launched { running, terminal, record, files })
    }
}

/// Why a program does not run in the running container.
pub(crate) struct NotJoined {
    pub(crate) error: Error,
    /// The lock, where the program was not even started.
    pub(crate) held: Option<Session>,
}

fn start_joined(
    state: &State,
    environment: &[String],
    args: &[OsString],
    signals: &Signals,
    journal: &Journal,
) -> Result<(Running, Option<Terminal<'static>>)> {
    let host = Host::probe()?;
    journal.done(|| "ask the host".into());
    // Until the program runs a signal ends this command, and what it has started with it.
    let deadly = signals.deadly().map_err(Error::io("ask for signals"))?;
    let wait = |channel: BorrowedFd<'_>| deadly.wait_for(channel);
    join::run(&Joining { state, host: &host, environment }, args, journal, &wait, connect)
}

/// A container whose program runs, and what the launcher holds for it.
struct Launched {
    running: Running,
    terminal: Option<Terminal<'static>>,
    record: Record,
    files: Files,
}

/// What a launch is going to make.
fn intent(directory: &Directory, sealed: Container, plan: &Plan) -> State {
    let file = |name: &str| directory.path.join(name);
    // One that is there already is not ours to remove, whatever happens.
    let is_missing = |name: &str| !nsinit_network::link_exists(name).unwrap_or(true);
    let made_bridge = |interface: &Interface| match interface {
        Interface::Veth(veth) if veth.create_bridge && is_missing(&veth.bridge) => {
            Some(veth.bridge.clone())
        }
        _ => None,
    };
    let is_missing_config = !matches!(directory.origin, Origin::File(_));
    let covers = plan.all_steps().any(|step| matches!(step, Step::Rootfs(rootfs::Step::Cover(_))));
    State {
        init: None,
        program: None,
        container: sealed,
        cgroup_path: plan.cgroup.as_ref().map(|cgroup| cgroup.path.clone()),
        cgroup: Vec::new(),
        cgroup_parents: Vec::new(),
        links: Vec::new(),
        bridges: plan.interfaces.iter().filter_map(made_bridge).collect(),
        pid_file: directory.is_container().then(|| file("pid")),
        placeholder: (is_missing_config && covers).then(|| file(CONFIG_FILE)),
    }
}

fn add_what_was_made(state: &mut State, created: &Created<'_>) -> Result<()> {
    let init = ProcessId::of_child(created.pid())?;
    if let Some(cgroup) = created.cgroup() {
        // One that is gone is an error: without a record of it nobody who joins would enter it.
        let directory = |path: PathBuf| {
            let gone = || Error::Cgroup(nsinit_cgroups::Error::Gone { path: path.clone() });
            CgroupDirectory::of(path.clone())?.ok_or_else(gone)
        };
        state.cgroup = cgroup.paths().into_iter().map(directory).collect::<Result<_>>()?;
        state.cgroup_parents = cgroup.made_parents();
    }
    state.links = created.host_links();
    state.bridges = created.own_bridges();
    (state.init, state.program) = (Some(init.clone()), Some(init));
    Ok(())
}

/// Our files in the container's directory, while it lives: kept to be removed.
#[derive(Debug)]
struct Files {
    pid: Option<OwnFile>,
    _placeholder: Option<OwnFile>,
}

impl Files {
    fn create(state: &State) -> Result<Files> {
        let make = |path: &Option<PathBuf>, how: &dyn Fn(&Path) -> std::io::Result<OwnFile>| {
            let Some(path) = path else { return Ok(None) };
            match how(path) {
                // Where the caller cannot write, the container cannot either, and its state
                // tells all that `pid` would.
                Err(error) if is_not_writable(&error) => Ok(None),
                other => other.map(Some).map_err(Error::path("create", path)),
            }
        };
        Ok(Files {
            pid: make(&state.pid_file, &OwnFile::pid)?,
            _placeholder: make(&state.placeholder, &OwnFile::placeholder)?,
        })
    }

    /// Writes who init is.
    fn tell(&self, init: Pid) -> Result<()> {
        self.pid.as_ref().map_or(Ok(()), |file| file.write_pid(init))
    }
}

fn is_not_writable(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// Somebody else's container in this directory is told, and never joined: its state is
/// in a run directory that this user cannot read, or must not trust.
pub(crate) fn refuse_foreign(pid_file: &Path, uid: u32) -> Result<()> {
    let Some(pid) = own_file::read(pid_file) else { return Ok(()) };
    let Some(init) = own_file::init_of(pid) else { return Ok(()) };
    if init.uid == uid || !init.in_inner_pid_namespace {
        return Ok(());
    }
    let owner = if init.uid == 0 { "root".to_owned() } else { format!("uid {}", init.uid) };
    Err(Error::Foreign { owner, pid })
}

/// To be called before the program can ask for the terminal's size.
fn connect(master: OwnedFd) -> Result<Terminal<'static>> {
    Terminal::connect(rustix::stdio::stdin(), rustix::stdio::stdout(), master)
        .map_err(Error::io("connect the terminal"))
}

/// Who gets the launcher's signals.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SignalTarget {
    /// Our init, which passes them on.
    Init,
    /// The program itself: as PID 1 it ignores what it has no handler for.
    Program,
}

/// Carries the terminal and the signals until the program has ended; the signal for
/// which it was killed, if it was.
fn stay(
    running: &Running,
    terminal: Option<Terminal<'_>>,
    signals: &Signals,
    target: SignalTarget,
) -> Result<Option<Signal>> {
    let pid = running.pid().as_raw_nonzero().get();
    let mut killed_by = None;
    let ends = RelayEnds { init: running.as_fd(), terminal, signals };
    let end = relay(ends, |signal| {
        let handled = target == SignalTarget::Init || handles(pid, signal);
        let fatal = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT].contains(&signal);
        let mut sent = signal;
        // A program that has no handler would be ended by it, were it not PID 1.
        if fatal && !handled {
            killed_by = Some(signal);
            sent = Signal::KILL;
        }
        // The container may have ended just now.
        let _ = running.signal(sent);
    })
    .map_err(Error::io("wait for the program"))?;
    match end.lost_output {
        Some(errno) => {
            let action = "write the program's output to standard output";
            Err(Error::io(action)(errno.into()))
        }
        None => Ok(killed_by),
    }
}

/// The exit code, or 128 + the signal.
fn code(status: ExitStatus, killed_by: Option<Signal>) -> u8 {
    let signal = match (status.signal(), killed_by) {
        (Some(9), Some(asked)) => Some(asked.as_raw()),
        (signal, _) => signal,
    };
    let number = status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0));
    u8::try_from(number).unwrap_or(125)
}

/// The exit code of a program that was killed, which does not tell by whom.
const KILLED: u8 = 128 + 9;

/// Says what a program that was killed may have been killed for.
fn tell_of_memory(journal: &Journal, program: Option<&OsString>, limit: Option<u64>) {
    let (Some(program), Some(limit)) = (program, limit) else { return };
    journal.remark(&format!(
        "{} was killed, and the OOM killer was at work in its cgroup: cgroups.memory is {limit} \
         bytes",
        program.to_string_lossy().escape_debug()
    ));
}

/// Whether a process catches that signal, or waits for it blocked.
fn handles(pid: i32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let bit = 1_u64 << (signal.as_raw() - 1);
    ["SigCgt:", "SigBlk:", "SigIgn:"]
        .iter()
        .any(|name| mask(name).is_some_and(|set| set & bit != 0))
}
