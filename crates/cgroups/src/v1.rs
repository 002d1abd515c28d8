//! Parent: limits in the files of version 1 (kernel documents `cgroup-v1/*.rst`).

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::cgroup::Member;
use crate::create::Absent;
use crate::device::{DeviceRule, merged};
use crate::dir::{Dir, write_value};
use crate::error::Error;
use crate::limits::{Limits, Swap};

/// Writes the limits whose controller is in this hierarchy.
pub(crate) fn apply(member: &Member, limits: &Limits, absent: Absent) -> Result<(), Error> {
    let dir = member.leaf();
    if member.has("memory") {
        memory(dir, limits, absent)?;
    }
    if member.has("cpu") {
        cpu(dir, limits)?;
    }
    if member.has("cpuset") {
        if let Some(list) = &limits.cpuset_cpus {
            dir.write("cpuset.cpus", list)?;
        }
        if let Some(list) = &limits.cpuset_mems {
            dir.write("cpuset.mems", list)?;
        }
    }
    if let (true, Some(most)) = (member.has("pids"), limits.pids) {
        dir.write("pids.max", &most.to_string())?;
    }
    if let (true, Some(rules)) = (member.has("devices"), &limits.devices) {
        devices(dir, rules)?;
    }
    Ok(())
}

const LIMIT: &str = "memory.limit_in_bytes";
const BOTH: &str = "memory.memsw.limit_in_bytes";

fn memory(dir: &Dir, limits: &Limits, absent: Absent) -> Result<(), Error> {
    // Before Linux 5.11 cgroups made below would not count here, and the limit not hold for them.
    let counts = "memory.use_hierarchy";
    if limits.memory.is_some() && dir.read_if_there(counts)?.is_some_and(|text| text.trim() == "0")
    {
        dir.write(counts, "1")?;
    }
    let both = both(dir, limits)?;
    if let Some(bytes) = limits.memory {
        let value = bytes.to_string();
        match (dir.write_raw(LIMIT, &value), &both) {
            (Ok(()), _) => {}
            // Memory may never be above memory and swap together: that limit goes first.
            (Err(Errno::INVAL), Some(both)) => {
                bound(dir, BOTH, both)?;
                bound(dir, LIMIT, &value)?;
            }
            (Err(_), _) => bound(dir, LIMIT, &value)?,
        }
    }
    // Where it stays it had to give way at most.
    let given = absent == Absent::Defaults || limits.memory_swap.is_some();
    if let Some(both) = both.filter(|_| given) {
        bound(dir, BOTH, &both)?;
    }
    let default = limits.memory.filter(|_| absent == Absent::Defaults);
    if let Some(soft) = limits.memory_reservation.or(default) {
        dir.write("memory.soft_limit_in_bytes", &soft.to_string())?;
    }
    Ok(())
}

/// What memory and swap together may be; `None` writes nothing.
fn both(dir: &Dir, limits: &Limits) -> Result<Option<String>, Error> {
    let accounted = dir.has(BOTH);
    Ok(match (limits.memory_swap, limits.memory) {
        (Some(Swap::Total(total)), _) if !accounted => {
            let reason = "this kernel does not account swap (swapaccount=1 on its command line)";
            return Err(Error::limit("memory_swap", total, reason));
        }
        _ if !accounted => None,
        (Some(Swap::Total(total)), _) => Some(total.to_string()),
        (Some(Swap::Unlimited), _) => Some("-1".to_owned()),
        (None, Some(memory)) => Some(memory.saturating_mul(2).min(i64::MAX as u64).to_string()),
        (None, None) => None,
    })
}

/// Writes a limit of memory; a refusal tells how much is in use.
fn bound(dir: &Dir, file: &str, value: &str) -> Result<(), Error> {
    dir.write_raw(file, value).map_err(|errno| {
        let usage = dir.read_raw(&file.replace("limit", "usage")).unwrap_or_default();
        let action = match errno {
            Errno::BUSY => format!("write {value} ({} bytes are in use)", usage.trim()),
            Errno::INVAL => format!("write {value} (must fit the other limits of memory)"),
            _ => format!("write {value}"),
        };
        Error::io(action, dir.path().join(file), errno)
    })
}

fn cpu(dir: &Dir, limits: &Limits) -> Result<(), Error> {
    if let Some(shares) = limits.cpu_shares {
        dir.write("cpu.shares", &shares.to_string())?;
    }
    let Some((quota, period)) = limits.bandwidth() else { return Ok(()) };
    let quota = quota.map_or_else(|| "-1".to_owned(), |us| us.to_string());
    let period = period.to_string();
    let (quota_file, period_file) = ("cpu.cfs_quota_us", "cpu.cfs_period_us");
    // With the old quota the new period may be more than the cgroup above has.
    if dir.write_raw(period_file, &period) == Err(Errno::INVAL) {
        bandwidth(dir, quota_file, &quota)?;
        return bandwidth(dir, period_file, &period);
    }
    bandwidth(dir, quota_file, &quota)
}

fn bandwidth(dir: &Dir, file: &str, value: &str) -> Result<(), Error> {
    dir.write_raw(file, value).map_err(|errno| {
        let action = match errno {
            Errno::INVAL => format!("write {value} (more than the cgroup above has?)"),
            _ => format!("write {value}"),
        };
        Error::io(action, dir.path().join(file), errno)
    })
}

/// Denies everything, permits what the rules name, and reads the list back.
pub(crate) fn devices(dir: &Dir, rules: &[DeviceRule]) -> Result<(), Error> {
    let rules = merged(rules);
    let refused = |file: &str, value: &str, errno: Errno| Error::DeviceRules {
        path: dir.path().join(file),
        what: format!("write {value}"),
        source: Some(errno.into()),
    };
    let everything = rules.contains(&DeviceRule::ALL);
    if !everything {
        dir.write_raw("devices.deny", "a").map_err(|e| refused("devices.deny", "a", e))?;
    }
    let allow = dir.file("devices.allow", OFlags::WRONLY);
    let allow = allow.map_err(|e| refused("devices.allow", "rules", e))?;
    for rule in &rules {
        let text = rule.to_string();
        write_value(&allow, &text).map_err(|e| refused("devices.allow", &text, e))?;
    }
    let expected = if everything { vec![DeviceRule::ALL] } else { rules };
    match difference(&expected, &dir.read("devices.list")?)? {
        None => Ok(()),
        Some(what) => {
            Err(Error::DeviceRules { path: dir.path().join("devices.list"), what, source: None })
        }
    }
}

/// How the list in force differs from the rules asked for; `None` where it does not.
fn difference(expected: &[DeviceRule], list: &str) -> Result<Option<String>, Error> {
    let found = list.lines().map(str::parse).collect::<Result<Vec<DeviceRule>, Error>>()?;
    let texts = |of: &[DeviceRule], not_in: &[DeviceRule]| {
        let rest = of.iter().filter(|rule| !not_in.contains(rule));
        rest.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let (missing, unasked) = (texts(expected, &found), texts(&found, expected));
    Ok(match (missing.is_empty(), unasked.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("not in force: {missing}")),
        (true, false) => Some(format!("in force unasked: {unasked}")),
        (false, false) => Some(format!("not in force: {missing}; in force unasked: {unasked}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_not_what_was_asked_for_is_told() {
        let rules = ["c 1:3 rwm", "c 136:* rw"].map(|text| text.parse().expect(text));
        let told = |list| difference(&rules, list).expect("a list").unwrap_or_default();
        assert_eq!(told("c 136:* rw\nc 1:3 rwm\n"), "");
        assert_eq!(told("c 1:3 rwm\n"), "not in force: c 136:* rw");
        assert_eq!(told("c 1:3 rwm\nc 136:* rw\nb *:* m\n"), "in force unasked: b *:* m");
        assert_eq!(
            told("c 1:3 rwm\nc 136:* rwm\n"),
            "not in force: c 136:* rw; in force unasked: c 136:* rwm"
        );
        assert!(told("a *:* rwm\n").contains("in force unasked: a *:* rwm"));
    }
}
