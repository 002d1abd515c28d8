//! Parent: who the program is, what it may do, and what it gets.

use std::collections::HashSet;
use std::ffi::{CString, OsString};
use std::io::{Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nsinit_config::{Container, Seccomp};
use nsinit_namespaces::{IdMaps, Kinds, SubordinateIds};
use nsinit_security::{
    CallFilter, Capabilities, Capability, CapabilitySet, Groups, Label, Resource, Rlimit, User,
};

use super::{Namespaces, Source, filesystem, refuse, refused};
use crate::diagnosis::ids;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::program::Program;
use crate::step::Step;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program's user and capabilities.
pub(crate) struct Identity {
    pub(crate) user: User,
    capabilities: Capabilities,
}

impl Identity {
    pub(super) fn of(source: &Source<'_>, namespaces: &Namespaces) -> Result<Identity> {
        let read = |path: &str| filesystem::account_file(source, path);
        let identity =
            Identity::resolve(source.container, source.host, namespaces.is_user(), read)?;
        check_mapped(source, &identity.user, namespaces.id_maps.as_ref())?;
        Ok(identity)
    }

    pub(super) fn may_mount(&self) -> bool {
        self.capabilities.bounding.contains(Capability::SysAdmin)
    }

    /// By account files that `read` finds.
    pub(crate) fn resolve(
        container: &Container,
        host: &Host,
        user_namespace: bool,
        read: impl Fn(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<Identity> {
        let user = resolve_user(container, read)?;
        let capabilities = capabilities(container, &user, host, user_namespace)?;
        Ok(Identity { user, capabilities })
    }
}

fn resolve_user(
    container: &Container,
    read: impl Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<User> {
    let spec = container.user.as_deref().unwrap_or("");
    let groups = &container.additional_groups;
    let plain = matches!(spec, "" | "root" | "0" | "0:0") && groups.is_empty();
    let open = |path: &str| -> Result<Option<Cursor<Vec<u8>>>> {
        if plain { Ok(None) } else { Ok(read(path)?.map(Cursor::new)) }
    };
    let (mut passwd, mut group) = (open("/etc/passwd")?, open("/etc/group")?);
    let passwd = passwd.as_mut().map(|file| file as &mut dyn Read);
    let group = group.as_mut().map(|file| file as &mut dyn Read);
    User::resolve(spec, groups, passwd, group).map_err(|error| {
        let additional = match &error {
            nsinit_security::Error::NotFound { what: "group", name, .. } => {
                // A group after the colon is looked up first.
                groups.iter().position(|group| group == name).filter(|_| !spec.ends_with(name))
            }
            _ => None,
        };
        match additional {
            Some(index) => refused(&format!("additional_groups[{index}]"))(error),
            None => refused("user")(error),
        }
    })
}

fn check_mapped(source: &Source<'_>, user: &User, maps: Option<&IdMaps>) -> Result<()> {
    let Some(maps) = maps else { return Ok(()) };
    let wrong = match user {
        user if !maps.maps_uid(user.uid) => format!("uid {}", user.uid),
        user if !maps.maps_gid(user.gid) => format!("gid {}", user.gid),
        user => match user.groups.iter().find(|gid| !maps.maps_gid(**gid)) {
            Some(gid) if !maps.denies_setgroups() => format!("group {gid}"),
            _ => return Ok(()),
        },
    };
    let given = !source.container.uid_mappings.is_empty();
    let subordinate = SubordinateIds::of_the_caller().ok().filter(|_| !given);
    let hint = subordinate.and_then(|subordinate| ids::remedy(&subordinate));
    let hint = hint.as_deref().unwrap_or("map it with uid_mappings and gid_mappings");
    Err(refuse("user", &format!("{wrong} is not mapped into the user namespace"), Some(hint)))
}

fn capabilities(
    container: &Container,
    user: &User,
    host: &Host,
    user_namespace: bool,
) -> Result<Capabilities> {
    // A new user namespace comes with all capabilities, for what belongs to it.
    let available = if user_namespace { CapabilitySet::ALL } else { host.bounding };
    let set =
        |list: &[nsinit_security::Capability]| list.iter().copied().collect::<CapabilitySet>();
    let default = CapabilitySet::CONTAINER & available;
    let masked = set(&container.capabilities_mask);
    let (key, named) = match &container.capabilities {
        Some(exact) => ("capabilities", set(exact)),
        None => ("capabilities_add", set(&container.capabilities_add) - masked),
    };
    if let Some(missing) = (named - available).iter().next() {
        let message = format!("{missing} is not in the caller's bounding set");
        return Err(refuse(key, &message, None));
    }
    let bounding = match container.capabilities {
        Some(_) => named,
        None => (default | named) - masked,
    };
    Ok(match user.uid {
        0 => Capabilities::root(bounding),
        // Only what is named outlives the change of user.
        _ => Capabilities { bounding, ..Capabilities::user(named) },
    })
}

/// From Start to execve.
pub(super) fn last_steps(
    source: &Source<'_>,
    namespaces: &Namespaces,
    identity: &Identity,
    terminal: bool,
) -> Result<Vec<Step>> {
    let Source { container, host, .. } = *source;
    let mut steps = own_proc_files(container, host, namespaces.is_user())?;
    steps.extend(confine(container, host, identity)?);
    let groups = if namespaces.may_set_groups() { Groups::Set } else { Groups::Denied };
    steps.extend(become_user(container, identity, groups));
    // Becoming somebody else disarms the signal (prctl(2)).
    steps.push(Step::ParentDeathSignal(namespaces.death_signal()));
    steps.extend(hand_over(container)?);
    if container.init.unwrap_or(false) {
        if !namespaces.has(Kinds::PID) {
            return Err(refuse("init", "needs a new PID namespace (NEWPID)", None));
        }
        steps.extend([Step::NotDumpable, Step::StayInit]);
    }
    if terminal {
        steps.push(Step::ControllingTerminal);
    }
    Ok(steps)
}

/// What the program starts with: its standard input and output, nothing else that is
/// open, and only then its directory, which could be named by what was open.
pub(crate) fn hand_over(container: &Container) -> Result<[Step; 3]> {
    Ok([Step::Stdio, Step::CloseDescriptors, working_directory(container)?])
}

/// What is set by files of /proc: it needs privileges that the program will not have.
pub(crate) fn own_proc_files(
    container: &Container,
    host: &Host,
    user_namespace: bool,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if let Some(score) = container.oom_score_adj {
        let score = i16::try_from(score)
            .map_err(|_| refuse("oom_score_adj", "must be from -1000 to 1000", None))?;
        steps.push(Step::OomScoreAdj(score));
    }
    steps.extend(labels(container, host, user_namespace)?.into_iter().map(Step::Label));
    Ok(steps)
}

/// What execve keeps, and the program can only make tighter.
pub(crate) fn confine(
    container: &Container,
    host: &Host,
    identity: &Identity,
) -> Result<Vec<Step>> {
    let mut steps = vec![Step::SessionKeyring];
    steps.extend(rlimits(container, host)?.into_iter().map(Step::Rlimit));
    steps.push(Step::Umask(container.umask.unwrap_or(0o022)));
    if container.seccomp != Some(Seccomp::Unconfined) {
        let filter = CallFilter::of_container(identity.may_mount()).map_err(refused("seccomp"))?;
        // While it takes no no_new_privs.
        steps.push(Step::CallFilter(filter));
    }
    Ok(steps)
}

/// The one order in which capabilities survive exactly as far as they should:
/// bounding set, user, other sets, no_new_privs, and a look at the result.
pub(crate) fn become_user(container: &Container, identity: &Identity, groups: Groups) -> Vec<Step> {
    let Identity { user, capabilities } = identity;
    let mut steps = vec![
        Step::BoundingSet(*capabilities),
        Step::User { user: user.clone(), groups },
        Step::Capabilities(*capabilities),
    ];
    if container.no_new_privileges.unwrap_or(true) {
        steps.push(Step::NoNewPrivileges);
    }
    steps.push(Step::VerifyCapabilities(*capabilities));
    steps
}

fn rlimits(container: &Container, host: &Host) -> Result<Vec<Rlimit>> {
    let mut limits = Vec::new();
    let asked = |resource| container.rlimits.iter().any(|limit| limit.resource == resource);
    for (resource, soft, hard) in [
        (Resource::Nofile, 1024, host.hard_limits.nofile),
        (Resource::Core, 0, host.hard_limits.core),
    ] {
        if !asked(resource) {
            let soft = hard.map_or(soft, |hard| hard.min(soft));
            limits.push(Rlimit { resource, soft: Some(soft), hard });
        }
    }
    for limit in &container.rlimits {
        limits.push(Rlimit { resource: limit.resource, soft: limit.soft, hard: limit.hard });
    }
    Ok(limits)
}

fn labels(container: &Container, host: &Host, user_namespace: bool) -> Result<Vec<Label>> {
    let Some(context) = &container.context else { return Ok(Vec::new()) };
    let mut labels = Vec::new();
    if let Some(asked) = &context.apparmor_profile {
        let key = "context.apparmor_profile";
        let apparmor = host.lsm.apparmor().map_err(refused(key))?;
        labels.push(apparmor.exec_profile(asked).map_err(refused(key))?);
    }
    if let Some(asked) = &context.process_label {
        let key = "context.process_label";
        let selinux = host.lsm.selinux().map_err(refused(key))?;
        labels.push(selinux.exec_label(asked).map_err(refused(key))?);
    }
    let own_pids = container.namespaces.as_ref().is_none_or(|entries| {
        entries.iter().any(|entry| entry.kind == nsinit_namespaces::Namespace::Pid)
    });
    if !labels.is_empty() && user_namespace && !own_pids {
        return Err(refuse(
            "context",
            "labels need a procfs of the container's own, and without NEWPID a user namespace \
             cannot have one",
            None,
        ));
    }
    Ok(labels)
}

fn working_directory(container: &Container) -> Result<Step> {
    let path = container.working_dir.as_deref().unwrap_or(Path::new("/"));
    let path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| refuse("working_dir", "must not have a NUL byte", None))?;
    Ok(Step::WorkingDirectory(path))
}

/// The program with its environment.
pub(crate) fn program(
    container: &Container,
    host: &Host,
    user: &User,
    extra_environment: &[String],
    terminal: bool,
    args: &[OsString],
) -> Result<Program> {
    let from_config: Vec<OsString>;
    let args = match (args, &container.args) {
        ([], Some(list)) if !list.is_empty() => {
            from_config = list.iter().map(OsString::from).collect();
            &from_config
        }
        ([], _) => {
            return Err(Error::Usage(
                "no program: give a command, or \"args\" in container.json".into(),
            ));
        }
        (args, _) => args,
    };
    if args.first().is_some_and(|program| program.is_empty()) {
        return Err(Error::Usage("the program's name is empty".into()));
    }
    let mut environment = environment(container, host, user, terminal);
    for entry in extra_environment {
        let key = entry.split_inclusive('=').next().unwrap_or(entry);
        environment.retain(|earlier| !earlier.starts_with(key));
        environment.push(entry.clone());
    }
    Program::new(args, &environment, host.own_executable)
        .map_err(|_| Error::Usage("an argument or the environment has a NUL byte".into()))
}

/// Exactly what the configuration says, or the default.
fn environment(container: &Container, host: &Host, user: &User, terminal: bool) -> Vec<String> {
    if let Some(entries) = &container.environment {
        // The last one holds. Programs that are given two do not agree on which.
        let mut seen = HashSet::new();
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries.iter().rev() {
            if seen.insert(entry.split('=').next()) {
                kept.push(entry.clone());
            }
        }
        kept.reverse();
        return kept;
    }
    let home = match &user.home {
        Some(home) => home.as_str(),
        None if user.uid == 0 => "/root",
        None => "/",
    };
    let mut environment = vec![PATH.to_owned(), format!("HOME={home}"), "LANG=C.UTF-8".to_owned()];
    environment.extend(container.hostname.as_ref().map(|name| format!("HOSTNAME={name}")));
    if terminal {
        let term = host.term.as_deref().unwrap_or("xterm");
        environment.push(format!("TERM={term}"));
    }
    environment
}
