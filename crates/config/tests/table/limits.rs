//! Control groups.

use super::{Row, rows, values};

fn cgroup(key: &str, fields: &[(&'static str, &str, &'static str)]) -> Vec<Row> {
    values(&format!("{{\"cgroups\":{{\"{key}\":"), "}}", &format!("cgroups.{key}"), fields)
}

pub(crate) fn memory() -> Vec<Row> {
    let memory = cgroup(
        "memory",
        &[
            ("B67", "-5", "must not be negative, got -5"),
            ("B67", "0", "must not be 0"),
            ("B67", "100", "too small"),
            ("B67", "\"512m\"", "use 536870912"),
            ("B67", "\"1.5 GiB\"", "use 1610612736"),
            ("B67", "9223372036854775808", "at most 9223372036854775807"),
            ("B67", "1e30", "out of range"),
            ("B67", "512m", "512m is not a number|use 536870912"),
        ],
    );
    let swap = cgroup(
        "memory_swap",
        &[
            ("B67", "-2", "-1 for no limit"),
            ("B67", "8192", "needs memory"),
            ("B67", "\"1g\"", "use 1073741824"),
        ],
    );
    let less = rows(&[(
        "B67",
        r#"{"cgroups":{"memory":8192,"memory_swap":4096}}"#,
        "1:41",
        "cgroups.memory_swap",
        "4096, are less than memory, 8192",
    )]);
    [memory, swap, less].into_iter().flatten().collect()
}

pub(crate) fn cpu() -> Vec<Row> {
    let shares =
        cgroup("cpu_shares", &[("B68", "1", "2 to 262144"), ("B68", "262145", "2 to 262144")]);
    let period = cgroup("cpu_period", &[("B68", "0", "1000 to 1000000")]);
    let quota = cgroup(
        "cpu_quota",
        &[
            ("B68", "0", "at least 1000"),
            ("B68", "100000001", "1000 CPUs"),
            ("B68", "\"50ms\"", "use 50000"),
        ],
    );
    let cpus = cgroup(
        "cpuset_cpus",
        &[
            ("B69", "\"0-4294967295\"", "at most 8191"),
            ("B69", "\"3-1\"", "backwards"),
            ("B69", "\"a\"", "0-3,6"),
            ("B69", "\"0,,1\"", "0-3,6"),
            ("B69", "\"\"", "is empty"),
        ],
    );
    let pids = cgroup(
        "pids_max",
        &[("B70", "0", "at least 1"), ("B70", "-2", "must not be negative, got -2")],
    );
    [shares, period, quota, cpus, pids].into_iter().flatten().collect()
}

pub(crate) fn names() -> Vec<Row> {
    let long = format!("\"{}\"", "a".repeat(256));
    let name = cgroup(
        "name",
        &[
            ("B71", "\"\"", "is empty"),
            ("B71", "\"..\"", "\"..\" as a part"),
            ("B71", "\"/..\"", "'/'|parent"),
            ("B71", "\"a/b\"", "'/'|parent"),
            ("B71", "\"a\\nb\"", "control characters"),
            ("B71", &long, "256 bytes, limit 255"),
            ("B71", "\".a\"", "begin with a dot"),
            ("B71", "\"cgroup.procs\"", "control file"),
            ("B71", "\"tasks\"", "control file"),
        ],
    );
    let parent = cgroup(
        "parent",
        &[
            ("B71", "\"/docker\"", "must be relative|\"docker\""),
            ("B71", "\"a/../../x\"", "\"..\" as a part"),
            ("B71", "\"a/./b\"", "\".\" as a part"),
            ("B71", "\"a//b\"", "empty part"),
        ],
    );
    let driver = cgroup("driver", &[("", "\"sytemd\"", "did you mean \"systemd\"?")]);
    [name, parent, driver].into_iter().flatten().collect()
}

pub(crate) fn unified() -> Vec<Row> {
    rows(&[
        (
            "",
            r#"{"cgroups":{"unified":{"memory.max":"1"}}}"#,
            "1:24",
            "cgroups.unified[\"memory.max\"]",
            "has the key memory|use cgroups.memory",
        ),
        (
            "",
            r#"{"cgroups":{"unified":{"cgroup.procs":"1"}}}"#,
            "1:24",
            "cgroups.unified[\"cgroup.procs\"]",
            "the runtime's",
        ),
    ])
}
