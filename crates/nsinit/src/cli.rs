//! Parent: the command line.

mod exec;
mod shape;
mod usual;

pub use exec::reexecute_early;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use nsinit_config::{Container, Faults};
use rustix::io::Errno;

use crate::directory::{self, Directory, Origin, Place};
use crate::doctor::{self, Planned, Report};
use crate::error::{Error, Result, printable};
use crate::host::Host;
use crate::journal::Journal;
use crate::keys;
use crate::log::{Log, LogFormat};
use crate::lower::Source;
use crate::plan::Plan;
use crate::preflight;
use shape::Shape;

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

const GLOBAL: &str = "Options of every command";

const EXAMPLES: &str = "\
Examples:
  nsinit exec sh                 a shell in a container, as root or not
  nsinit spec > container.json   the configuration of that container, to be changed
  nsinit plan sh                 what exec would do, without doing it
  nsinit doctor sh               whether it would run here, and if not, why";

const EXEC_EXAMPLES: &str = "\
Examples:
  nsinit exec sh
  nsinit exec --user www --env LANG=C id      as another user, with a variable
  nsinit exec --bind .:/src:rw --cwd /src make
                                              with a directory of the host, to be written
  nsinit --root /srv/koye exec                \"args\" of the container there
  nsinit exec --trace /tmp/trace.json true    what takes how long

Exit code: the program's; 128+n after signal n; 125 no container, 126 not executable,
127 not found, 2 usage";

const PLAN_EXAMPLES: &str = "\
Examples:
  nsinit plan sh
  nsinit plan --format json sh | jq -r '.init[].step'

With --format json standard output has an object, or an array of faults (file, line,
column, path, message, suggestion) and the exit code of the error";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  nsinit doctor sh
  nsinit doctor --format json
  nsinit doctor --apparmor-profile > /etc/apparmor.d/nsinit

Exit code: 0 nothing was found that stands in the way, or that was not asked for;
1 something was; 2 usage";

const SPEC_EXAMPLES: &str = "\
Examples:
  nsinit spec > container.json";

/// Run programs in containers: a root filesystem and a container.json in a directory.
#[derive(Clone, Debug, Parser)]
#[command(name = "nsinit", version = VERSION, after_help = EXAMPLES)]
pub struct CommandLine {
    /// The container's directory
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        value_name = "DIR",
        default_value = ".",
        value_hint = ValueHint::DirPath,
    )]
    root: PathBuf,
    /// Log what nsinit does: none, stderr, or a file [default: none; with --debug stderr]
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        value_name = "WHERE",
        value_hint = ValueHint::FilePath,
    )]
    log: Option<OsString>,
    /// One line an event: for people, or an object with time, level, pid and msg
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
    )]
    log_format: LogFormat,
    /// Log every step of a launch, too
    #[arg(long, global = true, help_heading = GLOBAL)]
    debug: bool,
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

    /// The same for most lines of `exec`, in a fiftieth of the time; of all others nothing.
    #[must_use]
    pub fn usual(arguments: &[OsString]) -> Option<CommandLine> {
        usual::exec(arguments)
    }
}

#[derive(Clone, Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Run a program: start the container of this directory, or join it if it lives
    Exec(Exec),
    /// Print what exec would do, step by step; changes nothing and needs no privileges
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(Printed),
    /// Say whether this configuration would run here, as this user; or, while its container
    /// lives, whether that has what was asked for
    Doctor(Doctor),
    /// Print the configuration that a directory without container.json gets
    #[command(after_help = SPEC_EXAMPLES)]
    Spec,
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = EXEC_EXAMPLES)]
struct Exec {
    /// Do not say which container is used when there is no container.json
    #[arg(long)]
    quiet: bool,
    /// Write what took how long to a file for chrome://tracing or ui.perfetto.dev, and a
    /// summary to standard error
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    trace: Option<PathBuf>,
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

#[derive(Clone, Debug, Args)]
#[command(after_help = DOCTOR_EXAMPLES)]
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

impl CommandLine {
    /// Whether an error is told to a tool: on standard output, like the answer.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        matches!(&self.command, Command::Plan(Printed { format: Format::Json, .. }))
    }

    /// Whether an error is told to a tool: by the log, on standard error.
    #[must_use]
    pub fn logs_errors(&self) -> bool {
        self.log_format == LogFormat::Json && self.log_place() == "stderr"
    }

    fn log_place(&self) -> &OsStr {
        let default = if self.debug { "stderr" } else { "none" };
        self.log.as_deref().unwrap_or(default.as_ref())
    }

    fn journal(&self) -> Result<Journal> {
        let log = Log::open(self.log_place(), self.log_format, self.debug)?;
        let traced = matches!(&self.command, Command::Exec(Exec { trace: Some(_), .. }));
        Ok(Journal::new(log, traced))
    }
}

/// Runs a command line: the exit code.
///
/// # Errors
///
/// What the caller is to print.
pub fn run(line: &CommandLine) -> Result<u8> {
    refuse_privileged_executable()?;
    // Files of ours have exactly the modes that are asked for; the container has its own.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let journal = line.journal()?;
    let outcome = command(line, &journal);
    if let Err(error) = &outcome {
        journal.failed(error);
    }
    journal.close();
    outcome
}

fn command(line: &CommandLine, journal: &Journal) -> Result<u8> {
    match &line.command {
        Command::Exec(exec) => exec::exec_command(line, exec, journal),
        Command::Plan(printed) => plan_command(line, printed, journal),
        Command::Doctor(doctor) => doctor_command(line, doctor, journal),
        Command::Spec => spec_command(line),
    }
}

/// Never inline, nor the next two: what they need on the stack would cost `exec` a page fault
/// for each page.
#[inline(never)]
fn spec_command(line: &CommandLine) -> Result<u8> {
    print(&directory_without_file(&line.root)?.to_json_pretty())
}

/// Everything here trusts who runs it: the environment, the paths, the configuration.
fn refuse_privileged_executable() -> Result<()> {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    let mut value = [0; 1];
    let answer =
        rustix::fs::getxattr(c"/proc/self/exe", c"security.capability", value.as_mut_slice());
    let has_capabilities = matches!(answer, Ok(_) | Err(Errno::RANGE));
    if getuid() == geteuid() && getgid() == getegid() && !has_capabilities {
        return Ok(());
    }
    let why = "must not be installed setuid, setgid or with capabilities: use a user namespace, \
               or sudo";
    Err(Error::io("run nsinit")(io::Error::other(why)))
}

/// What `spec` writes: the configuration that exec would use without the file.
fn directory_without_file(root: &Path) -> Result<Container> {
    if crate::builtin::looks_like_root_filesystem(root) {
        return Ok(Container::default());
    }
    Ok(directory::built_in())
}

#[inline(never)]
fn plan_command(line: &CommandLine, printed: &Printed, journal: &Journal) -> Result<u8> {
    let mut directory = Place::find(&line.root)?.read()?;
    let (_, plan) = make_plan(&mut directory, &printed.shape, None, journal)?;
    preflight::ask_for_cgroup(&plan).map_err(|error| locate(error, &directory, &printed.shape))?;
    match printed.format {
        Format::Human => print(&plan.to_string()),
        Format::Json => print(&plan.to_json_pretty()),
    }
}

#[inline(never)]
fn doctor_command(line: &CommandLine, doctor: &Doctor, journal: &Journal) -> Result<u8> {
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
        let plan = make_plan(&mut directory, &shape, None, journal).map(|(_, plan)| plan);
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
    journal: &Journal,
) -> Result<(Container, Plan)> {
    shape.shape(directory);
    plan_of(directory, shape, run_directory, journal)
        .map_err(|error| locate(error, directory, shape))
}

fn plan_of(
    directory: &Directory,
    shape: &Shape,
    run_directory: Option<&Path>,
    journal: &Journal,
) -> Result<(Container, Plan)> {
    let host = Host::probe()?;
    journal.done(|| "ask the host".into());
    let sealed = directory.container.clone();
    let mut container = sealed.clone();
    shape.personal(&mut container, !directory.is_container());
    let rootfs = directory.rootfs()?;
    let source = Source {
        container: &container,
        host: &host,
        rootfs: &rootfs,
        directory: &directory.path,
        pid_file: directory.is_container(),
        run_directory,
        environment: &shape.env,
    };
    let plan = Plan::from_source(&source, shape.command.iter())?;
    preflight::ask(&plan)?;
    journal.done(|| "make the plan".into());
    Ok((sealed, plan))
}

/// Tells what a key asked for in vain like the configuration's own faults: at its place,
/// which may be the command line.
fn locate(error: Error, directory: &Directory, shape: &Shape) -> Error {
    if let Error::Config(nsinit_config::Error::Faults(faults)) = error {
        return shaped(faults, directory, shape);
    }
    let Some(key) = keys::of(&directory.container, &error) else { return error };
    let option = shape.option_of(&key, directory);
    let hint = error.hint().or_else(|| keys::remedy(&key, &error).filter(|_| option.is_none()));
    let message = match error {
        Error::Container { message, .. } => message,
        // The key and its value are shown.
        Error::Cgroup(nsinit_cgroups::Error::Limit { reason, .. }) => reason,
        other => other.to_string(),
    };
    if let Some(key) = option {
        return Error::Container { key, message, hint };
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

fn print(text: &str) -> Result<u8> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(1),
        other => other.map(|()| 0).map_err(Error::io("write to standard output")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The words of the examples at the end of a help text.
    fn examples(command: &clap::Command) -> Vec<Vec<String>> {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.strip_prefix("  nsinit "));
        let words = |line: &str| {
            let line = line.split("   ").next().unwrap_or(line);
            let line = line.split(['|', '>']).next().unwrap_or(line);
            std::iter::once("nsinit").chain(line.split_whitespace()).map(str::to_owned).collect()
        };
        lines.map(words).collect()
    }

    #[test]
    fn every_help_has_examples_and_they_are_understood() {
        let mut line = CommandLine::command().disable_help_subcommand(true);
        line.build();
        for command in std::iter::once(&line).chain(line.get_subcommands()) {
            let examples = examples(command);
            assert!(!examples.is_empty(), "{}", command.get_name());
            for words in examples {
                let parsed = CommandLine::try_parse_from(&words);
                assert!(parsed.is_ok(), "{words:?}: {}", parsed.unwrap_err());
                let named = words.iter().any(|word| word == command.get_name());
                assert!(named, "{words:?} is no example of {}", command.get_name());
            }
        }
    }
}
