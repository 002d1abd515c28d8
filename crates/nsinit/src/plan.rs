//! Both ends: what will happen, as data.
//!
//! A plan is made by the launcher (lower.rs), printed by `nsinit plan`, walked by
//! init. Making one changes nothing.

mod json;

use std::fmt;
use std::path::PathBuf;

use nsinit_cgroups::{DeviceRule, Limits};
use nsinit_namespaces::{IdMap, IdMaps, Kinds, Namespace};
use nsinit_network::Interface;

use crate::program::Program;
use crate::step::Step;
use crate::systemd::Scope;

/// A namespace that exists already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedNamespace {
    /// Its kind.
    pub kind: Namespace,
    /// A file of it, such as `/run/netns/x`.
    pub path: PathBuf,
}

/// The container's cgroup.
#[derive(Debug)]
pub struct CgroupPlan {
    /// Its path: from the hierarchy's root for root, below the delegated one for others.
    pub path: String,
    /// What it limits, but for devices.
    pub limits: Limits,
    /// The devices that may be used and made; None is all. Put in force when init is
    /// ready: it makes nodes that the rules may forbid to make.
    pub devices: Option<Vec<DeviceRule>>,
    /// Made by systemd, once init is there to be moved into it.
    pub scope: Option<Scope>,
}

/// What a launch will do.
#[derive(Debug)]
pub struct Plan {
    /// Made by clone, all at once; others are made by steps.
    pub namespaces: Kinds,
    /// Joined by init.
    pub joined: Vec<JoinedNamespace>,
    /// Written by the launcher.
    pub id_maps: Option<IdMaps>,
    /// Made by the launcher.
    pub cgroup: Option<CgroupPlan>,
    /// Done by the launcher while init does its own: the network namespace, where it need not
    /// belong to another user namespace than the launcher's.
    pub launcher_steps: Vec<Step>,
    /// Connected by the launcher.
    pub interfaces: Vec<Interface>,
    /// Whether the program gets a terminal of its own.
    pub terminal: bool,
    /// Done by init, in this order.
    pub steps: Vec<Step>,
    /// Done by init after Start: what must be closest to execve.
    pub last_steps: Vec<Step>,
    /// What execve starts.
    pub program: Program,
}

impl Plan {
    /// All steps of init, in their order.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> + Clone {
        self.steps.iter().chain(&self.last_steps)
    }

    /// Those of the launcher, and those of init.
    pub(crate) fn everybodys_steps(&self) -> impl Iterator<Item = &Step> {
        self.launcher_steps.iter().chain(self.all_steps())
    }

    /// All namespaces that are made: by clone, or by a step.
    pub(crate) fn new_namespaces(&self) -> Kinds {
        let unshared = self.everybodys_steps().filter_map(|step| match step {
            Step::Unshare(kinds) => Some(*kinds),
            _ => None,
        });
        unshared.fold(self.namespaces, Kinds::union)
    }

    /// How many steps init has.
    pub(crate) fn step_count(&self) -> u32 {
        (self.steps.len() + self.last_steps.len()) as u32
    }

    /// Whether the launcher has something to do between Ready and Start.
    pub(crate) fn pauses_when_ready(&self) -> bool {
        self.terminal || self.cgroup.as_ref().is_some_and(|cgroup| cgroup.devices.is_some())
    }

    /// A step of init by its number; None for the program itself.
    pub(crate) fn step(&self, index: u32) -> Option<&Step> {
        self.all_steps().nth(index as usize)
    }

    /// The steps of init in words, in their order.
    pub fn steps(&self) -> impl Iterator<Item = String> {
        self.all_steps().map(Step::to_string)
    }
}

/// What `nsinit plan` prints.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "launcher")?;
        if let Some(cgroup) = &self.cgroup {
            writeln!(f, "  {cgroup}")?;
            for line in limit_lines(&cgroup.limits) {
                writeln!(f, "    {line}")?;
            }
            if let Some(rules) = &cgroup.devices {
                let rules = rules.iter().map(ToString::to_string).collect::<Vec<_>>();
                writeln!(f, "    devices {} (when init is ready)", rules.join(", "))?;
            }
        }
        writeln!(f, "  clone into new {}", self.namespaces)?;
        let maps = self.id_maps.as_ref().map(map_lines);
        let lines = maps.into_iter().flatten().chain(launcher_lines(self));
        for line in lines.chain(connect_lines(&self.interfaces)) {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "init")?;
        for (index, step) in self.all_steps().enumerate() {
            writeln!(f, "  {:3}  {step}", index + 1)?;
        }
        writeln!(f, "program")?;
        writeln!(f, "  {}", self.program)?;
        for entry in self.program.environment() {
            writeln!(f, "    {}", entry.to_string_lossy().escape_debug())?;
        }
        Ok(())
    }
}

impl fmt::Display for CgroupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.scope.is_some() { " by systemd" } else { "" };
        write!(f, "make cgroup {}{by}", self.path)
    }
}

/// The words for writing id maps.
pub(crate) fn map_lines(maps: &IdMaps) -> Vec<String> {
    let maps = [("uid", &maps.uids), ("gid", &maps.gids)];
    maps.map(|(name, lines)| format!("map {name} {}", map_words(lines))).to_vec()
}

/// The words for what the launcher does while init is at work.
pub(crate) fn launcher_lines(plan: &Plan) -> Vec<String> {
    plan.launcher_steps.iter().map(Step::to_string).collect()
}

/// The words for connecting interfaces.
pub(crate) fn connect_lines(interfaces: &[Interface]) -> Vec<String> {
    interfaces.iter().map(|interface| format!("connect {interface}")).collect()
}

fn map_words(lines: &[IdMap]) -> String {
    let words = lines.iter().map(|line| match line.size {
        1 => format!("{} to {}", line.container_id, line.host_id),
        size => format!("{} to {} ({size})", line.container_id, line.host_id),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn limit_lines(limits: &Limits) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name} {value}")));
    };
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    say("memory", number(limits.memory));
    say("memory reservation", number(limits.memory_reservation));
    say("memory high", number(limits.memory_high));
    say(
        "memory and swap",
        limits.memory_swap.map(|swap| match swap {
            nsinit_cgroups::Swap::Total(bytes) => bytes.to_string(),
            nsinit_cgroups::Swap::Unlimited => "unlimited".into(),
        }),
    );
    say("cpu shares", number(limits.cpu_shares));
    say("cpu quota", limits.cpu_quota.map(|quota| quota.to_string()));
    say("cpu period", number(limits.cpu_period));
    say("cpuset cpus", limits.cpuset_cpus.clone());
    say("cpuset mems", limits.cpuset_mems.clone());
    say("pids", number(limits.pids));
    say("oom group", limits.oom_group.map(|on| on.to_string()));
    for (file, value) in &limits.unified {
        say(file, Some(value.clone()));
    }
    lines
}
