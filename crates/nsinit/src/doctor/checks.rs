//! Parent: what a plan needs of the host, asked before it is carried out.

use std::path::Path;
use std::process::ExitStatus;

use nsinit_cgroups::Cgroup;
use nsinit_namespaces::{Command, Kinds, NamespaceFile};
use nsinit_security::{Capability, CapabilitySet, Rlimit};
use rustix::fs::Access;
use rustix::process::{Resource, getrlimit, getuid};

use super::files::{self, Place};
use super::{Check, Planned};
use crate::diagnosis::{access, limits, masked, read};
use crate::error::{Error, Result};
use crate::plan::{JoinedNamespace, Plan};
use crate::run;
use crate::state::RunDirectory;
use crate::step::Step;

pub(super) fn of(planned: &Planned, plan: &Plan) -> Vec<Check> {
    let Planned { directory, program_is_named, .. } = planned;
    let uid = rustix::process::geteuid().as_raw();
    let mut checks = vec![
        asked("run directory", run_directory(uid)),
        asked("other users", run::refuse_foreign(&directory.path.join("pid"), uid).map(free)),
        namespaces(plan),
    ];
    checks.extend(["proc", "sysfs"].iter().filter_map(|name| new_filesystem(plan, name)));
    if !plan.joined.is_empty() {
        checks.push(asked("joined namespaces", joined(plan)));
    }
    checks.extend(plan.cgroup.as_ref().map(|_| asked("cgroup", cgroup(plan))));
    checks.extend(memory(plan));
    if !plan.interfaces.is_empty() {
        let answer = nsinit_network::check_host(&plan.interfaces).map_err(Error::Network);
        checks.push(asked("network", answer.map(|()| words(&plan.interfaces))));
    }
    checks.push(own_limits());
    checks.extend(mount_points(plan));
    checks.extend(rlimits(plan));
    checks.extend(parameters(plan));
    checks.push(files::working_directory(plan, &Place::of(directory)));
    if *program_is_named {
        checks.push(files::program(plan, &Place::of(directory)));
    }
    checks
}

fn asked(name: &'static str, answer: Result<String>) -> Check {
    Check::of(name, answer.as_ref().map(Clone::clone))
}

fn free(_: ()) -> String {
    "nobody else's container runs in this directory".into()
}

fn words(list: &[impl ToString]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether the state can be kept; nothing is made.
fn run_directory(uid: u32) -> Result<String> {
    let path = match RunDirectory::find(uid)? {
        Ok(found) => return room_in(found.path()).map(|()| found.path().display().to_string()),
        Err(missing) => missing,
    };
    let above = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
    rustix::fs::access(above, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|errno| Error::path("make the run directory below", above)(errno.into()))?;
    room_in(above)?;
    Ok(format!("{} can be made", path.display()))
}

fn room_in(directory: &Path) -> Result<()> {
    match limits::full(directory) {
        None => Ok(()),
        Some(_) => Err(Error::path("write to", directory)(rustix::io::Errno::NOSPC.into())),
    }
}

/// A process in the namespaces that are asked for, with the ids that are asked for: whatever
/// keeps it from being there keeps a container from it.
fn namespaces(plan: &Plan) -> Check {
    const NAME: &str = "namespaces";
    let mut trial = Command::new("true");
    trial.unshare(plan.new_namespaces());
    if let Some(maps) = &plan.id_maps {
        trial.id_maps(maps.clone());
    }
    let joins_user =
        plan.joined.iter().any(|joined| joined.kind == nsinit_namespaces::Namespace::User);
    if joins_user {
        return Check::unknown(NAME, "they belong to a user namespace that is joined first");
    }
    match trial.spawn().map(|mut child| child.wait()) {
        Ok(Ok(status)) if ExitStatus::success(&status) => {
            Check::ok(NAME, format!("{} can be made", plan.new_namespaces()))
        }
        Err(nsinit_namespaces::Error::Program { action: "", .. }) | Ok(_) => {
            Check::unknown(NAME, "`true` could not be run in them")
        }
        Err(error) => asked(NAME, Err(Error::Namespaces(error))),
    }
}

/// Whether the kernel would give a user namespace a proc or sysfs of its own.
fn new_filesystem(plan: &Plan, name: &'static str) -> Option<Check> {
    let makes = |step: &Step| matches!(step, Step::Rootfs(step) if step.filesystem() == Some(name));
    if !plan.namespaces.contains(Kinds::USER) || !plan.all_steps().any(makes) {
        return None;
    }
    Some(match masked::hidden(&read("/proc/self/mountinfo"), name) {
        None => Check::ok(name, "a new one can be mounted in a user namespace"),
        Some(hidden) => {
            let remedy = masked::remedy(&hidden, name);
            Check::problem(name, format!("{name} cannot be mounted: {hidden}"), Some(remedy))
        }
    })
}

fn joined(plan: &Plan) -> Result<String> {
    for JoinedNamespace { kind, path } in &plan.joined {
        NamespaceFile::open(path, *kind).map_err(Error::Namespaces)?;
    }
    let paths: Vec<_> = plan.joined.iter().map(|joined| joined.path.display()).collect();
    Ok(words(&paths))
}

fn cgroup(plan: &Plan) -> Result<String> {
    let Some(cgroup) = &plan.cgroup else { return Ok(String::new()) };
    if cgroup.scope.is_some() {
        return Ok(format!("{}, which systemd makes", cgroup.path));
    }
    Cgroup::check(&cgroup.path, &cgroup.limits).map_err(Error::Cgroup)?;
    Ok(format!("{} can be made and limited", cgroup.path))
}

fn memory(plan: &Plan) -> Option<Check> {
    /// Less was never enough for init to get as far as execve.
    const LEAST: u64 = 256 << 10;
    let limit = plan.cgroup.as_ref()?.limits.memory?;
    Some(match limit < LEAST {
        false => Check::ok("memory", format!("{limit} bytes")),
        true => {
            let message = format!("cgroups.memory is {limit} bytes");
            let hint = format!("setting a container up takes more than {LEAST}: raise it");
            Check::problem("memory", message, Some(hint))
        }
    })
}

/// Whether the launcher itself has room.
fn own_limits() -> Check {
    const NAME: &str = "own limits";
    /// What launcher and init have open at once, and some to spare.
    const FILES: u64 = 32;
    let problem = |hint: String| Check::problem(NAME, "no room for a container", Some(hint));
    if getrlimit(Resource::Nofile).current.is_some_and(|most| most < FILES) {
        return problem(limits::of_errno(rustix::io::Errno::MFILE).unwrap_or_default());
    }
    let mounts = limits::mounts(&read("/proc/self/mountinfo"), &read("/proc/sys/fs/mount-max"));
    if let Some(hint) = mounts {
        return problem(hint);
    }
    let keys = limits::Keys::of(&read("/proc/key-users"), getuid().as_raw());
    if let Some(keys) = keys.filter(limits::Keys::are_used_up) {
        return problem(keys.words());
    }
    Check::ok(NAME, "room for open files, mounts and keys")
}

/// Whether an ordinary user may make what the root filesystem lacks.
fn mount_points(plan: &Plan) -> Option<Check> {
    let hint = plan.all_steps().find_map(|step| match step {
        Step::Rootfs(step) => access::unmade(plan, step.object()),
        _ => None,
    })?;
    Some(Check::problem("mount points", "one is missing in the root filesystem", Some(hint)))
}

/// Limits of the program that only a privileged caller could give it.
fn rlimits(plan: &Plan) -> Option<Check> {
    let held = CapabilitySet::permitted_of_caller().unwrap_or(CapabilitySet::NONE);
    let privileged = held.contains(Capability::SysResource);
    let too_high = |step: &Step| match step {
        Step::Rlimit(limit) => Rlimit::exceeds_caller(limit),
        Step::OomScoreAdj(score) => {
            read("/proc/self/oom_score_adj").trim().parse::<i16>().is_ok_and(|own| *score < own)
        }
        _ => false,
    };
    let step = plan.all_steps().filter(|_| !privileged).find(|step| too_high(step))?;
    let hint = "only CAP_SYS_RESOURCE may go beyond the caller's own hard limits and score";
    Some(Check::problem("resource limits", step.to_string(), Some(hint.into())))
}

fn parameters(plan: &Plan) -> Option<Check> {
    let missing = |step: &Step| match step {
        Step::Sysctl(sysctl) if !Path::new("/proc/sys").join(sysctl.path()).exists() => {
            Some(sysctl.key().to_owned())
        }
        _ => None,
    };
    let key = plan.everybodys_steps().find_map(missing)?;
    let hint = format!("this kernel has no {key}");
    Some(Check::problem("kernel parameters", format!("sysctl {key} is not there"), Some(hint)))
}
