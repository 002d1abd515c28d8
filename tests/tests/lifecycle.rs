//! From start to end: what a run gives back and leaves behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::process::Signal;
use tests::{Sandbox, require};

#[test]
fn the_exit_code_is_the_programs() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        for code in [0, 1, 42, 125, 126, 127, 128, 255] {
            sandbox.run(["probe", "exit", &code.to_string()]).code(code).stderr("");
        }
    }
}

#[test]
fn a_program_that_ends_at_once_keeps_its_status() {
    require!(Container);
    let sandbox = Sandbox::new();
    for _ in 0..50 {
        sandbox.run(["probe", "exit", "7"]).code(7);
    }
}

#[test]
fn standard_input_and_output_pass_through() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let mut run = sandbox.start(["probe", "copy"]);
        run.input("one\ntwo");
        run.finish().code(0).stdout("one\ntwo");
    }
}

#[test]
fn arguments_are_passed_as_they_are() {
    require!(Container);
    let sandbox = Sandbox::new();
    sandbox
        .run(["probe", "args", "--quiet", "", "a b", "-x"])
        .stdout("--quiet\n\na b\n-x\n")
        .code(0);
}

#[test]
fn the_configuration_gives_the_program() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"args": ["probe", "echo", "configured"]}"#);
    sandbox.run([]).code(0).stdout("configured\n");
    sandbox.run(["probe", "echo", "given"]).code(0).stdout("given\n");
}

#[test]
fn the_pid_file_lives_as_long_as_the_container() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        let init = run.init();
        assert!(fs::exists(format!("/proc/{init}")).expect("procfs"), "no process {init}");
        run.finish().code(0);
        assert!(!sandbox.root().join("pid").exists(), "the pid file is left");
    }
}

#[test]
fn the_state_directory_is_its_owners_alone() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        let facts = fs::symlink_metadata(sandbox.run_directory()).expect("a run directory");
        assert_eq!(facts.permissions().mode() & 0o7777, 0o700);
        assert_eq!(facts.uid(), fs::metadata(sandbox.root()).expect("the root").uid());
        run.finish().code(0);
    }
}

#[test]
fn killing_init_ends_everything() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let run = sandbox.start(["probe", "ready", ",", "sleep", "100"]).until("ready");
        let joined = sandbox.start(["probe", "ready", ",", "sleep", "100"]).until("ready");
        run.signal_init(Signal::KILL);
        run.finish().code(137);
        joined.finish().code(137);
        sandbox.assert_clean();
    }
}

#[test]
fn a_killed_launcher_leaves_no_container() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let run = sandbox.start(["probe", "ready", ",", "sleep", "100"]).until("ready");
        let init = run.init();
        run.signal(Signal::KILL);
        run.finish().killed_by(9);
        wait_for_the_end_of(init);
        // The next run removes what nobody was there to remove.
        sandbox.run(["probe", "echo", "again"]).code(0).stdout("again\n");
        sandbox.assert_clean();
    }
}

fn wait_for_the_end_of(pid: u32) {
    for _ in 0..1000 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("process {pid} outlives its launcher");
}

#[test]
fn concurrent_commands_start_one_container() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let start = |_| sandbox.start(["probe", "ns", "pid", ",", "ready", ",", "copy"]);
        let started: Vec<_> = (0..6).map(start).collect();
        let runs: Vec<_> = started.into_iter().map(|run| run.until("ready")).collect();
        let namespaces: BTreeSet<String> = runs.into_iter().map(|run| run.finish().out()).collect();
        assert_eq!(namespaces.len(), 1, "{namespaces:?}");
    }
}

#[test]
fn a_stale_pid_file_is_not_believed() {
    require!(Container);
    let sandbox = Sandbox::new().file("pid", &std::process::id().to_string());
    let own = fs::read_link("/proc/self/ns/pid").expect("procfs");
    sandbox.run(["probe", "ns", "pid"]).code(0).stdout_lacks(&own.to_string_lossy());
}

#[test]
fn a_container_starts_again_after_its_end() {
    require!(Container);
    let sandbox = Sandbox::new();
    let first = sandbox.run(["probe", "ns", "mnt"]).code(0).out();
    let second = sandbox.run(["probe", "ns", "mnt"]).code(0).out();
    assert!(!first.is_empty() && !second.is_empty());
}

#[test]
fn what_a_program_leaves_running_ends_with_it() {
    require!(Container);
    let sandbox = Sandbox::new();
    sandbox.run(["probe", "orphans", "5"]).code(0);
    sandbox.assert_clean();
}

#[test]
fn root_of_an_outer_user_namespace_starts_containers() {
    require!(Root);
    let sandbox = Sandbox::new().with("ids=65536").with("tmpfs=/run");
    let facts = ["probe", "cat", "/proc/sys/net/ipv4/ping_group_range"];
    sandbox.run(facts).code(0).stdout("0\t65535\n");
}

#[test]
fn the_program_may_run_on_the_processors_of_who_starts_it() {
    require!(Container);
    let probe = ["probe", "status", "Cpus_allowed_list"];
    for sandbox in Sandbox::for_each_caller() {
        let own = fs::read_to_string("/proc/self/status").expect("a text");
        let own = own.lines().find(|line| line.starts_with("Cpus_allowed_list:")).expect("a list");
        sandbox.run(probe).code(0).stdout(&format!("{}\n", own.replace('\t', " ")));
        let one = own.split(['\t', '-', ',']).nth(1).expect("a number");
        let sandbox = sandbox.with(&format!("processor={one}"));
        sandbox.run(probe).code(0).stdout(&format!("Cpus_allowed_list: {one}\n"));
    }
}

#[test]
fn init_reaps_and_gives_the_programs_status() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"init": true}"#);
        sandbox.run(["probe", "orphans", "5", ",", "zombies"]).code(0).stdout("0\n");
        sandbox.run(["probe", "exit", "9"]).code(9);
        sandbox.run(["probe", "kill-self", "TERM"]).code(143);
        sandbox.run(["probe", "kill-self", "KILL"]).code(137);
    }
}

#[test]
fn init_is_pid_1_only_where_it_is_asked_for() {
    require!(Container);
    Sandbox::new().run(["probe", "pid"]).stdout("1\n");
    let sandbox = Sandbox::new().config(r#"{"init": true}"#);
    let out = sandbox.run(["probe", "pid", ",", "ppid"]).code(0).out().to_owned();
    let (pid, parent) = out.trim_end().split_once('\n').expect("two lines");
    assert!(pid != "1" && parent == "1", "{out}");
}
