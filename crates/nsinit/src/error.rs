//! Parent: everything that can go wrong, in one sentence with object and cause.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::io::Errno;

use crate::diagnosis::{self, Scene};
use crate::handshake::Message;
use crate::plan::Plan;
use crate::program::Obstacle;
use crate::reason::Reason;
use crate::step::Step;

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
        /// The limit of its cgroup in bytes, where the OOM killer of that ended it.
        out_of_memory: Option<u64>,
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
        /// What it was doing, without the object's path: `create`.
        action: String,
        /// The object's path, if it has one.
        path: Option<PathBuf>,
        /// The cause.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: what was being done, with its object.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let action = action.into();
        move |source| Error::Io { action, path: None, source }
    }

    /// For `map_err`: what was being done to a path.
    pub(crate) fn path(action: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let (action, path) = (action.to_owned(), Some(path.to_owned()));
        move |source| Error::Io { action, path, source }
    }

    pub(crate) fn protocol() -> Error {
        Error::io("talk to init")(io::Error::new(
            io::ErrorKind::InvalidData,
            "unexpected message from init",
        ))
    }

    /// What a failure that init reported means.
    pub(crate) fn of_failure(plan: &Plan, failure: Message, scene: &Scene) -> Error {
        let errno = Errno::from_raw_os_error(failure.errno.clamp(1, 4095));
        if let Some(step) = plan.step(failure.step) {
            return Error::of_step(plan, step, errno, scene);
        }
        let program = &plan.program;
        let (path, reason) = match Obstacle::from_detail(failure.detail) {
            Obstacle::NotFound => match diagnosis::program::dangling(plan, scene) {
                Some((link, target)) => (link, Reason::Dangling { target }),
                None => {
                    let name = program.name().to_string_lossy().into_owned();
                    (name, Reason::NotFound { searched: program.searched() })
                }
            },
            Obstacle::OwnExecutable(index) => (program.candidate(index), Reason::OwnExecutable),
            Obstacle::Execve(index) => {
                let reason = diagnosis::program::not_executable(plan, index, errno, scene);
                (program.candidate(index), reason)
            }
            Obstacle::Leaving => {
                let step = "close descriptors or reset signals".to_owned();
                return Error::Step { step, errno, hint: None };
            }
        };
        Error::Program { path, reason }
    }

    pub(crate) fn of_step(plan: &Plan, step: &Step, errno: Errno, scene: &Scene) -> Error {
        if let (Step::Unshare(kinds), Errno::NOSPC | Errno::USERS) = (step, errno) {
            let refused = nsinit_namespaces::Error::of_refused(plan.namespaces | *kinds, errno);
            return Error::Namespaces(refused);
        }
        let hint = diagnosis::of_step(plan, step, errno, scene);
        Error::Step { step: step.to_string(), errno, hint }
    }

    /// The exit code of `nsinit` for this error: 2 usage, 126 not executable, 127 not
    /// found, 125 everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Program { reason, .. } => reason.exit_code(),
            _ => 125,
        }
    }

    /// What would make it possible, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let own = match self {
            Error::Container { hint, .. } | Error::Step { hint, .. } => hint.clone(),
            Error::Program { reason, .. } => reason.hint(),
            Error::Namespaces(error) => error.hint(),
            Error::Cgroup(error) => error.hint(),
            Error::Foreign { .. } => {
                Some("join it as that user, or use another directory (--root)".into())
            }
            Error::Init { out_of_memory: Some(limit), .. } => Some(format!(
                "cgroups.memory is {limit} bytes, which is not enough to set up a container: \
                 raise it"
            )),
            _ => None,
        };
        own.or_else(|| diagnosis::of_error(self))
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

/// Without characters that move the cursor: names in a text may come from an image.
pub(crate) fn printable(text: &str) -> String {
    let plain = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(plain).collect()
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
                match out_of_memory {
                    Some(_) => f.write_str(", by the OOM killer of its cgroup"),
                    None => Ok(()),
                }
            }
            Error::Program { path, reason } => write!(f, "{path}: {reason}"),
            Error::Foreign { owner, pid } => {
                write!(f, "the container of this directory belongs to {owner} (pid {pid})")
            }
            Error::Io { action, path, source } => {
                f.write_str(action)?;
                path.as_ref().map_or(Ok(()), |path| write!(f, " {}", path.display()))?;
                match Errno::from_io_error(source) {
                    Some(errno) => write!(f, ": {}", errno_text(errno)),
                    None => write!(f, ": {source}"),
                }
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
