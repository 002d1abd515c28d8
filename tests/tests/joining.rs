//! A second command in a container that runs.

use std::fs::{self, File};

use rustix::fs::{SealFlags, StatVfsMountFlags};
use tests::{Running, Sandbox, require};

fn started(sandbox: &Sandbox) -> Running {
    sandbox.start(["probe", "ready", ",", "copy"]).until("ready")
}

#[test]
fn a_joined_process_sees_the_first() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let first = started(&sandbox);
        sandbox.run(["probe", "processes"]).code(0).stdout_has("1 S probe");
        assert_ne!(sandbox.run(["probe", "pid"]).code(0).out(), "1\n");
        first.finish().code(0);
    }
}

#[test]
fn a_joined_process_is_in_every_namespace_of_the_first() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let first = sandbox.start(["probe", "ns", ",", "ready", ",", "copy"]).until("ready");
        let joined = sandbox.run(["probe", "ns", ",", "ready"]).code(0).out();
        first.finish().code(0).stdout(&joined);
    }
}

#[test]
fn a_joined_process_is_confined_as_the_first() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let facts = [
            "probe",
            "caps",
            ",",
            "id",
            ",",
            "umask",
            ",",
            "env",
            ",",
            "cwd",
            ",",
            "status",
            "NoNewPrivs",
            "Seccomp",
            ",",
            "rlimit",
            "open",
            "files",
            ",",
            "fds",
        ];
        let sandbox = sandbox
            .config(r#"{"environment": ["A=1", "PATH=/bin"], "working_dir": "/tmp", "umask": 23}"#);
        let alone = sandbox.run(facts).code(0).out();
        let first = started(&sandbox);
        sandbox.run(facts).code(0).stdout(&alone);
        first.finish().code(0);
    }
}

#[test]
fn who_joins_runs_from_a_copy_that_cannot_be_written() {
    require!(Container);
    let seals = SealFlags::FUTURE_WRITE | SealFlags::GROW | SealFlags::SHRINK;
    for sandbox in Sandbox::for_each_caller() {
        let first = started(&sandbox);
        // With the file it is known at once that there is a container, without it later.
        for has_pid_file in [true, false] {
            if !has_pid_file {
                fs::remove_file(sandbox.root().join("pid")).expect("it is there");
            }
            let second = started(&sandbox);
            let executable = File::open(format!("/proc/{}/exe", second.pid())).expect("it runs");
            let mount = rustix::fs::fstatvfs(&executable).expect("its mount").f_flag;
            let own = rustix::fs::fcntl_get_seals(&executable);
            let sealed = own.is_ok_and(|own| own.contains(seals));
            assert!(mount.contains(StatVfsMountFlags::RDONLY) || sealed, "{mount:?}");
            second.finish().code(0);
        }
        first.finish().code(0);
    }
}

#[test]
fn a_joined_process_is_in_the_first_ones_cgroup() {
    require!(Root, Cgroups);
    let sandbox = Sandbox::new().config(
        r#"{"cgroups": {"name": "$NAME", "parent": "nsinit-test", "pids_max": 20},
        "namespaces": ["NEWNS", "NEWPID", "NEWUTS", "NEWIPC", "NEWNET"]}"#,
    );
    let first = sandbox.start(["probe", "cgroup", ",", "ready", ",", "copy"]).until("ready");
    let joined = sandbox.run(["probe", "cgroup", ",", "ready"]).code(0).out();
    first.finish().code(0).stdout(&joined);
    assert!(joined.contains(&sandbox.fill("$NAME")), "{joined}");
}

#[test]
fn a_joined_process_gives_its_own_status() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let first = started(&sandbox);
        sandbox.run(["probe", "exit", "42"]).code(42);
        sandbox.run(["probe", "kill-self", "TERM"]).code(143);
        sandbox.run(["nowhere"]).code(127);
        first.finish().code(0);
    }
}

#[test]
fn a_signal_reaches_the_joined_process_only() {
    require!(Container);
    let sandbox = Sandbox::new();
    let first = started(&sandbox);
    // More than once: the signal comes while the launcher learns that the program runs.
    for _ in 0..10 {
        let joined = sandbox.start(["probe", "ready", ",", "sleep", "100"]).until("ready");
        joined.signal(rustix::process::Signal::TERM);
        joined.finish().code(143);
    }
    first.finish().code(0);
}

#[test]
fn a_killed_joining_launcher_leaves_no_process() {
    require!(Container);
    let sandbox = Sandbox::new();
    let first = started(&sandbox);
    let joined = sandbox.start(["probe", "ready", ",", "sleep", "100"]).until("ready");
    joined.signal(rustix::process::Signal::KILL);
    joined.finish().killed_by(9);
    std::thread::sleep(std::time::Duration::from_millis(200));
    sandbox.run(["probe", "processes"]).code(0).stdout_lacks("2 S probe");
    first.finish().code(0);
}

#[test]
fn the_configuration_is_sealed_at_the_start() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"hostname": "sealed", "working_dir": "/tmp"}"#);
    let first = started(&sandbox);
    let sandbox = sandbox.config(
        r#"{"hostname": "rewritten", "working_dir": "/", "namespaces": ["NEWNS", "NEWUTS"]}"#,
    );
    sandbox.run(["probe", "hostname", ",", "cwd"]).code(0).stdout("sealed\n/tmp\n");
    first.finish().code(0);
}

#[test]
fn the_joining_commands_own_options_count() {
    require!(Container);
    let sandbox = Sandbox::new();
    let first = started(&sandbox);
    let outcome = sandbox
        .nsinit(["exec", "--quiet", "--env", "X=y", "--cwd", "/tmp", "probe", "cwd", ",", "env"]);
    outcome.code(0).stdout_has("/tmp\n").stdout_has("X=y\n");
    first.finish().code(0);
}

#[test]
fn another_users_container_is_not_joined() {
    require!(Root, UserNamespaces);
    let root = Sandbox::new();
    let first = started(&root);
    let directory = root.root();
    let other = Sandbox::new().as_user(tests::ORDINARY);
    let outcome = other.nsinit(["--root", &directory.to_string_lossy(), "exec", "probe", "id"]);
    outcome.stdout("").stderr_has("belongs to root").stderr_has("\nhint: join it as that user");
    first.finish().code(0);
}

#[test]
fn a_container_that_cannot_be_looked_at_is_not_taken_for_dead() {
    require!(Container);
    for mut sandbox in Sandbox::for_each_caller() {
        let first = started(&sandbox);
        for files in (3..24).rev() {
            sandbox = sandbox.with_own(&format!("nofile={files}"));
            let outcome = sandbox.run(["probe", "pid"]);
            // It joins, or says why not; else it would be the first process of another.
            assert_ne!(outcome.out(), "1\n", "{files}");
            assert!(sandbox.root().join("pid").exists(), "{files}: {}", outcome.err());
        }
        first.finish().code(0);
    }
}
