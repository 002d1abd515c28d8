//! Root filesystems and callers that mean harm.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tests::{Outcome, Sandbox, require};

/// What a directory of the host holds, in a form that shows every change.
fn canary(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory).expect("own directory").filter_map(Result::ok) {
        let facts = fs::symlink_metadata(entry.path()).expect("own file");
        let content = fs::read(entry.path()).unwrap_or_default();
        lines.push(format!(
            "{:?} {:o} {} {} {content:?}",
            entry.path(),
            facts.mode(),
            facts.uid(),
            facts.mtime_nsec()
        ));
        if facts.is_dir() {
            lines.extend(canary(&entry.path()));
        }
    }
    lines.sort();
    lines
}

/// Runs with hostile links in place; the host's files stay as they were.
#[track_caller]
fn harmless(sandbox: &Sandbox, words: [&str; 2]) -> Outcome {
    let before = canary(&sandbox.host());
    let outcome = sandbox.run(words);
    assert_eq!(canary(&sandbox.host()), before, "the host's files changed");
    outcome
}

#[test]
fn a_destination_that_is_a_link_stays_below_the_root() {
    // CVE-2015-3629.
    require!(Container);
    for destination in ["/link", "/link/new", "/link/sub/deep"] {
        let sandbox = Sandbox::new().host_file("file", "").symlink("link", "$HOST").config(&format!(
            r#"{{"mounts": [{{"source": "$HOST", "destination": "{destination}", "writable": true}}]}}"#
        ));
        let outcome = harmless(&sandbox, ["probe", "pid"]);
        assert!(outcome.out() == "1\n" || !outcome.err().is_empty());
    }
}

#[test]
fn a_link_left_by_an_earlier_run_stays_below_the_root() {
    // CVE-2019-18837: the first run replaces a destination.
    require!(Container);
    let sandbox = Sandbox::new().host_file("file", "");
    let sandbox = sandbox
        .symlink("data", "$HOST")
        .config(r#"{"mounts": [{"type": "tmpfs", "destination": "/data/sub"}]}"#);
    harmless(&sandbox, ["probe", "pid"]);
}

#[test]
fn a_dev_that_is_a_link_is_not_followed() {
    // CVE-2026-41579.
    require!(Root);
    for path in ["dev", "dev/pts", "dev/shm", "dev/mqueue", "dev/fd"] {
        let sandbox = Sandbox::new().directory("dev").host_file("ptmx", "host");
        let sandbox = sandbox.symlink(path, "$HOST").config("{}");
        harmless(&sandbox, ["probe", "pid"]);
    }
}

#[test]
fn a_console_that_is_a_link_is_not_followed() {
    // CVE-2026-88264.
    require!(Root);
    let sandbox = Sandbox::new()
        .directory("dev")
        .symlink("dev/console", "$HOST/created")
        .config(r#"{"tty": true}"#);
    harmless(&sandbox, ["probe", "pid"]);
}

#[test]
fn a_null_that_is_a_link_is_not_used() {
    // CVE-2026-88265 and CVE-2025-31133: neither as standard input nor as a mask.
    require!(Root);
    for target in ["$HOST/f", "/etc/f", "/proc/sys/kernel/core_pattern"] {
        let sandbox = Sandbox::new().directory("dev").host_file("f", "host").file("etc/f", "image");
        let sandbox = sandbox.symlink("dev/null", target);
        let outcome = harmless(&sandbox, ["probe", "pid"]);
        outcome.code(0).stdout("1\n");
        sandbox
            .run(["probe", "write", "/proc/sysrq-trigger", "x", ",", "stat", "/dev/null"])
            .stdout_has("char 1:3");
        assert_eq!(fs::read_to_string(sandbox.root().join("etc/f")).expect("own file"), "image");
    }
}

#[test]
fn proc_and_sys_that_are_links_are_refused_or_replaced() {
    // CVE-2025-54867.
    require!(Root);
    for (path, target) in [
        ("proc", "$HOST"),
        ("proc", "data"),
        ("sys", "$HOST"),
        ("sys", "nowhere"),
        ("proc", "/data"),
    ] {
        let sandbox = Sandbox::new().host_file("file", "").symlink(path, target);
        let outcome = harmless(&sandbox, ["probe", "mounts"]);
        let right = format!("/{path} {}", if path == "proc" { "proc" } else { "sysfs" });
        assert!(outcome.out().contains(&right) || outcome.err().contains(path), "{outcome:?}");
        assert!(!outcome.out().contains("/data proc"), "{outcome:?}");
    }
}

#[test]
fn a_proc_that_is_a_file_is_refused() {
    require!(Root);
    let sandbox = Sandbox::new().file("proc", "");
    sandbox.run(["probe", "pid"]).code(125).stdout("").stderr_has("/proc");
}

#[test]
fn a_bind_over_proc_is_refused() {
    // CVE-2019-16884: the place where labels are written becomes the image's.
    require!(Root);
    for destination in ["/proc", "/proc/self/attr", "/proc//thread-self", "/link/self"] {
        let sandbox = Sandbox::new().symlink("link", "/proc").config(&format!(
            r#"{{"mounts": [{{"source": "$HOST", "destination": "{destination}"}}]}}"#
        ));
        sandbox.run(["probe", "pid"]).code(125).stdout("").stderr_has("proc");
    }
}

#[test]
fn a_pid_file_that_is_a_link_is_not_written_through() {
    require!(Root);
    let sandbox = Sandbox::new().host_file("victim", "host").symlink("pid", "$HOST/victim");
    harmless(&sandbox, ["probe", "pid"]);
    fs::remove_file(sandbox.root().join("pid")).ok();
}

#[test]
fn a_log_inside_the_image_is_not_written_through_a_link() {
    require!(Root);
    let sandbox = Sandbox::new().host_file("victim", "host").symlink("log", "$HOST/victim");
    let before = canary(&sandbox.host());
    sandbox.nsinit(["--log", "log", "exec", "--quiet", "probe", "pid"]);
    assert_eq!(canary(&sandbox.host()), before);
}

#[test]
fn descriptors_of_the_caller_do_not_reach_the_program() {
    // CVE-2024-21626.
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.with("leak=3,9,100");
        sandbox.run(["probe", "fds"]).code(0).stdout("0 1 2\n");
    }
}

#[test]
fn a_link_at_the_pid_file_does_not_end_a_start() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.symlink("pid", "/etc/passwd");
        sandbox.run(["probe", "write", "/pid", "7"]).code(0).stdout("EROFS\n");
    }
}

#[test]
fn descriptors_of_the_caller_do_not_reach_a_joined_program() {
    require!(Container);
    let sandbox = Sandbox::new().with("leak=3,9,100");
    let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    sandbox.run(["probe", "fds"]).code(0).stdout("0 1 2\n");
    first.finish().code(0);
}

#[test]
fn a_working_directory_through_a_descriptor_is_refused() {
    // CVE-2024-21626: for the first process and for a joined one.
    require!(Root);
    for number in 3..16 {
        for directory in ["/proc/self/fd", "/proc/1/fd", "/proc/thread-self/fd"] {
            let sandbox = Sandbox::new()
                .with("leak=3,9")
                .config(&format!(r#"{{"working_dir": "{directory}/{number}"}}"#));
            sandbox.run(["probe", "cwd"]).code(125).stdout("");
        }
    }
}

#[test]
fn a_program_through_a_descriptor_is_refused() {
    require!(Root);
    let sandbox = Sandbox::new().with("leak=3,9");
    for number in 3..16 {
        let outcome = sandbox.run([&format!("/proc/self/fd/{number}/bin/true")]);
        assert!(matches!(outcome.code_or_signal(), 126 | 127), "{outcome:?}");
    }
}

#[test]
fn closed_standard_descriptors_are_replaced() {
    require!(Container);
    for closed in ["0", "1", "2", "0,1", "0,2", "1,2", "0,1,2"] {
        let sandbox = Sandbox::new().with(&format!("close={closed}"));
        sandbox.run(["probe", "exit", "5"]).code(5);
        let sandbox = sandbox.config(r#"{"hostname": "x"}"#);
        sandbox.run(["probe", "write", "/tmp/x", ",", "exit", "6"]).code(6);
    }
}

#[test]
fn end_of_file_reaches_the_program() {
    require!(Container);
    Sandbox::new().run(["probe", "copy", ",", "echo", "done"]).code(0).stdout("done\n");
}

#[test]
fn a_rewritten_configuration_is_not_obeyed() {
    // The container may own the directory that holds its configuration.
    require!(Root);
    let sandbox = Sandbox::new().config(r#"{"readonly_fs": false}"#);
    let run = sandbox
        .start([
            "probe",
            "write",
            "/container.json",
            "{}",
            ",",
            "symlink",
            "/x",
            "/pid",
            ",",
            "ready",
            ",",
            "copy",
        ])
        .until("ready");
    let written = fs::read_to_string(sandbox.root().join("container.json")).expect("own file");
    assert_eq!(written, r#"{"readonly_fs": false}"#);
    run.finish().code(0);
}
