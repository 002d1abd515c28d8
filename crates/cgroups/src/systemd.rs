//! Parent: a cgroup inside a scope that systemd makes; cargo feature `systemd`.
//!
//! systemd is the only writer of the attributes of its units, also of those it
//! delegates, and rewrites them when it likes (`systemd.io/CGROUP_DELEGATION`).
//! So the scope holds one cgroup below it, `container`, and that is the one with
//! the limits: made, limited, accounted, frozen, killed and removed by this crate
//! like any other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::cgroup::{Cgroup, Level, Member};
use crate::create;
use crate::dir::Dir;
use crate::error::Error;
use crate::freeze::Pause;
use crate::hierarchy::{Hierarchies, Hierarchy, Mode, Version};
use crate::limits::Limits;
use crate::place;

mod bus;
mod unit;

use bus::Bus;
use unit::Property;

/// How long systemd may take, from the first word on the bus to the process being in the scope.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cgroup below the scope.
const LEAF: &str = "container";

/// A transient scope unit that systemd is to make, checked and not made yet.
///
/// The unit is called `nsinit-a-b.scope` for the path `nsinit/a/b` or `a/b`.
/// Root's scopes are asked for over the system bus, everybody else's over the
/// user's own bus. It is made with `Delegate=yes` and
/// `CollectMode=inactive-or-failed`, and ends with its last process.
///
/// ```
/// use nsinit_cgroups::Scope;
///
/// # fn main() -> Result<(), nsinit_cgroups::Error> {
/// let scope = Scope::new("nsinit/web", &[("Slice".into(), "machine.slice".into())])?;
/// assert_eq!((scope.unit(), scope.slice()), ("nsinit-web.scope", "machine.slice"));
/// assert!(Scope::new("web", &[("MemoryMax".into(), "1".into())]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    unit: String,
    slice: String,
    properties: Vec<Property>,
}

impl Scope {
    /// Names the unit and checks the properties; asks nobody.
    ///
    /// Properties, all with the meaning of systemd.unit(5) and systemd.scope(5):
    /// `Slice` (default `system.slice` for root, `user.slice` for others),
    /// `Description`, `CollectMode`, `TimeoutStopUSec` (microseconds),
    /// `DefaultDependencies` (`yes` or `no`), and, with names of units between
    /// blanks, `After`, `Before`, `Wants`, `Requires`, `BindsTo`, `PartOf`,
    /// `Conflicts`.
    ///
    /// # Errors
    /// [`Error::Path`] for a path that is none of a cgroup or too long for a
    /// unit; [`Error::UnitProperty`] for every other property, because a limit
    /// is given by [`Limits`] and the rest belongs to this crate, and for a
    /// value that cannot be.
    pub fn new(path: &str, properties: &[(String, String)]) -> Result<Scope, Error> {
        let unit = unit::name(path)?;
        let mut slice = Bus::of_caller().default_slice().to_owned();
        let mut others = Vec::new();
        for (name, value) in properties {
            match Property::parse(name, value)? {
                Property::Slice(asked) => slice = asked,
                other => others.push(other),
            }
        }
        Ok(Scope { unit, slice, properties: others })
    }

    /// The unit's name, as systemctl(1) takes it.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The slice that the scope goes into.
    pub fn slice(&self) -> &str {
        &self.slice
    }
}

impl Cgroup {
    /// Has systemd make a scope around a process, and makes and limits a cgroup
    /// below it that the process is then in.
    ///
    /// A scope cannot be without a process, so the process comes first: `init`
    /// is a child of the caller that was cloned where the caller is, has one
    /// thread, and waits. After this call it is where it belongs, together with
    /// everything that it will start; only then may it be released, and only
    /// then unshare its cgroup namespace. It must not have changed its user
    /// before, which systemd compares with the caller's.
    ///
    /// On an error the caller kills `init`: the scope, if there is one by then,
    /// ends with it, and systemd removes what is below.
    ///
    /// This starts threads, which end when systemd has answered, but for one of
    /// the library that stays; they inherit the caller's signal mask.
    ///
    /// # Errors
    /// [`Error::Unavailable`] on a host with any hierarchy of v1: systemd manages
    /// only some of them. [`Error::Systemd`] with the unit and the bus when that
    /// cannot be reached, does not answer within ten seconds, or systemd refuses.
    /// [`Error::Timeout`] when the process is not in the unit ten seconds after
    /// the start. Otherwise as [`create`](Cgroup::create).
    pub fn create_by_systemd(scope: &Scope, limits: &Limits, init: Pid) -> Result<Cgroup, Error> {
        limits.validate()?;
        let hierarchies = Hierarchies::detect();
        let hierarchy = only_v2(&hierarchies)?;
        let controllers = create::controllers_of_v2(&hierarchies, limits)?;
        let deadline = Instant::now() + PATIENCE;
        Bus::of_caller().start(scope, init, deadline)?;
        let dir = await_scope(&scope.unit, init, deadline)?;
        if !dir.make(LEAF)? {
            return Err(Error::Exists { path: dir.path().join(LEAF), processes: 0 });
        }
        let leaf = dir.child(LEAF)?;
        // Controllers cannot be passed on while a process is in the scope itself.
        leaf.write("cgroup.procs", &init.as_raw_nonzero().to_string())?;
        place::enable(hierarchy, &dir, &controllers)?;
        let controllers = controllers.into_iter().map(str::to_owned).collect();
        let above = vec![Level { dir, made: false }];
        let member = Member { version: Version::V2, controllers, above, leaf };
        create::apply_on_v2(&member, limits)?;
        Ok(Cgroup::new(vec![member]))
    }

    /// Has systemd put another process into a cgroup that
    /// [`create_by_systemd`](Cgroup::create_by_systemd) made.
    ///
    /// For callers who are not root: from a login session the kernel refuses
    /// them [`entry`](Cgroup::entry), because nothing above both cgroups is
    /// theirs. As there, the process is a child that waits and has kept its user.
    ///
    /// # Errors
    /// [`Error::NotCgroup`] for a cgroup that is in no scope; [`Error::Systemd`];
    /// [`Error::Gone`].
    pub fn attach_by_systemd(&self, process: Pid) -> Result<(), Error> {
        let paths = self.paths();
        let in_scope = paths.iter().find_map(|path| scope_of(path));
        let Some(unit) = in_scope else {
            let path = paths.into_iter().next().unwrap_or_default();
            return Err(Error::NotCgroup { path, reason: "not the cgroup of a scope of systemd" });
        };
        self.entry()?;
        Bus::of_caller().attach(unit, process, Instant::now() + PATIENCE)
    }
}

/// The unified tree of a host that has nothing else.
fn only_v2(hierarchies: &Hierarchies) -> Result<&Hierarchy, Error> {
    match (hierarchies.mode(), hierarchies.v2()) {
        (Mode::V2, Some(hierarchy)) if hierarchies.v1().is_empty() => Ok(hierarchy),
        (mode, _) => {
            let reason = hierarchies.unusable().unwrap_or_else(|| {
                format!("a scope of systemd needs a host with cgroup v2 alone, and this is {mode}")
            });
            Err(Error::Unavailable { reason })
        }
    }
}

/// Waits until the process is in the unit: systemd answers when it has queued
/// the job, and moves the process later.
fn await_scope(unit: &str, init: Pid, deadline: Instant) -> Result<Dir, Error> {
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|source| Error::Io {
            action: "read".to_owned(),
            path: path.into(),
            source,
        })
    };
    let mounts = read("/proc/self/mountinfo")?;
    let pid = init.as_raw_nonzero();
    let mut pause = Pause::new();
    loop {
        let own = read(&format!("/proc/{pid}/cgroup"))?;
        match directory(&mounts, &own) {
            Some(path) if path.ends_with(unit) => return Dir::open(&path),
            _ if Instant::now() < deadline => pause.sleep(),
            _ => {
                return Err(Error::Timeout {
                    path: unit.into(),
                    awaited: "systemd to move the process into this unit",
                    found: format!("process {pid} is in {}", own.trim()),
                });
            }
        }
    }
}

/// Where a process is in the unified tree, by its `/proc/PID/cgroup`.
fn directory(mounts: &str, own: &str) -> Option<PathBuf> {
    Hierarchies::parse(mounts, own, "").v2()?.own.clone()
}

/// The unit of a cgroup `…/NAME.scope/container`.
fn scope_of(path: &Path) -> Option<&str> {
    if path.file_name()? != LEAF {
        return None;
    }
    path.parent()?.file_name()?.to_str().filter(|name| name.ends_with(".scope"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_cgroup_below_a_scope_belongs_to_its_unit() {
        let of = |path| scope_of(Path::new(path));
        assert_eq!(of("/cg/system.slice/nsinit-a.scope/container"), Some("nsinit-a.scope"));
        for other in ["/cg/nsinit-a.scope", "/cg/x/container", "/container", "/", "/a.scope/b"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn v1_hosts_are_refused_before_systemd_is_asked() {
        let mounts = "\
            30 20 0:26 / /cg/unified rw - cgroup2 cgroup2 rw\n\
            31 20 0:27 / /cg/systemd rw - cgroup cgroup rw,name=systemd\n\
            32 20 0:28 / /cg/memory rw - cgroup cgroup rw,memory\n";
        let parse = |own: &str| Hierarchies::parse(mounts, own, "");
        assert!(only_v2(&parse("0::/")).is_ok());
        for own in ["0::/\n1:memory:/\n", "0::/\n2:name=systemd:/\n", ""] {
            assert!(matches!(only_v2(&parse(own)), Err(Error::Unavailable { .. })), "{own:?}");
        }
        let hybrid = only_v2(&parse("0::/\n1:memory:/\n")).err().map(|e| e.to_string());
        assert_eq!(
            hybrid.as_deref(),
            Some(
                "no usable cgroups: a scope of systemd needs a host with cgroup v2 alone, \
                 and this is hybrid"
            )
        );
    }

    #[test]
    fn the_unit_is_where_the_process_is_and_not_where_a_name_says() {
        let of = |own: &str| directory("30 20 0:26 / /cg rw - cgroup2 cgroup2 rw\n", own);
        let path = "/machine.slice/machine-x.slice/nsinit-a.scope";
        assert_eq!(of(&format!("0::{path}\n")), Some(format!("/cg{path}").into()));
        assert_eq!(of("0::/../x\n"), None);
    }
}
