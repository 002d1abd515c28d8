//! `nsinit doctor` where a container lives: asked versus got.

use std::fs;

use tests::{Outcome, Running, Sandbox, require};

/// What is said of a running container, which is ended then.
#[track_caller]
fn audit(sandbox: &Sandbox, run: Running) -> Outcome {
    let outcome = sandbox.nsinit(["doctor"]);
    run.finish().code(0);
    outcome
}

#[test]
fn a_container_has_what_was_asked_for() {
    require!(Container);
    for config in [
        "{}",
        r#"{"init": true, "hostname": "koye", "readonly_fs": true}"#,
        r#"{"mounts": [{"source": "$HOST", "destination": "/data", "writable": true},
                       {"source": "$HOST", "destination": "/tmp"}, {"type": "tmpfs", "destination": "/srv"}]}"#,
        r#"{"no_new_privileges": false, "capabilities": ["KILL"], "rlimits": {"nofile": {"soft": 64, "hard": 128}}}"#,
    ] {
        for sandbox in Sandbox::for_each_caller() {
            let sandbox = sandbox.config(config);
            let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
            let outcome = audit(&sandbox, run);
            outcome.code(0).stderr("").stdout_lacks("MORE").stdout_lacks("less");
            outcome.stdout_has("\nit has nothing that was not asked for\n");
        }
    }
}

#[test]
fn the_built_in_container_has_what_was_asked_for() {
    require!(Container, Busybox);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.emptied();
        let run = sandbox.start(["sh", "-c", "echo ready; read line; true"]).until("ready");
        audit(&sandbox, run).code(0).stdout_lacks("MORE");
    }
}

#[test]
fn a_user_of_the_container_has_what_was_asked_for() {
    require!(Root);
    let sandbox = Sandbox::new().config(r#"{"user": "www", "capabilities": ["NET_BIND_SERVICE"]}"#);
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let outcome = audit(&sandbox, run);
    outcome.code(0).stdout_has("  =     user               33:34\n").stdout_lacks("less");
    outcome.stdout_has("  =     capabilities       NET_BIND_SERVICE\n");
}

#[test]
fn limits_are_as_asked_for() {
    require!(Root, Cgroups);
    let sandbox = Sandbox::new().config(
        r#"{"cgroups": {"name": "$NAME", "parent": "nsinit-test", "memory": 33554432, "pids_max": 9, "cpu_quota": 50000, "cpu_shares": 512}}"#,
    );
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let outcome = audit(&sandbox, run);
    outcome.code(0).stdout_has("  =     memory             33554432\n");
    outcome
        .stdout_has("  =     pids_max           9\n")
        .stdout_has("  =     cpu_quota          50000\n");
    outcome.stdout_has(&sandbox.fill("  =     cgroup             nsinit-test/$NAME\n"));
}

#[test]
fn namespaces_that_are_the_hosts_are_told() {
    require!(Root);
    let sandbox = Sandbox::new().config(r#"{"namespaces": ["NEWNS", "NEWPID"]}"#);
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let words = "own NEWNS NEWPID; the host's NEWUTS NEWIPC NEWUSER NEWNET NEWCGROUP NEWTIME\n";
    audit(&sandbox, run).code(0).stdout_has(words);
}

#[test]
fn what_a_program_gives_up_is_less_and_no_fault() {
    require!(Root);
    let sandbox = Sandbox::new();
    let run = sandbox.start(["probe", "set-uid", "33", ",", "ready", ",", "copy"]).until("ready");
    let outcome = audit(&sandbox, run);
    outcome.code(0).stdout_has("  less  user               33:0 (asked: 0:0)\n");
    outcome.stdout_has("  less  capabilities       none (asked: CHOWN ");
}

#[test]
fn what_was_opened_from_outside_is_more() {
    require!(Root, Cgroups);
    let sandbox = Sandbox::new().config(
        r#"{"cgroups": {"name": "$NAME", "parent": "nsinit-test", "pids_max": 9, "device_access": true},
            "oom_score_adj": 500,
            "mounts": [{"source": "$HOST", "destination": "/data"}]}"#,
    );
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let namespace = format!("mntns=/proc/{}/ns/mnt", run.init());
    for words in [
        ["open-mount", "/data", "", "", ""],
        ["unmount", "/proc/kallsyms", "", "", ""],
        ["mknod", "/dev/extra", "c", "1", "3"],
    ] {
        let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).collect();
        let mut command =
            std::process::Command::new(std::env::var("NSINIT_TEST_PROBE").expect("xtask"));
        command.args(["with", &namespace, "--", "/bin/probe"]).args(words);
        let output = command.output().expect("the probe starts");
        assert_eq!(output.stdout, b"ok\n", "{output:?}");
    }
    fs::write(format!("/proc/{}/oom_score_adj", run.init()), "100").expect("root may");
    let name = sandbox.fill("nsinit-test/$NAME/pids.max");
    let raised = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
        .iter()
        .any(|top| fs::write(format!("{top}/{name}"), "50").is_ok());
    assert!(raised, "{name} is nowhere");
    let outcome = audit(&sandbox, run);
    outcome.code(1).stdout_has("  MORE  oom_score_adj      100 (asked: 500)\n");
    outcome.stdout_has("  MORE  mount /data        rw (asked: ro)\n");
    outcome.stdout_has("  MORE  writable mounts    /data (asked: none)\n");
    outcome.stdout_has("  MORE  masked paths       not /proc/kallsyms (asked: ");
    outcome.stdout_has("  MORE  device nodes       /dev/extra (asked: ");
    outcome.stdout_has("  MORE  pids_max           50 (asked: 9)\n");
    outcome.stdout_has("\nit has more than was asked for, in 6 points\n");
}

#[test]
fn the_comparison_is_printed_for_tools() {
    require!(Container);
    let sandbox = Sandbox::new().config("{}");
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let outcome = sandbox.nsinit(["doctor", "--format", "json"]);
    run.finish().code(0);
    outcome.code(0).stdout_has("\"as_asked\": true").stdout_has("\"name\": \"no_new_privs\"");
    let outcome = sandbox.nsinit(["doctor", "--format", "json", "probe"]);
    outcome.code(0).stdout_has("\"runs\": true").stdout_lacks("as_asked");
}
