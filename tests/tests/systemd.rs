//! Cgroups that systemd makes: its own manager for root, the user's for everybody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tests::{Sandbox, require};

const TREE: &str = "/sys/fs/cgroup";

/// A container of this caller's, in a scope.
fn in_a_scope(properties: &str) -> Sandbox {
    let limits = r#""memory": 33554432, "pids_max": 8"#;
    let config =
        format!(r#"{{"cgroups": {{"name": "$NAME", "driver": "systemd", {limits}{properties}}}}}"#);
    // The sandbox has a run directory of its own, without the manager's bus.
    let bus = format!("unix:path=/run/user/{}/bus", rustix::process::geteuid().as_raw());
    Sandbox::new().config(&config).env("DBUS_SESSION_BUS_ADDRESS", bus)
}

/// Where that process is.
fn cgroup_of(pid: u32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives");
    let path = text.trim().strip_prefix("0::/").expect("version 2 alone");
    Path::new(TREE).join(path)
}

#[test]
fn a_container_is_in_a_scope_that_ends_with_it() {
    require!(Container, CgroupV2, Systemd);
    let sandbox = in_a_scope("");
    let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let cgroup = cgroup_of(first.init());
    let scope = cgroup.parent().expect("a scope").to_owned();
    assert!(cgroup.ends_with(sandbox.fill("nsinit-$NAME.scope/container")), "{}", cgroup.display());
    let joined = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let members = fs::read_to_string(cgroup.join("cgroup.procs")).expect("it is there");
    assert_eq!(members.lines().count(), 2, "{members}");
    joined.finish().code(0);
    first.finish().code(0);
    // systemd hears of the end from the kernel.
    let deadline = Instant::now() + Duration::from_secs(10);
    while scope.exists() {
        assert!(Instant::now() < deadline, "{} is there", scope.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn limits_hold_in_a_scope() {
    require!(Container, CgroupV2, Systemd);
    let sandbox = in_a_scope("");
    sandbox.run(["probe", "allocate", "8"]).code(0).stdout("8\n");
    // By the time that somebody could ask for the reason, systemd may have removed the scope.
    sandbox.run(["probe", "allocate", "128"]).code(137);
    let made = sandbox.run(["probe", "children", "50"]).code(0).out();
    let made: u32 = made.trim().parse().expect("a number");
    assert!((5..8).contains(&made), "{made} children");
}

#[test]
fn a_scope_is_in_the_slice_that_was_asked_for() {
    require!(Container, CgroupV2, Systemd);
    let sandbox = in_a_scope(r#", "unit_properties": [["Slice", "nsinit-test.slice"]]"#);
    let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let cgroup = cgroup_of(first.init()).display().to_string();
    assert!(cgroup.contains("/nsinit.slice/nsinit-test.slice/"), "{cgroup}");
    first.finish().code(0);
}
