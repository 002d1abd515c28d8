//! Parent: limits, on the kernel itself.

use std::process::Command;

use nsinit_cgroups::{Cgroup, Error, Limits, Swap};

use crate::jobs::{View, create, job, name, root, traces, until};

#[test]
fn a_fork_above_the_pids_limit_fails_and_is_counted() {
    require!(root() && View::All.hierarchies().of("pids").is_some(), "root and pids");
    let job = job(View::All, "pids", &Limits { pids: Some(1), ..Limits::NONE });
    let output = job.sh("sleep 0 & wait; exit 3").wait().expect("wait");
    assert_ne!(output.code(), Some(3), "the shell could fork");
    let stats = job.stats().expect("stats");
    assert_eq!(stats.pids.limit, Some(1));
    assert!(stats.pids.refused >= 1, "{stats:?}");
}

#[test]
fn running_out_of_memory_kills_and_is_counted() {
    require!(root() && View::All.hierarchies().of("memory").is_some(), "root and memory");
    let most = 16 << 20;
    let limits =
        Limits { memory: Some(most), memory_swap: Some(Swap::Total(most)), ..Limits::NONE };
    let job = job(View::All, "oom", &limits);
    // tail keeps a line until it ends, and this one never does.
    let status = job.spawn(Command::new("tail").arg("/dev/zero")).expect("spawn").wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status.expect("wait")), Some(9));
    let memory = job.stats().expect("stats").memory;
    assert_eq!((memory.limit, memory.oom_kills), (Some(most), 1), "{memory:?}");
    assert!(memory.peak <= most, "{memory:?}");
    // v2 has no peak before Linux 5.19.
    let dir = job.dir("memory");
    if ["memory.peak", "memory.max_usage_in_bytes"].iter().any(|file| dir.join(file).exists()) {
        assert!(memory.peak > most / 2, "{memory:?}");
    }
}

#[test]
fn memory_and_cpu_limits_read_back_on_v1() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("memory").is_some(), "v1");
    let limits = Limits {
        memory: Some(64 << 20),
        cpu_shares: Some(512),
        cpu_quota: Some(20_000),
        cpu_period: Some(50_000),
        ..Limits::NONE
    };
    let job = job(View::V1, "readback", &limits);
    assert_eq!(job.file("memory", "memory.limit_in_bytes"), "67108864");
    assert_eq!(job.file("memory", "memory.soft_limit_in_bytes"), "67108864");
    if job.dir("memory").join("memory.memsw.limit_in_bytes").exists() {
        assert_eq!(job.file("memory", "memory.memsw.limit_in_bytes"), "134217728");
    }
    assert_eq!(job.file("cpu", "cpu.shares"), "512");
    assert_eq!(job.file("cpu", "cpu.cfs_quota_us"), "20000");
    assert_eq!(job.file("cpu", "cpu.cfs_period_us"), "50000");
}

#[test]
fn limits_of_a_running_job_can_be_raised_and_lowered_on_v1() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("memory").is_some(), "v1");
    let megabytes = |n: u64| Limits { memory: Some(n << 20), ..Limits::NONE };
    let job = job(View::V1, "raise", &megabytes(16));
    for n in [64, 8, 32] {
        job.set(&megabytes(n)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(job.stats().expect("stats").memory.limit, Some(n << 20));
    }
    let again = job.set(&Limits { devices: Some(Vec::new()), ..Limits::NONE });
    assert!(matches!(again, Err(Error::Limit { .. })), "{again:?}");
}

#[test]
fn what_is_not_set_stays_as_it_is() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("memory").is_some(), "v1");
    let limits = Limits {
        memory: Some(1 << 30),
        memory_reservation: Some(1 << 20),
        cpu_quota: Some(20_000),
        cpu_period: Some(50_000),
        ..Limits::NONE
    };
    let job = job(View::V1, "stays", &limits);
    let bandwidth =
        || ["quota", "period"].map(|what| job.file("cpu", &format!("cpu.cfs_{what}_us")));
    job.set(&Limits { cpu_quota: Some(30_000), ..Limits::NONE }).expect("quota");
    assert_eq!(bandwidth(), ["30000", "50000"]);
    job.set(&Limits { cpu_period: Some(40_000), ..Limits::NONE }).expect("period");
    assert_eq!(bandwidth(), ["30000", "40000"]);
    job.set(&Limits { memory: Some(512 << 20), ..Limits::NONE }).expect("memory");
    assert_eq!(job.file("memory", "memory.limit_in_bytes"), "536870912");
    assert_eq!(job.file("memory", "memory.soft_limit_in_bytes"), "1048576");
    if job.dir("memory").join("memory.memsw.limit_in_bytes").exists() {
        assert_eq!(job.file("memory", "memory.memsw.limit_in_bytes"), "2147483648");
    }
}

#[test]
fn a_memory_limit_below_what_is_in_use_tells_how_much_that_is() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("memory").is_some(), "v1");
    let limits =
        Limits { memory: Some(64 << 20), memory_swap: Some(Swap::Total(64 << 20)), ..Limits::NONE };
    let job = job(View::V1, "busy", &limits);
    // dd holds its block while nobody reads; without swap it cannot be reclaimed.
    let mut child = job.sh("dd if=/dev/zero bs=20000000 count=1 | sleep 60");
    until("dd fills its block", || {
        job.stats().is_ok_and(|stats| stats.memory.current > 20_000_000)
    });
    let error = job.set(&Limits { memory: Some(1 << 20), ..Limits::NONE }).expect_err("too low");
    let text = error.to_string();
    assert!(text.contains("memory.limit_in_bytes: write 1048576 ("), "{text}");
    assert!(text.contains("bytes are in use): Device or resource busy"), "{text}");
    job.kill().expect("kill");
    child.wait().expect("wait");
}

#[test]
fn a_fraction_of_a_cpu_is_throttled() {
    require!(root() && View::All.hierarchies().of("cpu").is_some(), "root and cpu");
    let job = job(View::All, "cpu", &Limits { cpus: Some(0.05), ..Limits::NONE });
    let mut child = job.sh("while :; do :; done");
    until("the loop is throttled", || {
        job.stats().is_ok_and(|stats| stats.cpu.throttled_periods > 1)
    });
    job.kill().expect("kill");
    child.wait().expect("wait");
    let cpu = job.stats().expect("stats").cpu;
    assert!(cpu.accounted && cpu.usage_ns > 0 && cpu.throttled_ns > 0, "{cpu:?}");
}

#[test]
fn a_cpuset_is_complete_from_the_parent_down() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("cpuset").is_some(), "v1 cpuset");
    let job = job(View::V1, "cpuset", &Limits { cpuset_cpus: Some("0".into()), ..Limits::NONE });
    assert_eq!(job.file("cpuset", "cpuset.cpus"), "0");
    assert!(!job.file("cpuset", "cpuset.mems").is_empty());
    let output = job
        .spawn(
            Command::new("grep")
                .args(["Cpus_allowed_list", "/proc/self/status"])
                .stdout(std::process::Stdio::piped()),
        )
        .expect("spawn")
        .wait_with_output()
        .expect("output");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "Cpus_allowed_list:\t0");
}

#[test]
fn without_a_limit_there_is_no_cpuset() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("cpuset").is_some(), "v1 cpuset");
    let hierarchies = View::V1.hierarchies();
    let mount = &hierarchies.of("cpuset").expect("cpuset").mount_point;
    let job = job(View::V1, "nocpuset", &Limits::NONE);
    assert!(job.paths().iter().all(|path| !path.starts_with(mount)));
    assert!(job.paths().len() >= 5);
}

#[test]
fn a_controller_that_is_missing_is_named_with_the_place() {
    require!(root(), "root");
    only_where!(View::V2.exists(), "v2");
    let hierarchies = View::V2.hierarchies();
    let mount = hierarchies.v2().expect("v2").mount_point.clone();
    let text = std::fs::read_to_string(mount.join("cgroup.controllers")).expect("controllers");
    only_where!(!text.contains("memory"), "a unified tree without memory");
    let limits = Limits { memory: Some(1 << 20), ..Limits::NONE };
    match create(View::V2, "missing", &limits).map(|_| ()) {
        Err(Error::Controller { name: "memory", missing_at, .. }) => assert_eq!(missing_at, mount),
        other => panic!("{other:?}"),
    }
    assert_eq!(traces("missing"), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn what_only_v2_has_is_refused_where_v1_has_the_controller() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("memory").is_some(), "v1 memory");
    let unified = vec![("memory.high".to_owned(), "1".to_owned())];
    for limits in [
        Limits { memory_high: Some(1), ..Limits::NONE },
        Limits { oom_group: Some(true), ..Limits::NONE },
        Limits { unified, ..Limits::NONE },
    ] {
        for view in [View::All, View::V1] {
            let error = create(view, "only2", &limits).map(|_| ()).expect_err("v1");
            assert!(matches!(error, Error::Limit { .. }), "{error}");
        }
    }
    assert!(traces("only2").is_empty());
}

#[test]
fn files_of_the_unified_map_are_written() {
    require!(root(), "root");
    only_where!(View::V2.exists(), "v2");
    let unified = vec![("cgroup.max.descendants".to_owned(), "3".to_owned())];
    let job = job(View::All, "unified", &Limits { unified, ..Limits::NONE });
    assert_eq!(job.file("v2", "cgroup.max.descendants"), "3");
}

/// Whether the unified tree has the controllers of these tests.
fn v2_has_all() -> bool {
    let hierarchies = View::All.hierarchies();
    hierarchies.v2().is_some_and(|v2| ["memory", "cpu", "pids"].iter().all(|name| v2.has(name)))
}

#[test]
fn limits_read_back_on_v2() {
    require!(root(), "root");
    only_where!(v2_has_all(), "v2 that has the controllers");
    let limits = Limits {
        memory: Some(64 << 20),
        memory_high: Some(48 << 20),
        memory_reservation: Some(16 << 20),
        cpu_shares: Some(512),
        cpus: Some(1.5),
        pids: Some(64),
        oom_group: Some(true),
        unified: vec![("memory.min".into(), "4096".into())],
        ..Limits::NONE
    };
    let job = job(View::All, "readback2", &limits);
    let files = [
        ("memory.max", "67108864"),
        ("memory.high", "50331648"),
        ("memory.low", "16777216"),
        ("memory.min", "4096"),
        ("memory.oom.group", "1"),
        ("cpu.weight", "59"),
        ("cpu.max", "150000 100000"),
        ("pids.max", "64"),
    ];
    for (file, text) in files {
        assert_eq!(job.file("v2", file), text, "{file}");
    }
    if job.dir("v2").join("memory.swap.max").exists() {
        assert_eq!(job.file("v2", "memory.swap.max"), "67108864");
    }
    let mut child = job.sh("exec sleep 60");
    let stats = job.stats().expect("stats");
    assert_eq!(stats.pids.current, 1);
    assert!(stats.memory.accounted && stats.memory.current > 0, "{stats:?}");
    job.set(&Limits { memory: Some(32 << 20), ..Limits::NONE }).expect("set");
    assert_eq!(job.stats().expect("stats").memory.limit, Some(32 << 20));
    job.kill().expect("kill");
    child.wait().expect("wait");
}

#[test]
fn only_the_controllers_that_a_limit_needs_are_switched_on() {
    require!(root(), "root");
    only_where!(v2_has_all(), "v2 that has the controllers");
    let job = job(View::All, "needed", &Limits { pids: Some(64), ..Limits::NONE });
    assert_eq!(job.file("v2", "cgroup.controllers"), "pids");
    let error = job.set(&Limits { memory: Some(1 << 20), ..Limits::NONE }).expect_err("memory");
    assert!(matches!(error, Error::Controller { name: "memory", .. }), "{error}");
}

#[test]
fn a_parent_with_processes_cannot_pass_controllers_on() {
    require!(root(), "root");
    only_where!(v2_has_all(), "v2 that has the controllers");
    let job = job(View::All, "internal", &Limits { pids: Some(64), ..Limits::NONE });
    let mut child = job.sh("exec sleep 60");
    let below = format!("{}/below", name("internal"));
    let error = Cgroup::create(&below, &Limits { pids: Some(1), ..Limits::NONE }).map(drop);
    let error = error.expect_err("processes are in the parent");
    assert!(matches!(error, Error::InternalProcesses { .. }), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("not both")));
    assert_eq!(job.file("v2", "cgroup.type"), "domain", "the parent is as it was");
    // Without a controller to pass on there is nothing against it.
    let free = Cgroup::create(&below, &Limits::NONE).expect("create");
    free.remove().expect("remove");
    job.kill().expect("kill");
    child.wait().expect("wait");
}
