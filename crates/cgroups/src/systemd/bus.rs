//! Parent: what is said to systemd, over which bus, and for how long.
//!
//! cgroups-rs brings the client, but always on the system bus; what a user's own
//! manager is told is the same two calls, made with the library below it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

use cgroups_rs::CgroupPid;
use cgroups_rs::systemd::SystemdClient;
use cgroups_rs::systemd::dbus::error::Error as ClientError;
use cgroups_rs::systemd::props::PropertiesBuilder;
use rustix::process::Pid;
use zbus::blocking::Connection;
use zbus::zvariant::Value;

use super::unit::Property;
use super::{LEAF, Scope};
use crate::error::Error;
use crate::place;

// org.freedesktop.systemd1(5).
const SERVICE: Option<&str> = Some("org.freedesktop.systemd1");
const OBJECT: &str = "/org/freedesktop/systemd1";
const INTERFACE: Option<&str> = Some("org.freedesktop.systemd1.Manager");

type Cause = Box<dyn std::error::Error + Send + Sync>;
type Properties = Vec<(&'static str, Value<'static>)>;

/// The bus on which the caller's systemd listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bus {
    System,
    User,
}

impl Bus {
    pub(super) fn of_caller() -> Bus {
        if place::privileged() { Bus::System } else { Bus::User }
    }

    pub(super) fn default_slice(self) -> &'static str {
        match self {
            Bus::System => "system.slice",
            Bus::User => "user.slice",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Bus::System => "system bus",
            Bus::User => "user bus",
        }
    }

    /// StartTransientUnit; systemd has only queued the job when this returns.
    pub(super) fn start(self, scope: &Scope, init: Pid, deadline: Instant) -> Result<(), Error> {
        let (unit, properties) = (scope.unit.clone(), properties(scope, init));
        self.ask(&scope.unit, deadline, move || match self {
            Bus::System => SystemdClient::new(&unit, properties)
                .and_then(|client| client.start())
                .map_err(without_prefix),
            Bus::User => {
                let auxiliary: Vec<(&str, Properties)> = Vec::new();
                let body = (unit, "fail", properties, auxiliary);
                user()?.call_method(SERVICE, OBJECT, INTERFACE, "StartTransientUnit", &body)?;
                Ok(())
            }
        })
    }

    /// AttachProcessesToUnit, into the cgroup below the scope.
    pub(super) fn attach(self, unit: &str, pid: Pid, deadline: Instant) -> Result<(), Error> {
        let name = unit.to_owned();
        let (below, pid) = (format!("/{LEAF}"), pid.as_raw_nonzero().get().unsigned_abs());
        self.ask(unit, deadline, move || match self {
            Bus::System => SystemdClient::new(&name, Vec::new())
                .and_then(|client| client.add_process(CgroupPid::from(u64::from(pid)), &below))
                .map_err(without_prefix),
            Bus::User => {
                let body = (name, below, vec![pid]);
                user()?.call_method(SERVICE, OBJECT, INTERFACE, "AttachProcessesToUnit", &body)?;
                Ok(())
            }
        })
    }

    /// Asks on a thread of its own, because neither the connection nor the
    /// client's calls have an end in time. One that hangs is left behind.
    fn ask(
        self,
        unit: &str,
        deadline: Instant,
        question: impl FnOnce() -> Result<(), Cause> + Send + 'static,
    ) -> Result<(), Error> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name("systemd".to_owned());
        let failed = |source: Cause| {
            let unreachable = unreachable(&*source);
            Error::Systemd { unit: unit.to_owned(), bus: self.name(), unreachable, source }
        };
        thread
            .spawn(move || {
                // The other end has gone when the time is over.
                let _ = sender.send(question());
            })
            .map_err(|source| failed(source.into()))?;
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(answer) => answer.map_err(failed),
            Err(RecvTimeoutError::Timeout) => Err(failed("no answer within ten seconds".into())),
            Err(RecvTimeoutError::Disconnected) => {
                Err(failed("the D-Bus library gave no answer".into()))
            }
        }
    }
}

/// What the scope is started with; the pids are unsigned on the bus.
fn properties(scope: &Scope, init: Pid) -> Properties {
    let asked = |name: &str| scope.properties.iter().any(|property| property.name() == name);
    let mut all = PropertiesBuilder::default()
        .description(format!("nsinit container {}", scope.unit.trim_end_matches(".scope")))
        .slice(scope.slice.clone())
        .delegate(true)
        .pids(vec![init.as_raw_nonzero().get().unsigned_abs()])
        .build();
    all.retain(|(name, _)| !asked(name));
    if !asked("CollectMode") {
        // A scope that ended badly would keep its name occupied.
        all.push(("CollectMode", "inactive-or-failed".into()));
    }
    all.extend(scope.properties.iter().map(|p: &Property| (p.name(), p.value())));
    all
}

/// The caller's own bus: `$DBUS_SESSION_BUS_ADDRESS`, else `bus` in
/// `$XDG_RUNTIME_DIR` or `/run/user/UID`.
fn user() -> zbus::Result<Connection> {
    Connection::session()
}

/// The same cause as on the other bus.
fn without_prefix(error: ClientError) -> Cause {
    match error {
        ClientError::Dbus(cause) => cause.into(),
        other => other.into(),
    }
}

/// Whether nobody is there to be asked.
fn unreachable(cause: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(cause);
    while let Some(error) = next {
        let io = error
            .downcast_ref::<io::Error>()
            .or_else(|| error.downcast_ref::<Arc<io::Error>>().map(AsRef::as_ref));
        if let Some(io) = io {
            return matches!(io.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    const BUSES: [(Bus, &str); 2] =
        [(Bus::System, "DBUS_SYSTEM_BUS_ADDRESS"), (Bus::User, "DBUS_SESSION_BUS_ADDRESS")];

    /// The answers of both buses, when both are this socket; the address is read
    /// from the environment, so this program runs once more with another one.
    fn answers(socket: &Path) -> String {
        let mut again = Command::new(std::env::current_exe().expect("own path"));
        again.args(["--exact", "systemd::bus::tests::ask_both", "--ignored", "--nocapture"]);
        for (_, variable) in BUSES {
            again.env(variable, format!("unix:path={}", socket.display()));
        }
        let output = again.output().expect("run again");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    #[test]
    #[ignore = "run by the other tests, with an environment of its own"]
    fn ask_both() {
        let scope = Scope::new("bus-test", &[]).expect("scope");
        for (bus, _) in BUSES {
            let deadline = Instant::now() + Duration::from_millis(300);
            let init = rustix::process::getpid();
            let error = bus.start(&scope, init, deadline).expect_err("no systemd there");
            let attach = bus.attach(scope.unit(), init, deadline).expect_err("nor here");
            for error in [error, attach] {
                let line = format!("{error}|{}\n", error.hint().unwrap_or_default());
                std::io::Write::write_all(&mut io::stdout(), line.as_bytes()).expect("stdout");
            }
        }
    }

    #[test]
    fn a_bus_that_is_not_there_is_told_with_unit_and_bus() {
        let directory = std::env::temp_dir().join(format!("nsinit-bus-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("mkdir");
        let abandoned = directory.join("abandoned");
        drop(UnixListener::bind(&abandoned).expect("bind"));
        for socket in [directory.join("missing"), abandoned] {
            let text = answers(&socket);
            for bus in ["system bus", "user bus"] {
                let line = format!(
                    "nsinit-bus-test.scope: systemd cannot be asked: nobody listens on the {bus}|"
                );
                assert_eq!(text.matches(&line).count(), 2, "{text}");
            }
            assert!(text.contains("loginctl enable-linger"), "{text}");
            let lower = text.to_lowercase();
            assert!(!lower.contains("no such file") && !lower.contains("os error"), "{text}");
        }
        std::fs::remove_dir_all(&directory).expect("remove");
    }

    #[test]
    fn a_bus_that_says_nothing_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("nsinit-mute-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("bind");
        let text = answers(&path);
        drop(listener);
        std::fs::remove_file(&path).expect("remove");
        for bus in ["system bus", "user bus"] {
            let line = format!(
                "nsinit-bus-test.scope: systemd on the {bus}: no answer within ten seconds"
            );
            assert_eq!(text.matches(&line).count(), 2, "{text}");
        }
    }

    #[test]
    fn what_the_scope_is_started_with() {
        let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let names = |asked: &[(&str, &str)]| {
            let scope = Scope::new("web", &pairs(asked)).expect("scope");
            let all = properties(&scope, rustix::process::getpid());
            let types = all.iter().map(|(k, v)| format!("{k}:{}", v.value_signature()));
            let mut sorted: Vec<String> = types.collect();
            sorted.sort();
            sorted.join(" ")
        };
        let plain = "CollectMode:s Delegate:b Description:s PIDs:au Slice:s";
        assert_eq!(names(&[]), plain);
        // What is given replaces, and is never there twice.
        assert_eq!(
            names(&[("Description", "x"), ("CollectMode", "inactive"), ("Slice", "a.slice")]),
            plain
        );
    }
}
