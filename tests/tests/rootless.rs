//! An ordinary user's containers.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use tests::{ORDINARY, Sandbox, require};

fn ordinary() -> Sandbox {
    Sandbox::new().as_user(ORDINARY)
}

#[test]
fn an_ordinary_user_is_root_inside() {
    require!(UserNamespaces);
    ordinary()
        .run(["probe", "id", ",", "pid"])
        .code(0)
        .stdout_has("uid=0 gid=0")
        .stdout_has("\n1\n");
}

#[test]
fn files_that_root_inside_makes_are_the_users() {
    require!(Root, UserNamespaces);
    let sandbox = ordinary();
    sandbox.run(["probe", "create", "/data/x", ",", "stat", "/data/x"]).code(0).stdout_has("0:0");
    let owner = std::os::unix::fs::MetadataExt::uid(
        &fs::metadata(sandbox.root().join("data/x")).expect("own file"),
    );
    assert_eq!(owner, ORDINARY);
}

#[test]
fn files_of_the_hosts_root_stay_closed() {
    require!(Root, UserNamespaces);
    let sandbox = ordinary().config(r#"{"mounts": [{"source": "/etc", "destination": "/data"}]}"#);
    sandbox.run(["probe", "cat", "/data/shadow"]).code(1).stdout("");
}

#[test]
fn namespaces_of_a_list_get_a_user_namespace_too() {
    require!(Root, UserNamespaces);
    let own = fs::read_link("/proc/self/ns/user").expect("procfs").to_string_lossy().into_owned();
    let sandbox = ordinary().config(r#"{"namespaces": ["NEWNS", "NEWPID"]}"#);
    sandbox.run(["probe", "ns", "user"]).code(0).stdout_lacks(&own);
}

#[test]
fn proc_and_sys_come_from_the_host_where_they_cannot_be_mounted() {
    require!(UserNamespaces);
    let sandbox = ordinary().config(r#"{"namespaces": ["NEWNS"]}"#);
    let outcome =
        sandbox.run(["probe", "hostname", ",", "stat", "/sys/kernel", ",", "create", "/sys/x"]);
    outcome.code(0).stdout_has("/sys/kernel directory").stdout_lacks("ok");
}

#[test]
fn the_hosts_cgroups_cannot_be_written_through_sys() {
    // CVE-2023-25809.
    require!(UserNamespaces);
    let sandbox = ordinary().config(r#"{"namespaces": ["NEWNS"]}"#);
    sandbox.run(["probe", "writable", "/sys"]).code(0).stdout("");
}

#[test]
fn a_cgroup_without_delegation_says_how_to_get_one() {
    require!(Root, UserNamespaces, Cgroups);
    let sandbox = ordinary().config(r#"{"cgroups": {"name": "$NAME", "memory": 67108864}}"#);
    sandbox
        .run(["probe", "id"])
        .code(125)
        .stdout("")
        .stderr_has("systemd-run --user --scope -p Delegate=yes");
}

/// What systemd gives to the session of a user: a cgroup of his own in each hierarchy, and
/// another one below it to be in.
struct Delegation(Vec<PathBuf>);

impl Delegation {
    fn to_the_ordinary(name: &str) -> Delegation {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("procfs");
        let hierarchies = mounts.lines().filter_map(|line| {
            let fields: Vec<_> = line.split(' ').collect();
            // Without processors nobody enters a new cgroup of cpuset.
            let usable = fields[2].starts_with("cgroup") && !fields[1].contains("cpuset");
            usable.then(|| Path::new(fields[1]).join(name))
        });
        let delegation = Delegation(hierarchies.collect());
        for own in &delegation.0 {
            fs::create_dir_all(own.join("session")).expect("root may");
            for controller in ["+cpu", "+memory", "+pids"] {
                for above in [own.parent().expect("a hierarchy"), own] {
                    // Not every tree has each, and none of version 1 has the file.
                    let file = fs::OpenOptions::new().write(true).open(above.join(SUBTREE));
                    drop(file.and_then(|mut file| file.write_all(controller.as_bytes())));
                }
            }
            for directory in [own, &own.join("session")] {
                for file in ["", "cgroup.procs", "tasks", SUBTREE] {
                    let (path, user) = (directory.join(file), Some(ORDINARY));
                    let given = chown(&path, user, user);
                    assert!(given.is_ok() || !path.exists(), "{}", path.display());
                }
            }
        }
        delegation
    }
}

impl Drop for Delegation {
    fn drop(&mut self) {
        for own in &self.0 {
            drop(fs::remove_dir(own.join("nsinit")));
            drop(fs::remove_dir(own.join("session")).and_then(|()| fs::remove_dir(own)));
        }
    }
}

const SUBTREE: &str = "cgroup.subtree_control";

#[test]
fn limits_hold_where_cgroups_are_delegated() {
    require!(UserNamespaces, Cgroups, Delegation);
    let mut sandbox = ordinary();
    let delegation = rustix::process::geteuid()
        .is_root()
        .then(|| Delegation::to_the_ordinary(&format!("delegated-{}", std::process::id())));
    for own in delegation.iter().flat_map(|delegation| &delegation.0) {
        sandbox = sandbox.with(&format!("cgroup={}", own.join("session").display()));
    }
    let sandbox =
        sandbox.config(r#"{"cgroups": {"name": "$NAME", "memory": 33554432, "pids_max": 8}}"#);
    sandbox.run(["probe", "allocate", "8"]).code(0).stdout("8\n");
    sandbox.run(["probe", "allocate", "128"]).code(137).stderr_has("cgroups.memory is 33554432");
    let out = sandbox.run(["probe", "children", "50"]).code(0).out();
    let made: u32 = out.trim().parse().expect("a number");
    assert!((5..8).contains(&made), "{made} children");
    sandbox.assert_clean();
}

#[test]
fn without_cgroups_no_delegation_is_needed() {
    require!(UserNamespaces);
    ordinary().config(r#"{"hostname": "box"}"#).run(["probe", "hostname"]).code(0).stdout("box\n");
}

#[test]
fn a_bridge_of_the_host_is_out_of_reach() {
    require!(Root, UserNamespaces);
    let sandbox = ordinary().config(
        r#"{"networks": [{"type": "veth", "context": {"bridge": "$LINKb", "prefix": "$LINK"}, "address": "10.77.0.2/24"}]}"#,
    );
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("networks");
}

#[test]
fn ids_that_are_not_the_users_cannot_be_mapped() {
    require!(Root, UserNamespaces);
    let sandbox = ordinary().config(
        r#"{"namespaces": ["NEWNS", "NEWUSER"], "uid_mappings": [{"container_id": 0, "host_id": 0, "size": 10}], "gid_mappings": [{"container_id": 0, "host_id": 0, "size": 10}]}"#,
    );
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("has no line nobody:0:10");
}

#[test]
fn a_user_that_is_not_mapped_is_an_error() {
    require!(Root, UserNamespaces);
    let sandbox = ordinary().config(
        r#"{"namespaces": ["NEWNS", "NEWUSER"], "user": "33", "uid_mappings": [{"container_id": 0, "host_id": 65534, "size": 1}], "gid_mappings": [{"container_id": 0, "host_id": 65534, "size": 1}]}"#,
    );
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("user: uid 33 is not mapped");
}

#[test]
fn root_with_a_user_namespace_needs_its_mappings() {
    require!(Root);
    let sandbox = Sandbox::new().config(r#"{"namespaces": ["NEWNS", "NEWUSER", "NEWPID"]}"#);
    let outcome = sandbox.run(["probe", "id"]);
    // Root may have subordinate ids, too.
    assert!(outcome.code_or_signal() == 0 || outcome.err().contains("uid_mappings"), "{outcome:?}");
}

#[test]
fn root_can_map_ids() {
    require!(Root);
    // The mapped root owns nothing here and so makes no mount points.
    let points = ["proc", "sys", "dev"];
    let sandbox = points.into_iter().fold(Sandbox::new(), Sandbox::directory).config(
        r#"{"namespaces": ["NEWNS", "NEWUSER", "NEWPID", "NEWIPC", "NEWNET", "NEWUTS"],
            "uid_mappings": [{"container_id": 0, "host_id": 100000, "size": 1000}],
            "gid_mappings": [{"container_id": 0, "host_id": 200000, "size": 1000}]}"#,
    );
    sandbox
        .run(["probe", "cat", "/proc/self/uid_map"])
        .code(0)
        .stdout("         0     100000       1000\n");
    sandbox
        .run(["probe", "cat", "/proc/self/gid_map"])
        .code(0)
        .stdout("         0     200000       1000\n");
}

#[test]
fn overlapping_mappings_are_refused() {
    require!(Root);
    let sandbox = Sandbox::new().config(
        r#"{"namespaces": ["NEWNS", "NEWUSER"], "uid_mappings": [{"container_id": 0, "host_id": 1000, "size": 10},
            {"container_id": 5, "host_id": 2000, "size": 10}], "gid_mappings": [{"container_id": 0, "host_id": 1000, "size": 10}]}"#,
    );
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("uid_mappings");
}

#[test]
fn the_state_is_in_the_users_directory() {
    require!(UserNamespaces);
    let sandbox = ordinary();
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    assert!(fs::read_dir(sandbox.run_directory()).expect("a run directory").next().is_some());
    run.finish().code(0);
}

#[test]
fn a_run_directory_that_others_can_enter_is_refused() {
    require!(UserNamespaces);
    let sandbox = ordinary().mode("../run", 0o755);
    fs::create_dir(sandbox.root().join("../run/nsinit")).expect("own directory");
    let sandbox = sandbox.mode("../run/nsinit", 0o777);
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("nsinit");
}

#[test]
fn a_container_starts_in_a_user_namespace_without_setgroups() {
    // As of `unshare -Ur`: root there is this user, and /run is somebody else's.
    require!(UserNamespaces);
    let sandbox = Sandbox::new().as_user(tests::ORDINARY).with_own("ids=own");
    sandbox.run(["probe", "id"]).code(0).stdout_has("0");
    sandbox.run(["probe", "pid"]).code(0).stdout("1\n");
}
