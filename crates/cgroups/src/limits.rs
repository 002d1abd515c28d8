//! Parent: what a cgroup may use, checked before anything is made.

use crate::device::DeviceRule;
use crate::error::Error;

/// Upper bound of memory and swap together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// Memory and swap together, bytes.
    Total(u64),
    /// As much swap as there is.
    Unlimited,
}

/// What the processes of a cgroup may use together; `None` leaves the kernel's default.
///
/// Start from [`Limits::NONE`]: `Limits { pids: Some(64), ..Limits::NONE }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Hard limit of memory, bytes (`memory.max`, `memory.limit_in_bytes`).
    pub memory: Option<u64>,
    /// Soft limit, bytes. On v1 `memory.soft_limit_in_bytes`, and `memory` when
    /// absent; on v2 `memory.low`, which protects instead of bounding, so that
    /// `memory` is no default for it.
    pub memory_reservation: Option<u64>,
    /// Above this the processes are slowed down and reclaimed from, bytes (`memory.high`; v2 only).
    pub memory_high: Option<u64>,
    /// Memory and swap together. Absent with `memory`: twice `memory` where the
    /// kernel accounts swap. On v2 `memory.swap.max` is the total less `memory`.
    pub memory_swap: Option<Swap>,
    /// Relative weight in v1's scale, 2 to 262144, 1024 being the kernel's
    /// default; see [`shares_to_weight`](crate::shares_to_weight) for v2.
    pub cpu_shares: Option<u64>,
    /// CPU time per period, microseconds; negative is unlimited.
    pub cpu_quota: Option<i64>,
    /// The period, microseconds, 1000 to 1000000; 100000 when absent.
    pub cpu_period: Option<u64>,
    /// CPU time as a number of CPUs, another way to give the quota: 0.5, 2.
    pub cpus: Option<f64>,
    /// CPUs in the kernel's list format: `0-3,8`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes in the same format.
    pub cpuset_mems: Option<String>,
    /// How many processes and threads may be.
    pub pids: Option<u64>,
    /// Whether running out of memory kills all of them together (`memory.oom.group`; v2 only).
    pub oom_group: Option<bool>,
    /// Further files of cgroup v2 and what is written to them, in this order; v2 only.
    pub unified: Vec<(String, String)>,
    /// `None`: no device rules. `Some`: all devices are denied but these.
    pub devices: Option<Vec<DeviceRule>>,
}

/// Files of the unified map that change who is in the cgroup or whether it runs.
const RESERVED_UNIFIED: [&str; 6] = [
    "cgroup.procs",
    "cgroup.threads",
    "cgroup.type",
    "cgroup.kill",
    "cgroup.freeze",
    "cgroup.subtree_control",
];

/// Controllers that a file of the unified map may belong to.
const UNIFIED_CONTROLLERS: [&str; 9] =
    ["cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma", "misc", "dmem"];

impl Limits {
    /// No limit at all.
    pub const NONE: Limits = Limits {
        memory: None,
        memory_reservation: None,
        memory_high: None,
        memory_swap: None,
        cpu_shares: None,
        cpu_quota: None,
        cpu_period: None,
        cpus: None,
        cpuset_cpus: None,
        cpuset_mems: None,
        pids: None,
        oom_group: None,
        unified: Vec::new(),
        devices: None,
    };

    /// Checks what can be checked without the kernel; `create` does it, too.
    ///
    /// # Errors
    /// [`Error::Limit`] with the field's name and its value.
    pub fn validate(&self) -> Result<(), Error> {
        self.validate_memory()?;
        self.validate_cpu()?;
        for (name, list) in [("cpuset_cpus", &self.cpuset_cpus), ("cpuset_mems", &self.cpuset_mems)]
        {
            if let Some(list) = list {
                let legal = |c: char| c.is_ascii_digit() || matches!(c, ',' | '-' | ':' | '/');
                if list.is_empty() || !list.chars().all(legal) {
                    return Err(Error::limit(name, format!("{list:?}"), "not a list like 0-3,8"));
                }
            }
        }
        for (file, value) in &self.unified {
            validate_unified(file, value)?;
        }
        if let Some(rules) = &self.devices {
            for rule in rules {
                rule.validate()?;
            }
        }
        Ok(())
    }

    fn validate_memory(&self) -> Result<(), Error> {
        if let Some(Swap::Total(total)) = self.memory_swap {
            match self.memory {
                None => {
                    return Err(Error::limit(
                        "memory_swap",
                        total,
                        "is the total of memory and swap and needs memory",
                    ));
                }
                Some(memory) if total < memory => {
                    return Err(Error::limit(
                        "memory_swap",
                        total,
                        format!("is the total of memory and swap, and memory alone is {memory}"),
                    ));
                }
                Some(_) => {}
            }
        }
        if let (Some(soft), Some(hard)) = (self.memory_reservation, self.memory) {
            if soft > hard {
                return Err(Error::limit(
                    "memory_reservation",
                    soft,
                    format!("above memory {hard}"),
                ));
            }
        }
        Ok(())
    }

    fn validate_cpu(&self) -> Result<(), Error> {
        if let Some(shares) = self.cpu_shares {
            if !(2..=262_144).contains(&shares) {
                return Err(Error::limit("cpu_shares", shares, "not from 2 to 262144"));
            }
        }
        if let Some(period) = self.cpu_period {
            if !(1_000..=1_000_000).contains(&period) {
                return Err(Error::limit("cpu_period", period, "not from 1000 to 1000000 µs"));
            }
        }
        if let Some(quota) = self.cpu_quota {
            if (0..1_000).contains(&quota) {
                return Err(Error::limit(
                    "cpu_quota",
                    quota,
                    "below the kernel's minimum of 1000 µs",
                ));
            }
        }
        if let Some(cpus) = self.cpus {
            if self.cpu_quota.is_some() {
                return Err(Error::limit(
                    "cpus",
                    cpus,
                    "says the same as cpu_quota: give one of them",
                ));
            }
            if !(0.001..=1_000_000.0).contains(&cpus) {
                return Err(Error::limit("cpus", cpus, "not a number of CPUs of at least 0.001"));
            }
            if let Some(period) = self.cpu_period.filter(|period| cpus * (*period as f64) < 1_000.0)
            {
                let reason =
                    format!("with a period of {period} µs below the kernel's minimum of 1000 µs");
                return Err(Error::limit("cpus", cpus, reason));
            }
        }
        Ok(())
    }

    /// Quota (`None` = unlimited) and period of the CPU bandwidth, microseconds.
    pub(crate) fn bandwidth(&self) -> Option<(Option<u64>, u64)> {
        let period = self.cpu_period.unwrap_or(100_000);
        match (self.cpus, self.cpu_quota) {
            (None, None) => self.cpu_period.map(|period| (None, period)),
            (None, Some(quota)) => Some((u64::try_from(quota).ok(), period)),
            (Some(cpus), _) => {
                // The kernel refuses a quota below 1 ms: a longer period gives the same fraction.
                let small = cpus * period as f64 <= 1_000.0 && self.cpu_period.is_none();
                let period = if small { 1_000_000 } else { period };
                Some((Some((cpus * period as f64).round() as u64), period))
            }
        }
    }

    /// Swap allowed on top of memory on v2; the outer `None` writes nothing.
    pub(crate) fn swap_above_memory(&self) -> Option<Option<u64>> {
        match (self.memory_swap, self.memory) {
            (Some(Swap::Unlimited), _) => Some(None),
            (Some(Swap::Total(total)), memory) => {
                Some(Some(total.saturating_sub(memory.unwrap_or(0))))
            }
            (None, Some(memory)) => Some(Some(memory)),
            (None, None) => None,
        }
    }

    /// The controllers that some limit needs, the device rules left out.
    pub(crate) fn controllers(&self) -> Vec<&'static str> {
        let mut needed = Vec::new();
        if self.memory.is_some()
            || self.memory_reservation.is_some()
            || self.memory_high.is_some()
            || self.memory_swap.is_some()
            || self.oom_group == Some(true)
        {
            needed.push("memory");
        }
        if self.cpu_shares.is_some() || self.bandwidth().is_some() {
            needed.push("cpu");
        }
        if self.cpuset_cpus.is_some() || self.cpuset_mems.is_some() {
            needed.push("cpuset");
        }
        if self.pids.is_some() {
            needed.push("pids");
        }
        needed
    }

    /// The controllers that the unified map needs.
    pub(crate) fn unified_controllers(&self) -> Vec<&'static str> {
        let mut needed = Vec::new();
        for (file, _) in &self.unified {
            let prefix = file.split('.').next().unwrap_or_default();
            if let Some(name) = UNIFIED_CONTROLLERS.iter().find(|name| **name == prefix) {
                if !needed.contains(name) {
                    needed.push(name);
                }
            }
        }
        needed
    }
}

fn validate_unified(file: &str, value: &str) -> Result<(), Error> {
    let name = format!("unified {file:?}");
    let refuse = |reason: &str| Err(Error::limit(name.clone(), format!("{value:?}"), reason));
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let Some((prefix, rest)) = file.split_once('.') else {
        return refuse("not a file name like memory.high");
    };
    if rest.is_empty() || !file.chars().all(legal) || file.contains("..") {
        return refuse("not a file name like memory.high");
    }
    if RESERVED_UNIFIED.contains(&file) {
        return refuse("decides who is in the cgroup and is not a limit");
    }
    if prefix != "cgroup" && !UNIFIED_CONTROLLERS.contains(&prefix) {
        return refuse("belongs to no known controller");
    }
    if value.is_empty() {
        return refuse("the value is empty");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(limits: Limits) -> String {
        limits.validate().map(|()| "accepted".to_owned()).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn contradictions_are_named() {
        let swap = Limits { memory: Some(100), memory_swap: Some(Swap::Total(99)), ..Limits::NONE };
        assert_eq!(
            reason(swap),
            "memory_swap 99: is the total of memory and swap, and memory alone is 100"
        );
        let twice = Limits { cpus: Some(1.0), cpu_quota: Some(5000), ..Limits::NONE };
        assert_eq!(reason(twice), "cpus 1: says the same as cpu_quota: give one of them");
        for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert_ne!(reason(Limits { cpus: Some(bad), ..Limits::NONE }), "accepted");
        }
    }

    #[test]
    fn unified_files_stay_in_the_directory_and_do_not_move_processes() {
        for file in ["../x", "a/b", "memory", "memory.", ".x", "cgroup.procs", "cgroup.kill", "x.y"]
        {
            let limits = Limits { unified: vec![(file.into(), "1".into())], ..Limits::NONE };
            assert_ne!(reason(limits), "accepted", "{file}");
        }
        let good = Limits { unified: vec![("io.weight".into(), "50".into())], ..Limits::NONE };
        assert_eq!(reason(good.clone()), "accepted");
        assert_eq!(good.unified_controllers(), ["io"]);
    }

    #[test]
    fn fractions_of_a_cpu_become_quota_and_period() {
        let of = |cpus| Limits { cpus: Some(cpus), ..Limits::NONE }.bandwidth();
        assert_eq!(of(0.5), Some((Some(50_000), 100_000)));
        assert_eq!(of(2.0), Some((Some(200_000), 100_000)));
        assert_eq!(of(0.005), Some((Some(5_000), 1_000_000)));
        let quota = Limits { cpu_quota: Some(-1), ..Limits::NONE };
        assert_eq!(quota.bandwidth(), Some((None, 100_000)));
    }

    #[test]
    fn swap_is_told_apart_from_memory() {
        let with = |memory_swap| Limits { memory: Some(100), memory_swap, ..Limits::NONE };
        assert_eq!(with(None).swap_above_memory(), Some(Some(100)));
        assert_eq!(with(Some(Swap::Total(150))).swap_above_memory(), Some(Some(50)));
        assert_eq!(with(Some(Swap::Total(100))).swap_above_memory(), Some(Some(0)));
        assert_eq!(with(Some(Swap::Unlimited)).swap_above_memory(), Some(None));
        assert_eq!(Limits::NONE.swap_above_memory(), None);
    }
}
