//! The benchmark's floor makes the container that nsinit makes. If it made less, the
//! comparison would say nothing.

use tests::{Sandbox, require};

const CONTAINER: &str =
    r#"{"hostname": "bench", "namespaces": ["NEWNS", "NEWUTS", "NEWIPC", "NEWPID", "NEWNET"]}"#;

/// Runs a program in a container of each and compares what it says.
#[track_caller]
fn same<const N: usize>(program: [&str; N]) {
    let sandbox = Sandbox::new().config(CONTAINER);
    let ours = sandbox.run(program).code(0).out();
    let floor = tests::floor();
    let words = [&*floor.to_string_lossy(), "$ROOT"];
    assert_eq!(sandbox.on_host(words.into_iter().chain(program)), ours);
}

#[test]
fn the_mounts_of_the_floor_are_the_same() {
    require!(Root);
    let sandbox = Sandbox::new().config(CONTAINER);
    let ours = sandbox.run(["probe", "mounts"]).code(0).out();
    let floor = tests::floor();
    let words = [&*floor.to_string_lossy(), "$ROOT", "/bin/probe", "mounts"];
    assert_eq!(comparable(&sandbox.on_host(words)), comparable(&ours));
}

/// Without the pid file, which the floor does not write, and without the options of file
/// systems: mount(2) makes a read-only sysfs of what nsinit mounts read-only.
fn comparable(mounts: &str) -> Vec<&str> {
    let lines = mounts.lines().filter(|line| !line.starts_with("/pid "));
    let mut mounts: Vec<&str> =
        lines.map(|line| line.rsplit_once(' ').map_or(line, |(mount, _)| mount)).collect();
    mounts.sort_unstable();
    mounts
}

#[test]
fn the_devices_of_the_floor_are_the_same() {
    require!(Root);
    same(["/bin/probe", "ls", "/dev"]);
    let nodes = ["null", "zero", "full", "random", "urandom", "tty"].map(|n| format!("/dev/{n}"));
    let [null, zero, full, random, urandom, tty] = nodes.each_ref().map(|path| &**path);
    same(["/bin/probe", "stat", null, zero, full, random, urandom, tty]);
    same(["/bin/probe", "stat", "/dev/fd", "/dev/stdin", "/dev/pts", "/dev/shm", "/dev/mqueue"]);
    same(["/bin/probe", "readlink", "/dev/ptmx", ",", "readlink", "/dev/stdout"]);
}

#[test]
fn the_floor_masks_the_same() {
    require!(Root);
    same(["/bin/probe", "ls", "/sys/firmware", ",", "stat", "/proc/acpi", "/proc/interrupts"]);
    same(["/bin/probe", "cat", "/container.json", ",", "write", "/container.json", "{}"]);
    same(["/bin/probe", "write", "/proc/sys/kernel/hostname", "x", ",", "write", "/sys/x", "x"]);
}

#[test]
fn a_program_on_the_floor_has_the_same_privileges() {
    require!(Root);
    same(["/bin/probe", "caps", ",", "id", ",", "status", "NoNewPrivs"]);
    same(["/bin/probe", "umask", ",", "rlimit", "open", "files", ",", "rlimit", "core", "file"]);
    same(["/bin/probe", "hostname", ",", "cwd", ",", "env", ",", "pid", ",", "processes"]);
    same(["/bin/probe", "addresses", ",", "ping-socket"]);
}

#[test]
fn the_floor_joins_as_nsinit_does() {
    require!(Root);
    let sandbox = Sandbox::new().config(CONTAINER);
    let first = sandbox.start(["probe", "ns", ",", "ready", ",", "copy"]).until("ready");
    let facts = ["/bin/probe", "ns", ",", "caps", ",", "id", ",", "umask", ",", "env", ",", "cwd"];
    let ours = sandbox.run(facts).code(0).out();
    let (floor, init) = (tests::floor(), first.init().to_string());
    let words = [&*floor.to_string_lossy(), "--join", &*init];
    assert_eq!(sandbox.on_host(words.into_iter().chain(facts)), ours);
    first.finish().code(0);
}

#[test]
fn the_floor_enters_the_same_cgroups() {
    require!(Root, CgroupV1);
    let sandbox = Sandbox::new().config(
        r#"{"cgroups": {"name": "$NAME", "parent": "nsinit-test", "pids_max": 100},
            "namespaces": ["NEWNS", "NEWPID", "NEWUTS", "NEWIPC", "NEWNET"]}"#,
    );
    let ours = sandbox.run(["/bin/probe", "cgroup"]).code(0).out().replace("/nsinit-test/", "/");
    let floor = tests::floor();
    let words = [&*floor.to_string_lossy(), "--cgroup", "$NAME", "$ROOT", "/bin/probe", "cgroup"];
    let theirs = sandbox.on_host(words);
    // What is not limited is not entered in version 2.
    let v1 = |said: &str| -> Vec<String> {
        said.lines().filter(|line| !line.starts_with("0::")).map(str::to_owned).collect()
    };
    assert_eq!(v1(&theirs), v1(&ours));
    assert!(theirs.contains(&sandbox.fill("/$NAME")), "{theirs}");
}
