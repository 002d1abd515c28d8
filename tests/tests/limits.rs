//! cgroups and resource limits.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use tests::{Outcome, Sandbox, require};

/// The file of the running container's cgroup with either of these names (v1, v2).
fn cgroup_file(sandbox: &Sandbox, controller: &str, v1: &str, v2: &str) -> String {
    let found = find_cgroup_file(sandbox, controller, v1, v2);
    found.unwrap_or_else(|| panic!("neither {v1} nor {v2}"))
}

fn find_cgroup_file(sandbox: &Sandbox, controller: &str, v1: &str, v2: &str) -> Option<String> {
    let path = sandbox.fill("nsinit-test/$NAME");
    let places: [PathBuf; 2] = [
        Path::new("/sys/fs/cgroup").join(controller).join(&path).join(v1),
        Path::new("/sys/fs/cgroup").join(&path).join(v2),
    ];
    let text = places.iter().find_map(|place| fs::read_to_string(place).ok());
    text.map(|text| text.trim().to_owned())
}

fn limited(limits: &str) -> Sandbox {
    Sandbox::new().config(&format!(
        r#"{{"cgroups": {{"name": "$NAME", "parent": "nsinit-test", {limits}}}}}"#
    ))
}

#[test]
fn memory_is_limited() {
    require!(Root, Cgroups);
    let sandbox = limited(r#""memory": 33554432"#);
    sandbox.run(["probe", "allocate", "8"]).code(0).stdout("8\n");
    starved(&sandbox.run(["probe", "allocate", "128"]));
}

#[track_caller]
fn starved(outcome: &Outcome) {
    outcome.code(137).stdout("").stderr(
        "nsinit: probe was killed, and the OOM killer was at work in its cgroup: \
         cgroups.memory is 33554432 bytes\n",
    );
}

#[test]
fn memory_is_limited_for_who_joins_and_below_init() {
    require!(Root, Cgroups);
    for init in [false, true] {
        let sandbox = Sandbox::new().config(&format!(
            r#"{{"init": {init}, "cgroups": {{"name": "$NAME", "parent": "nsinit-test", "memory": 33554432}}}}"#
        ));
        starved(&sandbox.run(["probe", "allocate", "128"]));
        let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        starved(&sandbox.run(["probe", "allocate", "128"]));
        first.finish().code(0);
    }
}

#[test]
fn memory_is_not_blamed_for_a_program_that_was_killed_otherwise() {
    require!(Root, Cgroups);
    let sandbox = Sandbox::new().config(
        r#"{"init": true, "cgroups": {"name": "$NAME", "parent": "nsinit-test", "memory": 33554432}}"#,
    );
    sandbox.run(["probe", "kill-self", "KILL"]).code(137).stderr("");
    sandbox.run(["probe", "exit", "137"]).code(137).stderr("");
}

#[test]
fn swap_is_limited_where_the_kernel_accounts_it_and_told_where_not() {
    require!(Root, Cgroups);
    let sandbox = limited(r#""memory": 33554432"#);
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let (v1, v2) = ("memory.memsw.limit_in_bytes", "memory.swap.max");
    let swap = |sandbox: &Sandbox| find_cgroup_file(sandbox, "memory", v1, v2);
    let accounted = swap(&sandbox);
    run.finish().code(0);
    let sandbox = limited(r#""memory": 33554432, "memory_swap": 50331648"#);
    let Some(default) = accounted else {
        let outcome = sandbox.run(["probe", "id"]);
        outcome.code(125).stdout("").stderr_has("cgroups.memory_swap: ");
        outcome.stderr_has("this kernel does not account swap (swapaccount=1 ");
        return sandbox.assert_clean();
    };
    // Together with memory in version 1, beside it in version 2.
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let both = (default.as_str(), &*swap(&sandbox).expect("as before"));
    run.finish().code(0);
    assert!(matches!(both, ("67108864", "50331648") | ("33554432", "16777216")), "{both:?}");
}

#[test]
fn the_memory_limit_is_written_as_it_is() {
    require!(Root, Cgroups);
    let sandbox = limited(r#""memory": 33554432"#);
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    assert_eq!(cgroup_file(&sandbox, "memory", "memory.limit_in_bytes", "memory.max"), "33554432");
    run.finish().code(0);
}

#[test]
fn processes_are_limited() {
    require!(Root, Cgroups);
    let out = limited(r#""pids_max": 8"#).run(["probe", "children", "50"]).code(0).out();
    let made: u32 = out.trim().parse().expect("a number");
    assert!((5..8).contains(&made), "{made} children");
}

#[test]
fn shares_of_the_processor_are_written() {
    require!(Root, Cgroups);
    let sandbox = limited(r#""cpu_shares": 512"#);
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let shares = cgroup_file(&sandbox, "cpu", "cpu.shares", "cpu.weight");
    assert!(matches!(&*shares, "512" | "59"), "{shares}");
    run.finish().code(0);
}

#[test]
fn a_quota_of_the_processor_is_in_force() {
    require!(Root, Cgroups);
    let sandbox = limited(r#""cpu_quota": 5000, "cpu_period": 100000"#);
    let run = sandbox.start(["probe", "ready", ",", "spin"]).until("ready");
    let quota = cgroup_file(&sandbox, "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(matches!(&*quota, "5000" | "5000 100000"), "{quota}");
    let throttled = || {
        let text = cgroup_file(&sandbox, "cpu", "cpu.stat", "cpu.stat");
        let count = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        count.is_some_and(|count| count != "0")
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while !throttled() {
        assert!(Instant::now() < deadline, "it was never throttled");
        std::thread::sleep(Duration::from_millis(10));
    }
    run.signal(rustix::process::Signal::TERM);
    run.finish().code(143);
}

#[test]
fn a_set_of_processors_is_written() {
    require!(Root, CgroupV1);
    let sandbox = limited(r#""cpuset_cpus": "0""#);
    sandbox.run(["probe", "status", "Cpus_allowed_list"]).code(0).stdout("Cpus_allowed_list: 0\n");
}

#[test]
fn a_file_of_the_other_version_is_refused() {
    require!(Root, CgroupV1);
    limited(r#""unified": {"memory.high": "1000000"}"#)
        .run(["probe", "id"])
        .code(125)
        .stdout("")
        .stderr_has("unified");
}

#[test]
fn devices_are_denied_whatever_the_capabilities() {
    require!(Root, Cgroups);
    let sandbox = Sandbox::new().config(
        r#"{"capabilities_add": ["MKNOD"], "cgroups": {"name": "$NAME", "parent": "nsinit-test"}}"#,
    );
    sandbox.run(["probe", "mknod", "/dev/psaux", "c", "10", "1"]).code(0).stdout("EPERM\n");
    sandbox.run(["probe", "write", "/dev/null", "x"]).code(0).stdout("ok\n");
}

#[test]
fn device_access_lifts_the_device_rules() {
    require!(Root, Cgroups);
    let sandbox = Sandbox::new().config(
        r#"{"capabilities_add": ["MKNOD"], "cgroups": {"name": "$NAME", "parent": "nsinit-test", "device_access": true}}"#,
    );
    sandbox.run(["probe", "mknod", "/dev/psaux", "c", "10", "1"]).code(0).stdout_lacks("EPERM");
}

/// Opens a node for reading and for writing, and makes another one. The kernel has no
/// driver for it (Documentation/admin-guide/devices.txt), so that ENXIO is permission.
fn devices(keys: &str) -> (Sandbox, &'static str) {
    let sandbox = Sandbox::new();
    let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
    let node = makedev(60, 7);
    mknodat(CWD, sandbox.host().join("node"), kind, mode, node).expect("root may");
    let sandbox = sandbox.config(&format!(
        r#"{{"capabilities_add": ["MKNOD"], {keys},
            "mounts": [{{"source": "$HOST/node", "destination": "/data/node", "writable": true}}]}}"#
    ));
    (sandbox, "read /data/node , write /data/node , mknod /dev/other c 60 7")
}

#[test]
fn a_device_that_was_bound_in_is_denied_unless_a_rule_allows_it() {
    require!(Root, Cgroups);
    let cgroup = r#""cgroups": {"name": "$NAME", "parent": "nsinit-test"}"#;
    let access = |letters: &str| {
        let node = r#""path": "/dev/node", "type": "c", "major": 60, "minor": 7"#;
        format!(r#"{cgroup}, "devices": [{{{node}, "access": "{letters}"}}]"#)
    };
    for (keys, expected) in [
        (r#""hostname": "x""#, "ENXIO\nENXIO\nENXIO\n"),
        (cgroup, "EPERM\nEPERM\nEPERM\n"),
        (&access("r"), "ENXIO\nEPERM\nEPERM\n"),
        (&access("rw"), "ENXIO\nENXIO\nEPERM\n"),
        (&access("rwm"), "ENXIO\nENXIO\nENXIO\n"),
    ] {
        let (sandbox, facts) = devices(keys);
        let probe = ["exec", "--quiet", "probe"].into_iter().chain(facts.split(' '));
        let probe: Vec<_> = probe.collect();
        sandbox.command_line(&probe).code(0).stdout(expected);
        let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        sandbox.command_line(&probe).code(0).stdout(expected);
        first.finish().code(0);
    }
}

#[test]
fn no_process_escapes_its_cgroup_by_starting_early() {
    require!(Root, Cgroups);
    let sandbox = limited(r#""pids_max": 100"#);
    let run = sandbox.start(["probe", "ready", ",", "children", "20", ",", "copy"]).until("20");
    let members = cgroup_file(&sandbox, "pids", "cgroup.procs", "cgroup.procs");
    assert!(members.lines().any(|pid| pid == run.init().to_string()), "{members}");
    run.finish().code(0);
}

#[test]
fn without_the_key_there_is_no_cgroup() {
    require!(Root);
    let own = fs::read_to_string("/proc/self/cgroup").expect("procfs");
    let sandbox = Sandbox::new().config(r#"{"namespaces": ["NEWNS", "NEWPID"]}"#);
    sandbox.run(["probe", "cgroup"]).code(0).stdout(&own);
}

#[test]
fn a_value_that_the_kernel_refuses_leaves_no_cgroup() {
    require!(Root, Cgroups);
    let sandbox = limited(r#""cpuset_cpus": "4000""#);
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("cpuset");
    sandbox.assert_clean();
}

#[test]
fn the_cgroup_tree_inside_is_the_containers() {
    require!(Root, Cgroups);
    let out = limited(r#""pids_max": 9"#).run(["probe", "cgroup"]).code(0).out();
    assert!(!out.contains("nsinit-test"), "{out}");
}

#[test]
fn limits_of_resources_have_their_defaults() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.run(["probe", "rlimit", "open", "files"]).code(0).stdout_has("1024 ");
        sandbox.run(["probe", "rlimit", "core", "file", "size"]).code(0).stdout_has("0 ");
    }
}

#[test]
fn limits_of_resources_can_be_given() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"rlimits": {"nofile": {"soft": 64, "hard": 128}, "stack": {"soft": 1048576, "hard": 1048576}}}"#);
        let outcome =
            sandbox.run(["probe", "rlimit", "open", "files", ",", "rlimit", "stack", "size"]);
        outcome.code(0).stdout("64 128\n1048576 1048576\n");
    }
}

#[test]
fn a_limit_above_the_callers_is_an_error() {
    require!(Root, UserNamespaces);
    let sandbox = Sandbox::new().as_user(tests::ORDINARY).with("nofile=256");
    sandbox.run(["probe", "rlimit", "open", "files"]).code(0).stdout("256 256\n");
    let sandbox = sandbox.config(r#"{"rlimits": {"nofile": {"soft": 512, "hard": 512}}}"#);
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("nofile");
}

#[test]
fn the_oom_score_can_be_raised() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.config(r#"{"oom_score_adj": 500}"#).run(["probe", "oom"]).code(0).stdout("500\n");
    }
}
