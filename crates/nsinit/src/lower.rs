//! Parent: container.json and facts about the host become a plan. Changes nothing.

mod filesystem;
mod guard;
pub(crate) mod process;
mod resources;

use std::ffi::{CString, OsString};
use std::path::Path;

use nsinit_config::{CgroupDriver, Container, DEFAULT_NAMESPACES, NamespaceEntry};
use nsinit_namespaces::{IdMap, IdMaps, Kinds, Namespace, TimeOffsets};
use nsinit_rootfs::Rootfs;
use nsinit_security::Sysctl;
use rustix::process::Signal;

use crate::error::{Error, Result};
use crate::handshake::Tag;
use crate::host::Host;
use crate::plan::{JoinedNamespace, Plan};
use crate::step::Step;

use resources::NewNetwork;
pub(crate) use resources::interface_name;

/// Everything that a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The configuration.
    pub container: &'a Container,
    /// Facts about the host.
    pub host: &'a Host,
    /// The root filesystem.
    pub rootfs: &'a Rootfs,
    /// The container's directory: `container.json` in it, and the `pid` file, are covered
    /// where the container could write them; its path names the cgroup by default.
    pub directory: &'a Path,
    /// Whether there is a `pid` file in it while the container lives.
    pub pid_file: bool,
    /// Where the state is kept, which the container must not reach either.
    pub run_directory: Option<&'a Path>,
    /// `KEY=value` on top of the configuration's environment.
    pub environment: &'a [String],
}

impl Plan {
    /// The plan of a container whose directory is its root filesystem, for a program.
    ///
    /// Without arguments the configuration's `args` are the program.
    ///
    /// # Errors
    ///
    /// What can be known before anything is changed: see [`Error`].
    pub fn new(
        container: &Container,
        host: &Host,
        rootfs: &Rootfs,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Plan> {
        let directory = rootfs.path().unwrap_or(Path::new("/"));
        Plan::from_source(
            &Source {
                container,
                host,
                rootfs,
                directory,
                pid_file: true,
                run_directory: None,
                environment: &[],
            },
            args,
        )
    }

    /// As [`Plan::new`], with the container's directory apart from its root filesystem.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    pub fn from_source(
        source: &Source<'_>,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Plan> {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        source.container.validate().map_err(|faults| Error::Config(faults.into()))?;
        let namespaces = Namespaces::of(source)?;
        let container = source.container;
        let terminal = container.tty.unwrap_or(source.host.terminal);
        let identity = process::Identity::of(source, &namespaces)?;
        guard::own_files(source, identity.may_mount())?;
        filesystem::expect_working_directory(source)?;

        let mut steps = arrive(&namespaces);
        let network = resources::network(source, &namespaces)?;
        let NewNetwork { interfaces, launcher_steps, make, enter } = network;
        let furniture = filesystem::steps(source, &namespaces, terminal)?;
        filesystem::interleave(&mut steps, furniture, make, enter);
        if !interfaces.is_empty() {
            // They may have parameters.
            steps.push(Step::Await(Tag::Proceed));
        }
        if terminal {
            steps.push(Step::SendConsole);
        }
        name_host(container, &mut steps)?;
        steps.extend(parameters(source, &namespaces)?);
        steps.push(Step::Report(Tag::Ready));

        let mut last_steps = vec![Step::Await(Tag::Start)];
        last_steps.extend(process::last_steps(source, &namespaces, &identity, terminal)?);
        let program = process::program(
            container,
            source.host,
            &identity.user,
            source.environment,
            terminal,
            &args,
        )?;
        Ok(Plan {
            namespaces: namespaces.cloned(),
            joined: namespaces.joined.clone(),
            id_maps: namespaces.id_maps.clone(),
            cgroup: resources::cgroup(source, &namespaces, terminal)?,
            launcher_steps,
            interfaces,
            terminal,
            steps,
            last_steps,
            program,
        })
    }
}

/// For `map_err`: the configuration asks for what cannot be had here.
pub(crate) fn refused(key: &str) -> impl FnOnce(nsinit_security::Error) -> Error {
    move |error| {
        // An LSM that is asked for must be on: leaving it out is for the configuration to say.
        let hint = match &error {
            nsinit_security::Error::Disabled { .. } => Some("remove the key to run without it"),
            nsinit_security::Error::Unsupported { .. } => {
                Some("write \"unconfined\" to run without it")
            }
            nsinit_security::Error::NotFound { .. } => Some("add it there, or give its number"),
            _ => None,
        };
        let message = error.to_string();
        let object = format!("{key} ");
        refuse(key, message.strip_prefix(&object).unwrap_or(&message), hint)
    }
}

fn refuse(key: &str, message: &str, hint: Option<&str>) -> Error {
    Error::Container { key: key.into(), message: message.into(), hint: hint.map(str::to_owned) }
}

/// Who sees to it that init is in the cgroup.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CgroupEntry {
    /// There is none.
    None,
    /// Init itself, where clone did not.
    Init,
    /// systemd, while init waits.
    Systemd,
}

/// Which namespaces are new, which are joined, and the id maps.
pub(crate) struct Namespaces {
    pub(crate) new: Kinds,
    pub(crate) joined: Vec<JoinedNamespace>,
    pub(crate) id_maps: Option<IdMaps>,
    offsets: Option<TimeOffsets>,
    cgroup: CgroupEntry,
    death_signal: Option<Signal>,
    setgroups_denied: bool,
}

impl Namespaces {
    fn of(source: &Source<'_>) -> Result<Namespaces> {
        let Source { container, host, .. } = *source;
        let entries = container.namespaces.as_deref();
        let new = new_namespaces(container, host);
        let mut joined: Vec<_> = entries.unwrap_or_default().iter().filter_map(joined).collect();
        // A privileged caller keeps its capabilities over the others until they are joined;
        // anybody else has them only inside of the user namespace.
        joined.sort_by_key(|joined| (joined.kind == Namespace::User) == host.privileged);
        let joins = |kind| joined.iter().any(|joined: &JoinedNamespace| joined.kind == kind);
        for (kind, why) in [
            (Namespace::Pid, "a process cannot move itself into an existing PID namespace"),
            (Namespace::Mount, "set-up would change the mounts of whoever lives in it"),
        ] {
            if joins(kind) {
                let message = format!("{kind} with a path is not supported: {why}");
                return Err(refuse("namespaces", &message, None));
            }
        }
        let id_maps = match new.contains(Kinds::USER) {
            true => Some(id_maps(source)?),
            false => None,
        };
        let offsets = container.time_offsets.as_ref().map(|offsets| TimeOffsets {
            monotonic: offsets.monotonic,
            boottime: offsets.boottime,
        });
        Ok(Namespaces {
            new,
            joined,
            offsets,
            cgroup: match &container.cgroups {
                None => CgroupEntry::None,
                Some(asked) if asked.driver == Some(CgroupDriver::Systemd) => CgroupEntry::Systemd,
                Some(_) => CgroupEntry::Init,
            },
            death_signal: death_signal(container),
            setgroups_denied: host.setgroups_denied
                || id_maps.as_ref().is_some_and(IdMaps::denies_setgroups),
            id_maps,
        })
    }

    /// What clone makes: a cgroup namespace must be made after the cgroup was entered,
    /// else it shows the caller's tree, and a time namespace with offsets takes them
    /// only before anybody is in it.
    fn cloned(&self) -> Kinds {
        let late = match self.offsets {
            Some(_) => Kinds::CGROUP | Kinds::TIME,
            None => Kinds::CGROUP,
        };
        self.new - late - Kinds::NET
    }

    pub(crate) fn has(&self, kind: Kinds) -> bool {
        self.new.contains(kind)
    }

    pub(crate) fn is_user(&self) -> bool {
        self.id_maps.is_some() || self.joined.iter().any(|j| j.kind == Namespace::User)
    }

    pub(crate) fn death_signal(&self) -> Option<Signal> {
        self.death_signal
    }

    pub(crate) fn may_set_groups(&self) -> bool {
        !self.setgroups_denied
    }
}

/// The namespaces that are made: an ordinary user always gets one of users, too.
pub(crate) fn new_namespaces(container: &Container, host: &Host) -> Kinds {
    let entries = container.namespaces.as_deref();
    let made = |entries: &[NamespaceEntry]| {
        entries.iter().filter(|entry| entry.path.is_none()).map(|entry| entry.kind).collect()
    };
    let joins_user = entries
        .unwrap_or_default()
        .iter()
        .any(|entry| entry.kind == Namespace::User && entry.path.is_some());
    let new: Kinds = entries.map_or_else(|| DEFAULT_NAMESPACES.into_iter().collect(), made);
    if host.privileged || joins_user { new } else { new | Kinds::USER }
}

fn joined(entry: &NamespaceEntry) -> Option<JoinedNamespace> {
    Some(JoinedNamespace { kind: entry.kind, path: entry.path.clone()? })
}

fn death_signal(container: &Container) -> Option<Signal> {
    match container.parent_death_signal {
        None => Some(Signal::KILL),
        Some(signal) => Signal::from_named_raw(signal.number()),
    }
}

fn id_maps(source: &Source<'_>) -> Result<IdMaps> {
    let Source { container, host, .. } = *source;
    let given = |lines: &[nsinit_config::IdMapping]| -> Vec<IdMap> {
        let map = |m: &nsinit_config::IdMapping| IdMap {
            container_id: m.container_id,
            host_id: m.host_id,
            size: m.size,
        };
        lines.iter().map(map).collect()
    };
    if !container.uid_mappings.is_empty() || !container.gid_mappings.is_empty() {
        let maps =
            IdMaps { uids: given(&container.uid_mappings), gids: given(&container.gid_mappings) };
        maps.validate().map_err(Error::Namespaces)?;
        return Ok(maps);
    }
    match IdMaps::subordinate().map_err(Error::Namespaces)? {
        Some(maps) => Ok(maps),
        None if host.privileged => Err(refuse(
            "namespaces",
            "NEWUSER as root needs ids to map, and /etc/subuid has none for root",
            Some("give uid_mappings and gid_mappings"),
        )),
        None => Ok(IdMaps::caller_as_root()),
    }
}

/// The first steps: where init is, and who.
fn arrive(namespaces: &Namespaces) -> Vec<Step> {
    // Armed first: from here on nothing survives the launcher.
    let mut steps = vec![Step::ParentDeathSignal(Some(Signal::KILL))];
    if namespaces.id_maps.is_some() || namespaces.cgroup == CgroupEntry::Systemd {
        steps.push(Step::Await(Tag::Mapped));
    }
    // With a user namespace this must precede BecomeRoot: the kernel compares the ids
    // of who opened the files. The cgroup namespace must follow it.
    if namespaces.cgroup == CgroupEntry::Init {
        steps.push(Step::EnterCgroup);
    }
    for (index, JoinedNamespace { kind, path }) in namespaces.joined.iter().enumerate() {
        steps.push(Step::JoinNamespace { index, kind: *kind, path: path.clone() });
    }
    if namespaces.is_user() {
        steps.push(Step::BecomeRoot { setgroups: namespaces.may_set_groups() });
        // Becoming somebody else disarms the signal and closes the own files in /proc
        // (prctl(2)), which the next steps write; nobody else is in the namespaces yet.
        steps.extend([Step::ParentDeathSignal(Some(Signal::KILL)), Step::Dumpable]);
    }
    if namespaces.has(Kinds::CGROUP) {
        steps.push(Step::Unshare(Kinds::CGROUP));
    }
    steps.push(Step::NewSession);
    steps
}

fn name_host(container: &Container, steps: &mut Vec<Step>) -> Result<()> {
    let name = |key: &str, value: &String| {
        CString::new(value.as_str()).map_err(|_| refuse(key, "must not have a NUL byte", None))
    };
    if let Some(hostname) = &container.hostname {
        steps.push(Step::Hostname(name("hostname", hostname)?));
    }
    if let Some(domainname) = &container.domainname {
        steps.push(Step::Domainname(name("domainname", domainname)?));
    }
    Ok(())
}

/// Kernel parameters and clocks of the container's own namespaces.
fn parameters(source: &Source<'_>, namespaces: &Namespaces) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (key, value) in &source.container.sysctl {
        let path = format!("sysctl[{key:?}]");
        let sysctl = Sysctl::new(key, value).map_err(refused(&path))?;
        steps.push(Step::Sysctl(sysctl));
    }
    steps.extend(namespaces.offsets.map(Step::TimeOffsets));
    Ok(steps)
}
