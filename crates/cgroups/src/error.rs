//! Parent: the one error of this crate, which names the file, the value and the cause.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why a control group could not be made, limited, watched, emptied or removed.
///
/// The text is one lowercase line, object first; [`Error::hint`] has the
/// sentence that says what to do about it, where there is one.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The path of a cgroup is not one that may be made.
    Path {
        /// The path as it was given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A limit cannot hold on any host, or not on this one.
    Limit {
        /// The field of [`Limits`](crate::Limits), or the file of the `unified` list.
        name: String,
        /// Its value as it was given.
        value: String,
        /// Why it cannot be.
        reason: String,
    },
    /// This host has no cgroups that could be used.
    Unavailable {
        /// What was looked at and what was found.
        reason: String,
    },
    /// No cgroup on the caller's own path is writable for the caller.
    NotDelegated {
        /// The caller's own cgroup, or the root of the hierarchy.
        path: PathBuf,
        /// The controllers of that hierarchy that were needed; may be empty.
        needed: Vec<&'static str>,
    },
    /// A controller that a limit needs is not available where the cgroup would be.
    Controller {
        /// The controller, as the kernel calls it.
        name: &'static str,
        /// The first directory, seen from the root, that lacks it.
        missing_at: PathBuf,
        /// The directory above, where that has it.
        above: Option<PathBuf>,
    },
    /// The controllers of a cgroup cannot be passed on, because processes are in it.
    InternalProcesses {
        /// The cgroup that has both processes and, now, children.
        path: PathBuf,
        /// The controllers that were to be switched on for its children.
        controllers: String,
    },
    /// The cgroup exists already, so that somebody else may be in it.
    Exists {
        /// Its directory.
        path: PathBuf,
        /// How many processes are in it.
        processes: usize,
    },
    /// The cgroup, or one of its directories, does not exist any more.
    Gone {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is not a cgroup that could be meant.
    NotCgroup {
        /// The directory.
        path: PathBuf,
        /// What it is instead.
        reason: &'static str,
    },
    /// The cgroup is in a state in which the operation is impossible.
    State {
        /// Its directory.
        path: PathBuf,
        /// The state, in the kernel's words where it has some.
        state: String,
        /// What cannot be done in that state.
        prevents: &'static str,
    },
    /// The time given to the kernel is over.
    Timeout {
        /// The directory.
        path: PathBuf,
        /// What was waited for.
        awaited: &'static str,
        /// What is in the way: the processes that are left, or the state last read.
        found: String,
    },
    /// The device rules could not be put in force, or are not what was asked for.
    DeviceRules {
        /// The directory.
        path: PathBuf,
        /// What was attempted, or how the rules differ.
        what: String,
        /// The kernel's answer, where it was the kernel that refused.
        source: Option<io::Error>,
    },
    /// A property that a scope unit of systemd cannot be given (feature `systemd`).
    #[cfg(feature = "systemd")]
    UnitProperty {
        /// The property.
        name: String,
        /// Its value as it was given.
        value: String,
        /// Why it is not passed on.
        reason: &'static str,
    },
    /// systemd could not be asked, or refused (feature `systemd`).
    #[cfg(feature = "systemd")]
    Systemd {
        /// The unit that the question was about.
        unit: String,
        /// `system bus` or `user bus`.
        bus: &'static str,
        /// Whether there was nobody on that bus to be asked.
        unreachable: bool,
        /// The answer, or what the D-Bus library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kernel refused a system call.
    Io {
        /// What was attempted, with the value: `write 4096`.
        action: String,
        /// The file or directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: impl Into<String>, path: impl Into<PathBuf>, errno: Errno) -> Error {
        Error::Io { action: action.into(), path: path.into(), source: errno.into() }
    }

    pub(crate) fn limit(
        name: impl Into<String>,
        value: impl fmt::Display,
        reason: impl Into<String>,
    ) -> Error {
        Error::Limit { name: name.into(), value: value.to_string(), reason: reason.into() }
    }

    /// The kernel's error number, where one was the cause.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Io { source, .. } | Error::DeviceRules { source: Some(source), .. } => {
                Errno::from_io_error(source)
            }
            _ => None,
        }
    }

    /// What the caller could do about it, as a sentence; `None` where nothing is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NotDelegated { .. } => Some(format!(
                "{DELEGATE}; without systemd root makes a cgroup, gives it to this user (chown), \
                 and starts the caller in it"
            )),
            Error::Controller { name, missing_at, above } => {
                Some(pass_on(name, missing_at, above.as_deref()))
            }
            Error::InternalProcesses { path, .. } => Some(format!(
                "on cgroup v2 a cgroup has processes or passes controllers on, not both: \
                 move the processes of {} into a child of it",
                path.display()
            )),
            Error::Exists { processes: 0, path } => {
                Some(format!("it is empty: rmdir {}", path.display()))
            }
            Error::Exists { .. } => Some("choose another name".to_owned()),
            #[cfg(feature = "systemd")]
            Error::Systemd { unreachable: true, bus: "user bus", .. } => Some(
                "the user's own systemd has to run: log in, or loginctl enable-linger, \
                 and XDG_RUNTIME_DIR has to name its directory"
                    .to_owned(),
            ),
            #[cfg(feature = "systemd")]
            Error::Systemd { unreachable: true, .. } => Some(
                "this needs a host that runs systemd and D-Bus; elsewhere cgroups are made \
                 without it"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

const DELEGATE: &str =
    "let systemd delegate a cgroup: systemd-run --user --scope -p Delegate=yes nsinit …";

/// Who has to pass a controller on to the first directory that lacks it.
fn pass_on(name: &str, missing_at: &Path, above: Option<&Path>) -> String {
    let depth = |start: &str, end: &str| {
        missing_at.components().rev().position(|part| {
            let part = part.as_os_str().to_string_lossy();
            part.starts_with(start) && part.ends_with(end)
        })
    };
    match (depth("user@", ".service"), depth("user", ".slice"), above) {
        (Some(1..), ..) => DELEGATE.to_owned(),
        (Some(0), ..) | (None, Some(_), _) => {
            "as root, have systemd pass it on to users: systemctl edit user@.service, with the \
             lines [Service] and Delegate=cpu cpuset io memory pids, then log in anew"
                .to_owned()
        }
        (_, _, Some(above)) => format!(
            "whoever owns the cgroup above has to pass it on: echo +{name} > {}",
            above.join("cgroup.subtree_control").display()
        ),
        (_, _, None) => format!(
            "no cgroup that can be seen here has it: /proc/cgroups and the kernel's command line \
             (cgroup_disable=) tell whether {name} exists; an outer container may keep it back"
        ),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Path { path, reason } => write!(f, "cgroup {path:?}: {reason}"),
            Error::Limit { name, value, reason } => write!(f, "{name} {value}: {reason}"),
            Error::Unavailable { reason } => write!(f, "no usable cgroups: {reason}"),
            Error::NotDelegated { path, needed } => {
                let path = path.display();
                write!(f, "{path}: neither it nor a cgroup above it may be written by this user")?;
                match needed.is_empty() {
                    true => Ok(()),
                    false => write!(f, " (needed for {})", needed.join(", ")),
                }
            }
            Error::Controller { name, missing_at, .. } => {
                write!(f, "{}: controller {name} is not available here", missing_at.display())
            }
            Error::InternalProcesses { path, controllers } => {
                write!(
                    f,
                    "{}: cannot pass {controllers} on to children while processes are in it",
                    path.display()
                )
            }
            Error::Exists { path, processes } => {
                write!(f, "{}: exists already, {processes} processes are in it", path.display())
            }
            Error::Gone { path } => write!(f, "{}: this cgroup is gone", path.display()),
            Error::NotCgroup { path, reason } => write!(f, "{}: {reason}", path.display()),
            Error::State { path, state, prevents } => {
                write!(f, "{}: state \"{state}\" does not permit {prevents}", path.display())
            }
            Error::Timeout { path, awaited, found } => {
                write!(f, "{}: waited for {awaited} in vain: {found}", path.display())
            }
            Error::DeviceRules { path, what, source: None } => {
                write!(f, "{}: {what}", path.display())
            }
            Error::DeviceRules { path, what, source: Some(source) } => {
                write!(f, "{}: {what}: {}", path.display(), cause(source))
            }
            #[cfg(feature = "systemd")]
            Error::UnitProperty { name, value, reason } => {
                write!(f, "unit property {name} {value:?}: {reason}")
            }
            #[cfg(feature = "systemd")]
            Error::Systemd { unit, bus, unreachable: true, .. } => {
                write!(f, "{unit}: systemd cannot be asked: nobody listens on the {bus}")
            }
            #[cfg(feature = "systemd")]
            Error::Systemd { unit, bus, unreachable: false, source } => {
                write!(f, "{unit}: systemd on the {bus}: {}", cause(source))
            }
            Error::Io { action, path, source } => {
                write!(f, "{}: {action}: {}", path.display(), cause(source))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } | Error::DeviceRules { source: Some(source), .. } => {
                Some(source)
            }
            #[cfg(feature = "systemd")]
            Error::Systemd { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

/// The text of an error number without the number.
fn cause(source: &dyn fmt::Display) -> String {
    let text = source.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// `Gone` where the directory has vanished, `Io` otherwise.
pub(crate) fn at(action: &str, path: &Path, errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::NODEV => Error::Gone { path: path.to_owned() },
        _ => Error::io(action, path, errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_object_action_cause() {
        let e = Error::io("write 4096", "/sys/fs/cgroup/x/memory.max", Errno::BUSY);
        assert_eq!(
            e.to_string(),
            "/sys/fs/cgroup/x/memory.max: write 4096: Device or resource busy"
        );
        assert_eq!(e.errno(), Some(Errno::BUSY));
    }

    #[test]
    fn who_has_to_pass_a_controller_on_is_told() {
        let hint = |at: &str| {
            let missing_at = at.into();
            let above = Some("/sys/fs/cgroup".into());
            let error = Error::Controller { name: "memory", missing_at, above };
            assert_eq!(error.to_string(), format!("{at}: controller memory is not available here"));
            error.hint().expect("there is one")
        };
        let user = "/sys/fs/cgroup/user.slice/user-1000.slice";
        assert!(hint(user).contains("systemctl edit user@.service"));
        assert!(hint(&format!("{user}/user@1000.service")).contains("user@.service"));
        let scope = "systemd-run --user --scope -p Delegate=yes";
        assert!(hint(&format!("{user}/user@1000.service/app.slice")).contains(scope));
        let line = "echo +memory > /sys/fs/cgroup/cgroup.subtree_control";
        assert!(hint("/sys/fs/cgroup/a").ends_with(line));
        let error = Error::NotDelegated { path: user.into(), needed: vec![] };
        assert!(error.hint().expect("there is one").contains(scope));
    }
}
