//! cgroups and resource limits.

use std::fs;
use std::path::{Path, PathBuf};

use tests::{Sandbox, require};

/// The file of the running container's cgroup with either of these names (v1, v2).
fn cgroup_file(sandbox: &Sandbox, controller: &str, v1: &str, v2: &str) -> String {
    let path = sandbox.fill("nsinit-test/$NAME");
    let places: [PathBuf; 2] = [
        Path::new("/sys/fs/cgroup").join(controller).join(&path).join(v1),
        Path::new("/sys/fs/cgroup").join(&path).join(v2),
    ];
    let text = places.iter().find_map(|place| fs::read_to_string(place).ok());
    text.unwrap_or_else(|| panic!("none of {places:?}")).trim().to_owned()
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
    sandbox.run(["probe", "allocate", "128"]).code(137);
}

#[test]
fn a_program_that_the_oom_killer_ends_is_told_with_its_limit() {
    require!(Root, Cgroups);
    for init in [false, true] {
        let sandbox = Sandbox::new().config(&format!(
            r#"{{"init": {init}, "cgroups": {{"name": "$NAME", "parent": "nsinit-test",
                "memory": 33554432}}}}"#
        ));
        let outcome = sandbox.run(["probe", "allocate", "128"]);
        outcome.code(137).stderr(
            "nsinit: the OOM killer of the container's cgroup has ended the program: \
             cgroups.memory is 33554432 bytes\n",
        );
        sandbox.run(["probe", "exit", "137"]).code(137).stderr("");
    }
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
    require!(Root, CgroupV1);
    let sandbox = limited(r#""cpu_shares": 512, "cpu_quota": 50000, "cpu_period": 100000"#);
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    assert_eq!(cgroup_file(&sandbox, "cpu", "cpu.shares", ""), "512");
    assert_eq!(cgroup_file(&sandbox, "cpu", "cpu.cfs_quota_us", ""), "50000");
    run.finish().code(0);
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
