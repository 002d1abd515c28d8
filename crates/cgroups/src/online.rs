//! Parent: whether the CPUs and memory nodes that are asked for are there. v2 takes any
//! number and then lets the group use what its parent has.

use std::fs;

use crate::error::Error;
use crate::limits::Limits;

pub(crate) fn check(limits: &Limits) -> Result<(), Error> {
    for (name, list, file) in [
        ("cpuset_cpus", &limits.cpuset_cpus, "/sys/devices/system/cpu/online"),
        ("cpuset_mems", &limits.cpuset_mems, "/sys/devices/system/node/online"),
    ] {
        let Some(list) = list else { continue };
        // Without sysfs it is left to the kernel.
        let Ok(online) = fs::read_to_string(file) else { continue };
        let online = online.trim();
        if let Some(number) = first_missing(list, online) {
            let reason = format!("{number} is not online: this host has {online}");
            return Err(Error::limit(name, list, reason));
        }
    }
    Ok(())
}

/// The first number of a list (cpuset(7)) that is not in the other one; `None` also for
/// what is not understood.
fn first_missing(list: &str, there: &str) -> Option<u64> {
    let there = ranges(there)?;
    for (first, last) in ranges(list)? {
        let mut number = first;
        while number <= last {
            let around = there.iter().find(|range| range.0 <= number && number <= range.1);
            let Some(around) = around else { return Some(number) };
            number = around.1 + 1;
        }
    }
    None
}

fn ranges(list: &str) -> Option<Vec<(u64, u64)>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((u64::from(first.parse::<u32>().ok()?), u64::from(last.parse::<u32>().ok()?)))
    };
    list.split(',').map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_is_not_there_is_found() {
        for (list, there, missing) in [
            ("0", "0", None),
            ("0-3", "0-1,2-7", None),
            ("1,0", "0-1", None),
            ("0-2", "0-1", Some(2)),
            ("0-4294967295", "0-1,3", Some(2)),
            ("7", "0-1", Some(7)),
            ("0-3:1/2", "0-1", None),
            ("x", "0", None),
            ("0", "", None),
        ] {
            assert_eq!(first_missing(list, there), missing, "{list} of {there}");
        }
    }
}
