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
            Bus::System => Ok(SystemdClient::new(&unit, properties)?.start()?),
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
            Bus::System => {
                let client = SystemdClient::new(&name, Vec::new())?;
                Ok(client.add_process(CgroupPid::from(u64::from(pid)), &below)?)
            }
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

/// Whether nobody is there to be asked.
fn unreachable(cause: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(cause);
    while let Some(error) = next {
        let io = error
            .downcast_ref::<io::Error>()
            .or_else(|| error.downcast_ref::<Arc<io::Error>>().map(AsRef::as_ref));
        if let Some(io) = io {
            return matches!(
                io.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            );
        }
        next = error.source();
    }
    false
}
