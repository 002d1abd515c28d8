//! Parent: making a cgroup in every hierarchy, all of it or nothing.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::cgroup::{Cgroup, Level, Member};
use crate::device::DeviceRule;
use crate::dir::Dir;
use crate::error::Error;
use crate::hierarchy::{Hierarchies, Hierarchy, Mode, Version};
use crate::limits::Limits;
use crate::place;
use crate::{online, v1, v2};

/// The v1 controllers that every job gets: for accounting, device rules, and
/// to be able to stop and find all of its processes.
const ALWAYS: [&str; 6] = ["memory", "pids", "cpu", "cpuacct", "devices", "freezer"];

/// Directories vanish while others remove their empty parents.
const ATTEMPTS: usize = 8;

/// What is to be made in one hierarchy.
#[derive(Debug)]
struct Need<'a> {
    hierarchy: &'a Hierarchy,
    /// The controllers that limits need here, by the kernel's names.
    controllers: Vec<&'static str>,
    /// Whether a limit depends on it; otherwise it is left out where it cannot be written.
    required: bool,
}

impl Cgroup {
    /// Makes `path` and puts the limits in force, in every hierarchy of the host.
    ///
    /// Root: below the root of each hierarchy. Others: below the nearest
    /// ancestor of the caller's own cgroup that they may write. The components
    /// but the last may exist; the last is new, so that nobody else is in it.
    /// On an error everything that was made is removed again.
    ///
    /// On v2 controllers are switched on level by level, and only those that a
    /// limit needs; on v1 there is a directory for memory, pids, cpu, cpuacct,
    /// devices and freezer, and for another controller when a limit needs it.
    ///
    /// # Errors
    /// [`Error::Path`] and [`Error::Limit`] for what cannot be asked for;
    /// [`Error::Unavailable`], [`Error::NotDelegated`], [`Error::Controller`] and
    /// [`Error::InternalProcesses`] for what this host does not give;
    /// [`Error::Exists`]; [`Error::Io`] with the file and the value.
    pub fn create(path: &str, limits: &Limits) -> Result<Cgroup, Error> {
        Cgroup::create_on(&Hierarchies::detect(), path, limits)
    }

    /// The same for a caller who has looked at the host already.
    ///
    /// # Errors
    /// As [`create`](Cgroup::create).
    pub fn create_on(
        hierarchies: &Hierarchies,
        path: &str,
        limits: &Limits,
    ) -> Result<Cgroup, Error> {
        let (names, needs) = prepare(hierarchies, path, limits)?;
        let mut making = Making::default();
        for need in &needs {
            if let Some(member) = make(need, &names)? {
                making.members.push(member);
            }
        }
        if making.members.is_empty() {
            return Err(not_delegated(hierarchies));
        }
        for member in &making.members {
            apply(member, limits, Absent::Defaults)?;
            match &limits.devices {
                Some(rules) if member.version == Version::V2 && !in_v1(hierarchies, "devices") => {
                    v2::devices(member.leaf(), rules)?;
                }
                _ => {}
            }
        }
        Ok(Cgroup::new(std::mem::take(&mut making.members)))
    }

    /// Whether [`create`](Cgroup::create) would find what it needs on this host. Makes
    /// nothing, so that a cgroup of that path and what happens meanwhile are not seen.
    ///
    /// # Errors
    /// As [`create`](Cgroup::create).
    pub fn check(path: &str, limits: &Limits) -> Result<(), Error> {
        let hierarchies = Hierarchies::detect();
        let (_, needs) = prepare(&hierarchies, path, limits)?;
        let mut nowhere = true;
        for need in &needs {
            let Some(base) = base(need)? else { continue };
            nowhere = false;
            if need.hierarchy.version == Version::V2 {
                place::offers(need.hierarchy, &base, &need.controllers)?;
            }
        }
        if nowhere { Err(not_delegated(&hierarchies)) } else { Ok(()) }
    }

    /// Puts device rules in force in a cgroup that was made without, and may have
    /// processes by now: they had to make nodes that the rules do not let them make.
    ///
    /// # Errors
    /// [`Error::Controller`] where there is neither a v1 hierarchy of devices nor a
    /// unified tree; [`Error::DeviceRules`] when the kernel refuses, or has other rules
    /// in force afterwards.
    pub fn restrict_devices(&self, rules: &[DeviceRule]) -> Result<(), Error> {
        if let Some(member) = self.members().iter().find(|member| member.has("devices")) {
            return v1::devices(member.leaf(), rules);
        }
        match self.members().iter().find(|member| member.version == Version::V2) {
            Some(member) => v2::devices(member.leaf(), rules),
            None => {
                let missing_at = self.paths().into_iter().next().unwrap_or_default();
                Err(Error::Controller { name: "devices", missing_at, above: None })
            }
        }
    }

    /// Changes limits of a cgroup that has processes; what is `None` stays as it is, the other
    /// half of the CPU bandwidth too (but for `cpus`, which may need a longer period).
    ///
    /// # Errors
    /// [`Error::Controller`] when the cgroup was made without that controller,
    /// [`Error::Limit`] for device rules, which cannot be changed.
    pub fn set(&self, limits: &Limits) -> Result<(), Error> {
        limits.validate()?;
        if limits.devices.is_some() {
            let reason = "are put in force when a cgroup is made and stay";
            return Err(Error::limit("devices", "rules", reason));
        }
        let needed = limits.controllers().into_iter().chain(limits.unified_controllers());
        for name in needed {
            if !self.members().iter().any(|member| member.has(name)) {
                let missing_at = self.paths().into_iter().next().unwrap_or_default();
                return Err(Error::Controller { name, missing_at, above: None });
            }
        }
        if !limits.unified.is_empty() && self.unified().is_none() {
            return Err(no_v2("unified"));
        }
        self.members().iter().try_for_each(|member| {
            let whole = with_whole_bandwidth(member, limits)?;
            apply(member, whole.as_ref().unwrap_or(limits), Absent::Stays)
        })
    }
}

/// What becomes of a limit that is not given, and depends on one that is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    Defaults,
    Stays,
}

/// The limits with the half of the CPU bandwidth that is not given as it is in force.
fn with_whole_bandwidth(member: &Member, limits: &Limits) -> Result<Option<Limits>, Error> {
    let half = limits.cpu_quota.is_some() != limits.cpu_period.is_some();
    if !half || limits.cpus.is_some() || !member.has("cpu") {
        return Ok(None);
    }
    let dir = member.leaf();
    let text = match member.version {
        Version::V1 => dir.read("cpu.cfs_quota_us")? + " " + &dir.read("cpu.cfs_period_us")?,
        Version::V2 => dir.read("cpu.max")?,
    };
    let mut numbers = text.split_ascii_whitespace();
    // On v2 there may be the word max.
    let quota = numbers.next().and_then(|word| word.parse().ok()).unwrap_or(-1);
    let period = numbers.next().and_then(|word| word.parse().ok());
    Ok(Some(Limits {
        cpu_quota: limits.cpu_quota.or(Some(quota)),
        cpu_period: limits.cpu_period.or(period),
        ..limits.clone()
    }))
}

/// Removes on drop what was made, unless the members were taken out.
#[derive(Default)]
struct Making {
    members: Vec<Member>,
}

impl Drop for Making {
    fn drop(&mut self) {
        for member in self.members.iter().rev() {
            undo(&member.above, Some(&member.leaf));
        }
    }
}

/// The same for the levels of one hierarchy.
struct Way {
    levels: Vec<Level>,
}

impl Drop for Way {
    fn drop(&mut self) {
        undo(&self.levels, None);
    }
}

/// Removes the innermost directories first; a parent that got other children stays.
fn undo(levels: &[Level], leaf: Option<&Dir>) {
    let made = levels.iter().map(|level| (&level.dir, level.made));
    let all: Vec<(&Dir, bool)> = made.chain(leaf.map(|dir| (dir, true))).collect();
    for pair in all.windows(2).rev() {
        let ((above, _), (dir, made)) = (pair[0], pair[1]);
        if let (true, Some(name)) = (made, dir.path().file_name()) {
            // The error that led here is the one to tell.
            let _ = above.remove(name);
        }
    }
}

fn no_v2(name: &str) -> Error {
    Error::limit(name, "", "needs cgroup v2, which this host does not have for it")
}

/// The components of the path, and what is to be made.
fn prepare<'a>(
    hierarchies: &'a Hierarchies,
    path: &'a str,
    limits: &Limits,
) -> Result<(Vec<&'a str>, Vec<Need<'a>>), Error> {
    let names = place::components(path)?;
    limits.validate()?;
    online::check(limits)?;
    match hierarchies.unusable() {
        Some(reason) => Err(Error::Unavailable { reason }),
        None => Ok((names, needs(hierarchies, limits)?)),
    }
}

/// Distributes the limits over the hierarchies that can hold them.
fn needs<'a>(hierarchies: &'a Hierarchies, limits: &Limits) -> Result<Vec<Need<'a>>, Error> {
    let mut required = limits.controllers();
    if limits.devices.is_some() && in_v1(hierarchies, "devices") {
        required.push("devices");
    }
    only_on_v2(hierarchies, limits)?;
    let mut needs = Vec::new();
    for hierarchy in hierarchies.v1() {
        let here: Vec<&'static str> =
            required.iter().copied().filter(|name| hierarchy.has(name)).collect();
        if here.is_empty() && !ALWAYS.iter().any(|name| hierarchy.has(name)) {
            continue;
        }
        needs.push(Need { hierarchy, required: !here.is_empty(), controllers: here });
    }
    let mut rest: Vec<&'static str> =
        required.iter().copied().filter(|name| !in_v1(hierarchies, name)).collect();
    for name in limits.unified_controllers() {
        if !rest.contains(&name) {
            rest.push(name);
        }
    }
    // On v2 device rules are a program and need no controller.
    let program = limits.devices.is_some() && !in_v1(hierarchies, "devices");
    match (hierarchies.v2(), rest.first()) {
        (Some(hierarchy), _) => {
            let required = program || !rest.is_empty() || !limits.unified.is_empty();
            needs.push(Need { hierarchy, controllers: rest, required });
        }
        (None, Some(name)) => return Err(unmounted(hierarchies, name)),
        (None, None) if program => return Err(unmounted(hierarchies, "devices")),
        (None, None) => {}
    }
    Ok(needs)
}

/// The controllers that limits need on a host that has v2 alone.
#[cfg(feature = "systemd")]
pub(crate) fn controllers_of_v2(
    hierarchies: &Hierarchies,
    limits: &Limits,
) -> Result<Vec<&'static str>, Error> {
    Ok(needs(hierarchies, limits)?.into_iter().flat_map(|need| need.controllers).collect())
}

/// Puts all limits in force in a directory of such a host.
#[cfg(feature = "systemd")]
pub(crate) fn apply_on_v2(member: &Member, limits: &Limits) -> Result<(), Error> {
    apply(member, limits, Absent::Defaults)?;
    limits.devices.as_deref().map_or(Ok(()), |rules| v2::devices(member.leaf(), rules))
}

/// Refuses what only v2 has where its controller belongs to v1, or there is no v2.
fn only_on_v2(hierarchies: &Hierarchies, limits: &Limits) -> Result<(), Error> {
    let reason = "needs cgroup v2, and on this host the controller is in a v1 hierarchy";
    if in_v1(hierarchies, "memory") {
        if let Some(bytes) = limits.memory_high {
            return Err(Error::limit("memory_high", bytes, reason));
        }
        if limits.oom_group == Some(true) {
            return Err(Error::limit("oom_group", true, reason));
        }
    }
    for (file, value) in &limits.unified {
        let prefix = file.split('.').next().unwrap_or_default();
        if hierarchies.v2().is_none() || in_v1(hierarchies, prefix) {
            return Err(Error::limit(format!("unified {file:?}"), format!("{value:?}"), reason));
        }
    }
    Ok(())
}

fn in_v1(hierarchies: &Hierarchies, controller: &str) -> bool {
    hierarchies.v1().iter().any(|hierarchy| hierarchy.has(controller))
}

/// No hierarchy has the controller; it would be beside the others.
fn unmounted(hierarchies: &Hierarchies, name: &'static str) -> Error {
    let first = hierarchies.v1().first().and_then(|hierarchy| hierarchy.mount_point.parent());
    let missing_at = first.unwrap_or(Path::new("/sys/fs/cgroup")).to_owned();
    Error::Controller { name, missing_at, above: None }
}

fn not_delegated(hierarchies: &Hierarchies) -> Error {
    let all = hierarchies.v2().into_iter().chain(hierarchies.v1());
    let place = |h: &Hierarchy| h.own.clone().unwrap_or_else(|| h.mount_point.clone());
    match all.map(place).next() {
        Some(path) => Error::NotDelegated { path, needed: Vec::new() },
        None => Error::Unavailable { reason: Mode::None.to_string() },
    }
}

/// Where the cgroup goes in one hierarchy; `None` where it is not needed and not writable.
fn base(need: &Need<'_>) -> Result<Option<Dir>, Error> {
    let base = place::base(need.hierarchy)?;
    if base.is_none() && need.required {
        let own = need.hierarchy.own.clone();
        let path: PathBuf = own.unwrap_or_else(|| need.hierarchy.mount_point.clone());
        return Err(Error::NotDelegated { path, needed: need.controllers.clone() });
    }
    Ok(base)
}

/// The directory of one hierarchy; `None` where it is not needed and not writable.
fn make(need: &Need<'_>, names: &[&str]) -> Result<Option<Member>, Error> {
    let mut attempt = 1;
    loop {
        let Some(base) = base(need)? else { return Ok(None) };
        match make_below(need, base, names) {
            Err(error) if attempt < ATTEMPTS && vanished(&error) => attempt += 1,
            result => return result.map(Some),
        }
    }
}

fn vanished(error: &Error) -> bool {
    matches!(error, Error::Gone { .. })
        || matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV))
}

fn make_below(need: &Need<'_>, base: Dir, names: &[&str]) -> Result<Member, Error> {
    let hierarchy = need.hierarchy;
    let mut way = Way { levels: vec![Level { dir: base, made: false }] };
    for (index, name) in names.iter().enumerate() {
        let Some(Level { dir: above, .. }) = way.levels.last() else { break };
        if hierarchy.version == Version::V2 {
            place::enable(hierarchy, above, &need.controllers)?;
        }
        let made = above.make(name)?;
        let opened = if made { above.made_child(name) } else { above.child(name) };
        let dir = match opened {
            Ok(dir) => dir,
            Err(error) => {
                if made {
                    let _ = above.remove(name);
                }
                return Err(error);
            }
        };
        let last = index + 1 == names.len();
        if last && !made {
            let text = dir.read_raw("cgroup.procs").unwrap_or_default();
            let processes = text.lines().count();
            return Err(Error::Exists { path: dir.path().to_owned(), processes });
        }
        if made && !last {
            dir.mark();
        }
        let made = made || dir.marked();
        way.levels.push(Level { dir, made });
        if let [.., above, level] = way.levels.as_slice() {
            if hierarchy.version == Version::V1 && hierarchy.has("cpuset") {
                place::inherit_cpuset(&above.dir, &level.dir)?;
            }
        }
    }
    let mut levels = std::mem::take(&mut way.levels);
    let Some(Level { dir: leaf, .. }) = levels.pop() else {
        return Err(Error::Path { path: String::new(), reason: "the path is empty" });
    };
    let controllers = match hierarchy.version {
        Version::V1 => hierarchy.controllers.clone(),
        Version::V2 => need.controllers.iter().map(|name| (*name).to_owned()).collect(),
    };
    Ok(Member { version: hierarchy.version, controllers, above: levels, leaf })
}

fn apply(member: &Member, limits: &Limits, absent: Absent) -> Result<(), Error> {
    match member.version {
        Version::V1 => v1::apply(member, limits, absent),
        Version::V2 => v2::apply(member, limits, absent),
    }
}
