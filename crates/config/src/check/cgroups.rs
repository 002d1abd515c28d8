//! Parent: checks of `cgroups`.

use std::collections::HashMap;

use super::Findings;
use crate::key_path::At;
use crate::suggest::quoted;
use crate::{CgroupDriver, Cgroups, Container, MemorySwap};

/// One page: with less the kernel cannot even start a process.
const LEAST_MEMORY: u64 = 4096;

/// The kernel's counters are signed.
const MOST_BYTES: u64 = i64::MAX.unsigned_abs();

/// NAME_MAX of limits.h.
const LONGEST_NAME: usize = 255;

/// Files of cgroup v1 that are not `controller.something`.
const V1_FILES: [&str; 3] = ["tasks", "notify_on_release", "release_agent"];

/// Controllers, whose files begin with their name and a dot.
const CONTROLLERS: [&str; 14] = [
    "cgroup",
    "memory",
    "cpu",
    "cpuacct",
    "cpuset",
    "pids",
    "io",
    "blkio",
    "devices",
    "freezer",
    "hugetlb",
    "net_cls",
    "perf_event",
    "rdma",
];

/// CPUs that a kernel can be built for (CONFIG_NR_CPUS), and memory nodes.
const MOST_CPUS: u32 = 8192;
const MOST_NODES: u32 = 1024;

/// Files of v2 that have a key of their own.
const OWN_KEYS: [(&str, &str); 9] = [
    ("memory.max", "memory"),
    ("memory.swap.max", "memory_swap"),
    ("memory.high", "memory_high"),
    ("memory.oom.group", "oom_group"),
    ("cpu.weight", "cpu_shares"),
    ("cpu.max", "cpu_quota"),
    ("cpuset.cpus", "cpuset_cpus"),
    ("cpuset.mems", "cpuset_mems"),
    ("pids.max", "pids_max"),
];

pub(super) fn check(found: &mut Findings, container: &Container) {
    let Some(cgroups) = &container.cgroups else { return };
    let at = At::Root.key("cgroups");
    if let Some(name) = &cgroups.name {
        if found.text(at.key("name"), name) {
            name_part(found, at.key("name"), name);
        }
    }
    if let Some(parent) = &cgroups.parent {
        parent_path(found, at.key("parent"), parent);
    }
    memory(found, at, cgroups);
    cpu(found, at, cgroups);
    if let Some(list) = &cgroups.cpuset_cpus {
        number_list(found, at.key("cpuset_cpus"), list, MOST_CPUS);
    }
    if let Some(list) = &cgroups.cpuset_mems {
        number_list(found, at.key("cpuset_mems"), list, MOST_NODES);
    }
    if cgroups.pids_max == Some(0) {
        found.fault(at.key("pids_max"), "must be at least 1, got 0");
    }
    unified(found, at.key("unified"), cgroups);
    unit_properties(found, at.key("unit_properties"), cgroups);
}

/// One directory below cgroupfs.
fn name_part(found: &mut Findings, at: At<'_>, part: &str) {
    let got = quoted(part);
    let message = if part == "." || part == ".." {
        format!("must not contain \"{part}\" as a part")
    } else if part.starts_with('.') {
        format!("must not begin with a dot, got {got}")
    } else if part.contains('/') {
        format!("must not contain '/', got {got}")
    } else if part.chars().any(char::is_control) {
        format!("must not contain control characters, got {got}")
    } else if part.len() > LONGEST_NAME {
        format!("{} bytes, limit {LONGEST_NAME}", part.len())
    } else if is_control_file(part) {
        format!("is the name of a control file, got {got}")
    } else {
        return;
    };
    let slash = part.contains('/');
    let fault = found.fault(at, message);
    if slash {
        fault.help("the part before the last '/' is the key parent");
    }
}

fn is_control_file(name: &str) -> bool {
    let controller = name.split_once('.').map(|(controller, _)| controller);
    controller.is_some_and(|name| CONTROLLERS.contains(&name)) || V1_FILES.contains(&name)
}

fn parent_path(found: &mut Findings, at: At<'_>, parent: &str) {
    if !found.text(at, parent) {
        return;
    }
    if let Some(relative) = parent.strip_prefix('/') {
        // Alone it is the place itself: no directory above the cgroup.
        if !relative.is_empty() {
            let fault = found.fault(at, format!("must be relative, got {}", quoted(parent)));
            fault.help(format!("did you mean {}?", quoted(relative.trim_start_matches('/'))));
        }
        return;
    }
    for part in parent.split('/') {
        if part.is_empty() {
            found.fault(at, format!("has an empty part, got {}", quoted(parent)));
            return;
        }
        let before = found.list.len();
        name_part(found, at, part);
        if found.list.len() > before {
            return;
        }
    }
}

fn memory(found: &mut Findings, at: At<'_>, cgroups: &Cgroups) {
    let total = match cgroups.memory_swap {
        Some(MemorySwap::Total(bytes)) => Some(bytes),
        _ => None,
    };
    for (key, bytes) in [
        ("memory", cgroups.memory),
        ("memory_swap", total),
        ("memory_reservation", cgroups.memory_reservation),
        ("memory_high", cgroups.memory_high),
    ] {
        let Some(bytes) = bytes else { continue };
        if bytes == 0 {
            found.fault(at.key(key), "must not be 0").help("leave the key out for no limit");
        } else if bytes < LEAST_MEMORY {
            let message = format!("too small: the kernel cannot start a process in {bytes} bytes");
            found.fault(at.key(key), message);
        } else if bytes > MOST_BYTES {
            found.fault(at.key(key), format!("must be at most {MOST_BYTES}, got {bytes}"));
        }
    }
    let at_memory = at.key("memory");
    match (cgroups.memory, total) {
        (Some(memory), Some(total)) if total < memory => {
            let message =
                format!("memory and swap together, {total}, are less than memory, {memory}");
            found.fault(at.key("memory_swap"), message);
        }
        (None, Some(_)) => {
            let fault = found.fault(at.key("memory_swap"), "needs memory, which it includes");
            fault.because(at_memory);
        }
        _ => {}
    }
    let soft =
        [("memory_reservation", cgroups.memory_reservation), ("memory_high", cgroups.memory_high)];
    for (key, bytes) in soft {
        if let (Some(memory), Some(bytes)) = (cgroups.memory, bytes) {
            if bytes > memory {
                found.fault(at.key(key), format!("{bytes} is above memory, {memory}"));
            }
        }
    }
}

fn cpu(found: &mut Findings, at: At<'_>, cgroups: &Cgroups) {
    let range = |found: &mut Findings, key: &str, value: u64, low: u64, high: u64| {
        if !(low..=high).contains(&value) {
            found.fault(at.key(key), format!("must be from {low} to {high}, got {value}"));
        }
    };
    if let Some(shares) = cgroups.cpu_shares {
        range(found, "cpu_shares", shares, 2, 262_144);
    }
    if let Some(period) = cgroups.cpu_period {
        range(found, "cpu_period", period, 1000, 1_000_000);
    }
    let Some(quota) = cgroups.cpu_quota.filter(|&quota| quota != -1) else { return };
    let period = cgroups.cpu_period.unwrap_or(100_000);
    if quota < 1000 {
        let message =
            format!("must be at least 1000 microseconds, or -1 for no limit, got {quota}");
        found.fault(at.key("cpu_quota"), message);
    } else if quota.unsigned_abs() > period.saturating_mul(1000) {
        let message = format!("{quota} is more than 1000 CPUs in a period of {period}");
        found.fault(at.key("cpu_quota"), message).because(at.key("cpu_period"));
    }
}

/// The list format of cpuset(7): `0-3,6`.
fn number_list(found: &mut Findings, at: At<'_>, list: &str, most: u32) {
    if !found.text(at, list) {
        return;
    }
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse::<u32>().ok(),
            false => None,
        };
        let message = match (number(first), number(last)) {
            (Some(first), Some(last)) if first > last => {
                format!("range runs backwards: {}", quoted(part))
            }
            (Some(_), Some(last)) if last >= most => {
                format!("numbers are at most {}, got {}", most - 1, quoted(part))
            }
            (Some(_), Some(_)) => continue,
            _ => format!("must be numbers and ranges like \"0-3,6\", got {}", quoted(list)),
        };
        found.fault(at, message);
        return;
    }
}

fn unified(found: &mut Findings, all: At<'_>, cgroups: &Cgroups) {
    for (file, value) in &cgroups.unified {
        let at = all.key(file);
        // `hugetlb.2MB.max` has capitals.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let names_file = file.split_once('.').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
        if !names_file || !file.chars().all(plain) || file.contains("..") {
            found.fault(at, "is not a control file, such as \"memory.low\"").on_key();
        } else if file.starts_with("cgroup.") {
            found.fault(at, "files of the group itself are the runtime's").on_key();
        } else if let Some((_, key)) = OWN_KEYS.iter().find(|(own, _)| own == file) {
            let fault = found.fault(at, format!("has the key {key}"));
            fault.help(format!("use cgroups.{key}")).on_key();
        }
        if found.text(at, value) && value.contains('\n') {
            found.fault(at, "must not contain a line feed");
        }
    }
}

fn unit_properties(found: &mut Findings, all: At<'_>, cgroups: &Cgroups) {
    if cgroups.unit_properties.is_empty() {
        return;
    }
    if cgroups.driver == Some(CgroupDriver::Cgroupfs) {
        let fault = found.fault(all, "applies to the driver \"systemd\" only");
        fault.because(At::Root.key("cgroups").key("driver"));
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, (key, value)) in cgroups.unit_properties.iter().enumerate() {
        let at = all.index(index);
        if found.text(at.index(0), key) && !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            found.fault(at.index(0), format!("is not a property of a unit, got {}", quoted(key)));
        }
        if found.no_nul(at.index(1), value) && value.contains('\n') {
            found.fault(at.index(1), "must not contain a line feed");
        }
        if let Some(&first) = seen.get(key.as_str()) {
            found.fault(at.index(0), format!("is already given by {}", all.index(first).text()));
        }
        seen.entry(key).or_insert(index);
    }
}
