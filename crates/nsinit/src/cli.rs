//! Parent: the command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use nsinit_config::{Container, Faults, Mount, NamespaceEntry};
use nsinit_namespaces::Namespace;

use crate::directory::{self, Directory, Origin, Place};
use crate::doctor::{self, Planned, Report};
use crate::error::{Error, Result, printable};
use crate::host::Host;
use crate::keys;
use crate::log::Log;
use crate::lower::Source;
use crate::plan::Plan;
use crate::preflight;
use crate::run;
use crate::seal::reexecute_sealed;

/// The version, and the back ends that are built in.
const VERSION: &str = match (cfg!(feature = "selinux"), cfg!(feature = "systemd")) {
    (false, false) => concat!(env!("CARGO_PKG_VERSION"), " (labels: kernel; cgroups: cgroupfs)"),
    (true, false) => concat!(env!("CARGO_PKG_VERSION"), " (labels: libselinux; cgroups: cgroupfs)"),
    (false, true) => {
        concat!(env!("CARGO_PKG_VERSION"), " (labels: kernel; cgroups: cgroupfs, systemd)")
    }
    (true, true) => {
        concat!(env!("CARGO_PKG_VERSION"), " (labels: libselinux; cgroups: cgroupfs, systemd)")
    }
};

/// Run programs in containers: a root filesystem and a container.json in a directory.
#[derive(Debug, Parser)]
#[command(name = "nsinit", version = VERSION, after_help = "Example:\n  nsinit exec sh")]
pub struct CommandLine {
    /// The container's directory
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Where to log what the launcher does: none, stderr, or a file
    #[arg(long, global = true, value_name = "WHERE", default_value = "none")]
    log: OsString,
    /// As they were given: for the re-execution.
    #[arg(skip)]
    arguments: Vec<OsString>,
    #[command(subcommand)]
    command: Command,
}

impl CommandLine {
    /// Understands the arguments of a process, its name included.
    ///
    /// # Errors
    ///
    /// What is wrong with them, or the help that they ask for.
    pub fn parse_arguments(
        arguments: Vec<OsString>,
    ) -> std::result::Result<CommandLine, clap::Error> {
        let mut line = CommandLine::try_parse_from(&arguments)?;
        line.arguments = arguments;
        Ok(line)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a program: start the container of this directory, or join it if it lives
    Exec(Exec),
    /// Print what exec would do, step by step; changes nothing and needs no privileges
    #[command(after_help = "With --format json standard output has an object, or an array of \
                            faults (file, line, column, path, message, suggestion) and the exit \
                            code of the error")]
    Plan(Printed),
    /// Say whether this configuration would run here, as this user; or, while its container
    /// lives, whether that has what was asked for
    Doctor(Doctor),
    /// Print the configuration that a directory without container.json gets
    Spec,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: the program's; 128+n after signal n; 125 no container, 126 not \
                        executable, 127 not found, 2 usage\n\nExamples:\n  nsinit exec sh\n  \
                        nsinit exec --user www --env LANG=C id"
)]
struct Exec {
    /// Do not say which container is used when there is no container.json
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Clone, Debug, Args)]
struct Printed {
    /// For people or for tools
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 nothing was found that stands in the way, or that was not asked \
                  for; 1 something was; 2 usage\n\nExamples:\n  nsinit doctor sh\n  \
                  nsinit doctor --format json"
)]
struct Doctor {
    /// Print an AppArmor profile that lets this executable make user namespaces, and nothing else
    #[arg(long)]
    apparmor_profile: bool,
    #[command(flatten)]
    printed: Printed,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Human,
    Json,
}

#[derive(Clone, Debug, Args)]
struct Shape {
    /// Set a variable in the program's environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = environment_entry)]
    env: Vec<String>,
    /// Run as this user: name, uid, name:group or uid:gid
    #[arg(long)]
    user: Option<String>,
    /// Run in this directory of the container
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    cwd: Option<PathBuf>,
    /// Give the program a terminal of its own (default: when standard input and output are
    /// terminals)
    #[arg(long)]
    tty: bool,
    /// Bind a file or directory of the host: SRC[:DST][:rw], read-only by default
    #[arg(long, value_name = "SRC[:DST][:rw]", value_parser = parse_bind)]
    bind: Vec<Mount>,
    /// The network: the host's, or none but the loopback
    #[arg(long, value_parser = ["host", "none"])]
    network: Option<String>,
    /// The program and its arguments; without them "args" of the configuration
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn environment_entry(text: &str) -> std::result::Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err("must be KEY=VALUE".into()),
    }
}

fn absolute(text: &str) -> std::result::Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("must be absolute".into()) }
}

fn parse_bind(text: &str) -> std::result::Result<Mount, String> {
    let (paths, writable) = match text.strip_suffix(":rw") {
        Some(paths) => (paths, true),
        None => (text.strip_suffix(":ro").unwrap_or(text), false),
    };
    let (source, destination) = paths.split_once(':').unwrap_or((paths, paths));
    if source.is_empty() || !(destination.starts_with('/') || destination == source) {
        return Err("must be SRC[:DST][:rw], with an absolute DST".into());
    }
    let resolved = std::path::absolute(source).map_err(|error| error.to_string())?;
    let destination = match paths.contains(':') {
        true => PathBuf::from(destination),
        false => resolved.clone(),
    };
    Ok(Mount { writable, ..Mount::bind(resolved, destination) })
}

impl CommandLine {
    /// Whether an error is told to a tool: on standard output, like the answer.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        matches!(&self.command, Command::Plan(Printed { format: Format::Json, .. }))
    }
}

impl Shape {
    /// What shapes the whole container, and is sealed with it.
    fn shape(&self, directory: &mut Directory) {
        let container = &mut directory.container;
        let all_but_net =
            [Namespace::Mount, Namespace::Uts, Namespace::Ipc, Namespace::Pid, Namespace::Cgroup];
        match self.network.as_deref() {
            Some("host") => {
                container.networks.clear();
                if matches!(directory.origin, Origin::BuiltIn) {
                    // The host's network is of little use without its names.
                    let names = Mount::bind("/etc/resolv.conf", "/etc/resolv.conf");
                    container.mounts.push(Mount { optional: true, ..names });
                }
                let entries = container.namespaces.get_or_insert_with(|| {
                    all_but_net.into_iter().map(NamespaceEntry::from).collect()
                });
                entries.retain(|entry| entry.kind != Namespace::Net);
            }
            Some(_) => {
                container.networks.clear();
                if let Some(entries) = &mut container.namespaces {
                    entries.retain(|entry| entry.kind != Namespace::Net);
                    entries.push(Namespace::Net.into());
                }
            }
            None => {}
        }
        // Last, so that they are known by their place.
        container.mounts.extend(self.bind.iter().cloned());
    }

    /// The option that gave a key its value, where it is not the configuration's.
    fn option_of(&self, key: &str, directory: &Directory) -> Option<&'static str> {
        let index =
            key.strip_prefix("mounts[").and_then(|rest| rest.split(']').next()?.parse().ok());
        let own_mounts = directory.container.mounts.len().saturating_sub(self.bind.len());
        match key {
            "user" if self.user.is_some() => Some("--user"),
            "working_dir" if self.cwd.is_some() => Some("--cwd"),
            _ if index.is_some_and(|index: usize| index >= own_mounts) => Some("--bind"),
            _ => None,
        }
    }

    /// What is meant for this process alone.
    pub(crate) fn personal(&self, container: &mut Container) {
        if let Some(user) = &self.user {
            container.user = Some(user.clone());
        }
        if let Some(cwd) = &self.cwd {
            container.working_dir = Some(cwd.clone());
        }
        if self.tty {
            container.tty = Some(true);
        }
    }
}

/// Runs a command line: the exit code.
///
/// # Errors
///
/// What the caller is to print.
pub fn run(line: &CommandLine) -> Result<u8> {
    refuse_setuid()?;
    // Files of ours have exactly the modes that are asked for; the container has its own.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let log = Log::open(&line.log)?;
    match &line.command {
        Command::Exec(exec) => exec_command(line, exec, &log),
        Command::Plan(printed) => plan_command(line, printed),
        Command::Doctor(doctor) => doctor_command(line, doctor),
        Command::Spec => print(&directory_without_file(&line.root)?.to_json_pretty()),
    }
}

/// Everything here trusts who runs it: the environment, the paths, the configuration.
fn refuse_setuid() -> Result<()> {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    if getuid() == geteuid() && getgid() == getegid() {
        return Ok(());
    }
    let why = "must not be installed setuid or setgid: use a user namespace, or sudo";
    Err(Error::io("run nsinit")(io::Error::other(why)))
}

/// What `spec` writes: the configuration that exec would use without the file.
fn directory_without_file(root: &Path) -> Result<Container> {
    if crate::builtin::looks_like_root_filesystem(root) {
        return Ok(Container::default());
    }
    Ok(directory::built_in())
}

fn plan_command(line: &CommandLine, printed: &Printed) -> Result<u8> {
    let mut directory = Place::find(&line.root)?.read()?;
    let (_, plan) = make_plan(&mut directory, &printed.shape, None)?;
    preflight::ask_for_cgroup(&plan).map_err(|error| locate(error, &directory, &printed.shape))?;
    match printed.format {
        Format::Human => print(&plan.to_string()),
        Format::Json => print(&plan.to_json_pretty()),
    }
}

fn doctor_command(line: &CommandLine, doctor: &Doctor) -> Result<u8> {
    if doctor.apparmor_profile {
        return print(&doctor::apparmor_profile()?);
    }
    let Printed { format, mut shape } = doctor.printed.clone();
    let place = Place::find(&line.root)?;
    if let Some(audit) = doctor::audit(&place)? {
        match format {
            Format::Human => print(&audit.to_string())?,
            Format::Json => print(&audit.to_json_pretty())?,
        };
        return Ok(audit.exit_code());
    }
    let planned = place.read().map(|mut directory| {
        let args = directory.container.args.as_ref();
        let named = !shape.command.is_empty() || args.is_some_and(|args| !args.is_empty());
        if !named {
            shape.command.push("sh".into());
        }
        let plan = make_plan(&mut directory, &shape, None).map(|(_, plan)| plan);
        Planned { directory, plan, program_is_named: named }
    });
    let report = Report::of(planned)?;
    match format {
        Format::Human => print(&report.to_string())?,
        Format::Json => print(&report.to_json_pretty())?,
    };
    Ok(report.exit_code())
}

/// The sealed configuration, and the plan of this very command line.
fn make_plan(
    directory: &mut Directory,
    shape: &Shape,
    run_directory: Option<&Path>,
) -> Result<(Container, Plan)> {
    shape.shape(directory);
    plan_of(directory, shape, run_directory).map_err(|error| locate(error, directory, shape))
}

fn plan_of(
    directory: &Directory,
    shape: &Shape,
    run_directory: Option<&Path>,
) -> Result<(Container, Plan)> {
    let host = Host::probe()?;
    let sealed = directory.container.clone();
    let mut container = sealed.clone();
    shape.personal(&mut container);
    let rootfs = directory.rootfs()?;
    let source = Source {
        container: &container,
        host: &host,
        rootfs: &rootfs,
        directory: &directory.path,
        run_directory,
        environment: &shape.env,
    };
    let plan = Plan::from_source(&source, shape.command.iter())?;
    preflight::ask(&plan)?;
    Ok((sealed, plan))
}

/// Tells what a key asked for in vain like the configuration's own faults: at its place,
/// which may be the command line.
fn locate(error: Error, directory: &Directory, shape: &Shape) -> Error {
    if let Error::Config(nsinit_config::Error::Faults(faults)) = error {
        return shaped(faults, directory, shape);
    }
    let Some(key) = keys::of(&directory.container, &error) else { return error };
    let hint = error.hint().or_else(|| keys::remedy(&key, &error));
    let message = match error {
        Error::Container { message, .. } => message,
        // The key and its value are shown.
        Error::Cgroup(nsinit_cgroups::Error::Limit { reason, .. }) => reason,
        other => other.to_string(),
    };
    if let Some(option) = shape.option_of(&key, directory) {
        return Error::Container { key: option.into(), message, hint };
    }
    match &directory.origin {
        Origin::File(file) => Error::Config(file.fault_at(&key, printable(&message), hint).into()),
        _ => Error::Container { key, message, hint },
    }
}

/// The configuration was sound as it was read: it is what the options made of it.
fn shaped(faults: Faults, directory: &Directory, shape: &Shape) -> Error {
    let mut list = faults.iter();
    let by_option = list.find_map(|fault| {
        let option = shape.option_of(&fault.path, directory)?;
        Some(Error::Usage(format!("{option}: {}", fault.message)))
    });
    by_option.unwrap_or(Error::Config(faults.into()))
}

fn exec_command(line: &CommandLine, exec: &Exec, log: &Log) -> Result<u8> {
    /// A container that ends while it is joined is started anew, as often as that.
    const ATTEMPTS: usize = 8;
    let place = Place::find(&line.root)?;
    let mut session = run::Session::open(&place)?;
    if session.is_recorded() {
        // The lock is left by the re-execution, and taken again by the copy.
        reexecute_sealed(&line.arguments)?;
    }
    let mut attempt = 1;
    let code = loop {
        // A running container is joined as it was started, whatever its directory says now.
        let Some(mut state) = session.running()? else {
            break start(line, &place, session, exec, log)?;
        };
        refuse_reshaping(&exec.shape)?;
        exec.shape.personal(&mut state.container);
        log.event("join the running container");
        let failure = match session.join(&state, &exec.shape.env, &exec.shape.command) {
            Ok(code) => break code,
            Err(failure) => *failure,
        };
        match (failure.error, failure.held) {
            (error @ Error::Program { .. }, _) => return Err(error),
            // The lock is kept: nobody starts another container before this command.
            (_, Some(held)) if attempt < ATTEMPTS && state.is_ending() => session = held,
            (error, _) => return Err(error),
        }
        attempt += 1;
    };
    log.event(&format!("the program ended with {code}"));
    Ok(code)
}

fn refuse_reshaping(shape: &Shape) -> Result<()> {
    if shape.bind.is_empty() && shape.network.is_none() {
        return Ok(());
    }
    Err(Error::Usage(
        "--bind and --network shape a container at its start: this one runs already".into(),
    ))
}

fn start(
    line: &CommandLine,
    place: &Place,
    session: run::Session,
    exec: &Exec,
    log: &Log,
) -> Result<u8> {
    let mut directory = place.read()?;
    if directory.container.init.unwrap_or(false) {
        // Our own process stays inside as PID 1.
        reexecute_sealed(&line.arguments)?;
    }
    let (sealed, plan) = make_plan(&mut directory, &exec.shape, Some(session.directory()))?;
    // This process ends with the container. Taking the plan apart would only copy pages
    // that init shares.
    let (directory, plan) = (ManuallyDrop::new(directory), ManuallyDrop::new(plan));
    if let Some(remark) = directory.remark().filter(|_| !exec.quiet) {
        say(&remark);
    }
    log.event(&format!("start the container of {}", directory.path.display()));
    session
        .start(&directory, sealed, &plan, log)
        .map_err(|error| locate(error, &directory, &exec.shape))
}

/// One line on standard error.
pub(crate) fn say(message: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr(), "nsinit: {message}");
}

fn print(text: &str) -> Result<u8> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(1),
        other => other.map(|()| 0).map_err(Error::io("write to standard output")),
    }
}
