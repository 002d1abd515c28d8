//! Parent: what a cgroup has used so far.

use crate::cgroup::{Cgroup, Member};
use crate::error::Error;
use crate::hierarchy::Version;

/// What the processes of a cgroup have used together.
///
/// A part whose `accounted` is false belongs to a controller that is not
/// switched on for this cgroup; its figures are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Memory.
    pub memory: MemoryStats,
    /// Time on CPUs.
    pub cpu: CpuStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// How long the processes waited for each resource; v2 with pressure stall information.
    pub pressure: Option<Pressure>,
}

/// Use of memory, bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Whether the kernel accounts it for this cgroup.
    pub accounted: bool,
    /// Now.
    pub current: u64,
    /// The most ever; before Linux 5.19 v2 does not know, and it is `current`.
    pub peak: u64,
    /// The hard limit; `None` is none.
    pub limit: Option<u64>,
    /// Swap in use now; `None` where the kernel does not account it.
    pub swap: Option<u64>,
    /// How many processes the kernel has killed for want of memory.
    pub oom_kills: u64,
}

/// Use of CPUs; times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuStats {
    /// Whether the kernel accounts it for this cgroup.
    pub accounted: bool,
    /// On a CPU, all together.
    pub usage_ns: u64,
    /// In user mode.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
    /// Periods of the quota that have passed.
    pub periods: u64,
    /// Those of them in which the quota was used up.
    pub throttled_periods: u64,
    /// Kept from running by the quota.
    pub throttled_ns: u64,
}

/// Number of processes and threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PidsStats {
    /// Whether the kernel accounts it for this cgroup.
    pub accounted: bool,
    /// Now.
    pub current: u64,
    /// The limit; `None` is none.
    pub limit: Option<u64>,
    /// How often a fork was refused because of the limit.
    pub refused: u64,
}

/// Time, in microseconds, that processes were stalled; see the kernel's `accounting/psi.rst`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pressure {
    /// At least one process waited for a CPU.
    pub cpu_some_us: u64,
    /// At least one process waited for memory.
    pub memory_some_us: u64,
    /// All processes waited for memory.
    pub memory_full_us: u64,
    /// At least one process waited for a block device.
    pub io_some_us: u64,
    /// All processes waited for a block device.
    pub io_full_us: u64,
}

impl Cgroup {
    /// Reads what the processes have used so far, also after they are gone.
    ///
    /// # Errors
    /// [`Error::Gone`] when the cgroup was removed, [`Error::Io`] with the file otherwise.
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut stats = Stats::default();
        for member in self.members() {
            match member.version {
                Version::V1 => v1(member, &mut stats)?,
                Version::V2 => v2(member, &mut stats)?,
            }
        }
        Ok(stats)
    }
}

fn v2(member: &Member, stats: &mut Stats) -> Result<(), Error> {
    let dir = member.leaf();
    if let Some(current) = dir.read_if_there("memory.current")? {
        let current = number(&current);
        let peak = dir.read_if_there("memory.peak")?.map_or(current, |text| number(&text));
        let events = dir.read("memory.events")?;
        stats.memory = MemoryStats {
            accounted: true,
            current,
            peak,
            limit: limit(&dir.read("memory.max")?),
            swap: dir.read_if_there("memory.swap.current")?.map(|text| number(&text)),
            oom_kills: field(&events, "oom_kill"),
        };
    }
    if let Some(current) = dir.read_if_there("pids.current")? {
        stats.pids = PidsStats {
            accounted: true,
            current: number(&current),
            limit: limit(&dir.read("pids.max")?),
            refused: field(&dir.read_if_there("pids.events")?.unwrap_or_default(), "max"),
        };
    }
    // The time used is in every cgroup of v2; on a hybrid host v1 has the better figure.
    if let (false, Some(text)) = (stats.cpu.accounted, dir.read_if_there("cpu.stat")?) {
        let nanoseconds = |key| field(&text, key).saturating_mul(1_000);
        stats.cpu = CpuStats {
            accounted: true,
            usage_ns: nanoseconds("usage_usec"),
            user_ns: nanoseconds("user_usec"),
            system_ns: nanoseconds("system_usec"),
            periods: field(&text, "nr_periods"),
            throttled_periods: field(&text, "nr_throttled"),
            throttled_ns: nanoseconds("throttled_usec"),
        };
    }
    stats.pressure = pressure(member);
    Ok(())
}

/// Pressure stall information may be compiled out, switched off for the host
/// (`psi=0`, then reading gives `EOPNOTSUPP`) or for the cgroup.
fn pressure(member: &Member) -> Option<Pressure> {
    let read = |file| member.leaf().read_raw(file).ok();
    let (cpu, memory, io) = (read("cpu.pressure")?, read("memory.pressure")?, read("io.pressure")?);
    Some(Pressure {
        cpu_some_us: stalled(&cpu, "some"),
        memory_some_us: stalled(&memory, "some"),
        memory_full_us: stalled(&memory, "full"),
        io_some_us: stalled(&io, "some"),
        io_full_us: stalled(&io, "full"),
    })
}

fn v1(member: &Member, stats: &mut Stats) -> Result<(), Error> {
    let dir = member.leaf();
    if member.has("memory") {
        let oom = dir.read("memory.oom_control")?;
        let current = number(&dir.read("memory.usage_in_bytes")?);
        let both = dir.read_if_there("memory.memsw.usage_in_bytes")?.map(|text| number(&text));
        stats.memory = MemoryStats {
            accounted: true,
            current,
            peak: number(&dir.read("memory.max_usage_in_bytes")?),
            limit: v1_limit(&dir.read("memory.limit_in_bytes")?),
            swap: both.map(|both| both.saturating_sub(current)),
            oom_kills: field(&oom, "oom_kill"),
        };
    }
    if member.has("pids") {
        stats.pids = PidsStats {
            accounted: true,
            current: number(&dir.read("pids.current")?),
            limit: limit(&dir.read("pids.max")?),
            refused: field(&dir.read_if_there("pids.events")?.unwrap_or_default(), "max"),
        };
    }
    if member.has("cpuacct") {
        stats.cpu.accounted = true;
        stats.cpu.usage_ns = number(&dir.read("cpuacct.usage")?);
        let part = |file| dir.read_if_there(file).map(|text| text.map_or(0, |t| number(&t)));
        stats.cpu.user_ns = part("cpuacct.usage_user")?;
        stats.cpu.system_ns = part("cpuacct.usage_sys")?;
    }
    if member.has("cpu") {
        let text = dir.read_if_there("cpu.stat")?.unwrap_or_default();
        stats.cpu.periods = field(&text, "nr_periods");
        stats.cpu.throttled_periods = field(&text, "nr_throttled");
        stats.cpu.throttled_ns = field(&text, "throttled_time");
    }
    Ok(())
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

/// `max` is no limit.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// On v1 no limit is the largest multiple of a page that fits a signed long.
fn v1_limit(text: &str) -> Option<u64> {
    limit(text).filter(|bytes| *bytes < (i64::MAX as u64) & !0xffff)
}

/// The value of `key` in lines of key and value.
fn field(text: &str, key: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == key).map_or(0, |(_, value)| number(value))
}

/// `total` of the line `some` or `full`.
fn stalled(text: &str, kind: &str) -> u64 {
    let line = text.lines().find(|line| line.split(' ').next() == Some(kind));
    let total = line.and_then(|line| line.split(' ').find_map(|word| word.strip_prefix("total=")));
    total.map_or(0, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_none_in_both_versions() {
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("64\n"), Some(64));
        assert_eq!(v1_limit("9223372036854771712\n"), None);
        assert_eq!(v1_limit("9223372036854710272\n"), None, "64 KiB pages");
        assert_eq!(v1_limit("4096\n"), Some(4096));
    }

    #[test]
    fn fields_are_whole_words() {
        let text = "low 1\noom 2\noom_kill 3\noom_group_kill 4\n";
        assert_eq!(field(text, "oom_kill"), 3);
        assert_eq!(field(text, "kill"), 0);
    }

    #[test]
    fn stalls_are_totals() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=17\nfull avg10=0.00 total=5\n";
        assert_eq!((stalled(text, "some"), stalled(text, "full")), (17, 5));
        assert_eq!(stalled("", "some"), 0);
    }
}
