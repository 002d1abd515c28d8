//! Parent: everything that can go wrong, in one sentence with object and cause.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitStatus;

use rustix::io::Errno;

use crate::handshake::Message;
use crate::plan::Plan;
use crate::program::Obstacle;

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. `Display` is one sentence; [`Error::hint`] may know a remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The command line cannot be used.
    Usage(String),
    /// `container.json` cannot be used: all its faults.
    Config(nsinit_config::Error),
    /// The configuration is sound, but asks for what cannot be had here.
    Container {
        /// The key that asks, such as `context.process_label`.
        key: String,
        /// Why it cannot be had.
        message: String,
        /// What would make it possible.
        hint: Option<String>,
    },
    /// Namespaces or id maps.
    Namespaces(nsinit_namespaces::Error),
    /// The root filesystem or a mount.
    Rootfs(nsinit_rootfs::Error),
    /// The caller's own privileges, or the security modules.
    Security(nsinit_security::Error),
    /// The cgroup.
    Cgroup(nsinit_cgroups::Error),
    /// The network.
    Network(nsinit_network::Error),
    /// A step of init failed.
    Step {
        /// The step in words: `mount proc on /proc`.
        step: String,
        /// The cause.
        errno: Errno,
        /// What would make it possible.
        hint: Option<String>,
    },
    /// Init ended without a word.
    Init {
        /// How it ended, where that is known.
        status: Option<ExitStatus>,
        /// Whether the OOM killer of its cgroup ended it.
        out_of_memory: bool,
    },
    /// The program cannot be started.
    Program {
        /// As it was asked for, or the file that was found.
        path: String,
        /// Why.
        reason: Reason,
    },
    /// The directory's container belongs to somebody else.
    Foreign {
        /// Who.
        owner: String,
        /// Its init.
        pid: i32,
    },
    /// The launcher's own work failed.
    Io {
        /// What it was doing, with the object: `create /run/nsinit`.
        action: String,
        /// The cause.
        source: io::Error,
    },
}

/// Why a program cannot be started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no such file.
    NotFound {
        /// The directories that were searched; None for a path.
        searched: Option<String>,
    },
    /// The file is there, but an interpreter that it names is not.
    MissingInterpreter,
    /// The file is there, but execve refused it.
    NotExecutable(Errno),
    /// It is the launcher's own executable.
    OwnExecutable,
}

impl Error {
    /// For `map_err`: what was being done, with its object.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let action = action.into();
        move |source| Error::Io { action, source }
    }

    /// For `map_err`: what was being done to a path.
    pub(crate) fn path(action: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        Error::io(format!("{action} {}", path.display()))
    }

    pub(crate) fn protocol() -> Error {
        Error::io("talk to init")(io::Error::new(
            io::ErrorKind::InvalidData,
            "unexpected message from init",
        ))
    }

    /// What a failure that init reported means.
    pub(crate) fn of_failure(plan: &Plan, failure: Message) -> Error {
        let errno = Errno::from_raw_os_error(failure.errno.clamp(1, 4095));
        if let Some(step) = plan.step(failure.step) {
            let hint = crate::hint::of_step(step, errno);
            return Error::Step { step: step.to_string(), errno, hint };
        }
        let program = &plan.program;
        let name = || program.name().to_string_lossy().into_owned();
        let (path, reason) = match Obstacle::from_detail(failure.detail) {
            Obstacle::NotFound => (name(), Reason::NotFound { searched: program.searched() }),
            Obstacle::OwnExecutable(index) => (program.candidate(index), Reason::OwnExecutable),
            Obstacle::Execve(index) if errno == Errno::NOENT => {
                (program.candidate(index), Reason::MissingInterpreter)
            }
            Obstacle::Execve(index) => (program.candidate(index), Reason::NotExecutable(errno)),
            Obstacle::Leaving => {
                let step = "close descriptors or reset signals".to_owned();
                return Error::Step { step, errno, hint: None };
            }
        };
        Error::Program { path, reason }
    }

    /// The exit code of `nsinit` for this error: 2 usage, 126 not executable, 127 not
    /// found, 125 everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Program { reason, .. } => match reason {
                Reason::NotFound { .. } | Reason::MissingInterpreter => 127,
                Reason::NotExecutable(_) | Reason::OwnExecutable => 126,
            },
            _ => 125,
        }
    }

    /// What would make it possible, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Container { hint, .. } | Error::Step { hint, .. } => hint.clone(),
            Error::Namespaces(error) => error.hint(),
            Error::Cgroup(error) => error.hint(),
            Error::Network(error) => error.hint().map(str::to_owned),
            Error::Init { out_of_memory: true, .. } => {
                Some("raise cgroups.memory: the container could not even be set up".into())
            }
            _ => None,
        }
    }
}

impl Error {
    /// For tools: an array of faults with `file`, `line`, `column`, `path`, `message` and
    /// `suggestion`. Where no configuration is at fault it is one without a place.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (path, message) = match self {
            Error::Config(error) => return error.faults().to_json(),
            Error::Container { key, message, .. } => (key.as_str(), message.clone()),
            _ => ("", self.to_string()),
        };
        let fault = serde_json::json!([{
            "file": null, "line": null, "column": null,
            "path": path, "message": message, "suggestion": self.hint(),
        }]);
        format!("{fault:#}")
    }
}

/// An errno's text as everybody knows it.
pub(crate) fn errno_text(errno: Errno) -> String {
    let text = io::Error::from(errno).to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(message) => f.write_str(message),
            Error::Config(error) => error.fmt(f),
            Error::Container { key, message, .. } => write!(f, "{key}: {message}"),
            Error::Namespaces(error) => error.fmt(f),
            Error::Rootfs(error) => error.fmt(f),
            Error::Security(error) => error.fmt(f),
            Error::Cgroup(error) => error.fmt(f),
            Error::Network(error) => error.fmt(f),
            Error::Step { step, errno, .. } => write!(f, "{step}: {}", errno_text(*errno)),
            Error::Init { status, out_of_memory } => {
                f.write_str("container init ended before the program was started")?;
                match status {
                    Some(status) => write!(f, ": {status}")?,
                    None => f.write_str(" without a status")?,
                }
                if *out_of_memory {
                    f.write_str(", by the OOM killer (memory limit too low?)")?;
                }
                Ok(())
            }
            Error::Program { path, reason } => write!(f, "{path}: {reason}"),
            Error::Foreign { owner, pid } => {
                write!(f, "the container of this directory belongs to {owner} (pid {pid})")
            }
            Error::Io { action, source } => match source.raw_os_error() {
                Some(raw) => {
                    write!(f, "{action}: {}", errno_text(Errno::from_raw_os_error(raw)))
                }
                None => write!(f, "{action}: {source}"),
            },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotFound { searched: Some(searched) } if searched.is_empty() => {
                f.write_str("executable file not found in $PATH, which the environment has not")
            }
            Reason::NotFound { searched: Some(searched) } => {
                write!(f, "executable file not found in $PATH of the container ({searched})")
            }
            Reason::NotFound { searched: None } => f.write_str("no such file or directory"),
            Reason::MissingInterpreter => f.write_str(
                "the file is there, but the interpreter that it names is not \
                 (its #! line or ELF loader): no such file or directory",
            ),
            Reason::NotExecutable(errno) => f.write_str(&errno_text(*errno)),
            Reason::OwnExecutable => {
                f.write_str("is the container runtime itself, which is never started inside")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Config(error) => Some(error),
            Error::Namespaces(error) => Some(error),
            Error::Rootfs(error) => Some(error),
            Error::Security(error) => Some(error),
            Error::Cgroup(error) => Some(error),
            Error::Network(error) => Some(error),
            Error::Step { errno, .. } => Some(errno),
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
