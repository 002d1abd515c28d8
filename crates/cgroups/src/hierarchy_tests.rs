//! Parent: the pure parser, on texts of hosts of every arrangement.

use super::*;

const KNOWN: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
    cpu\t1\t1\t1\nmemory\t4\t16\t1\nhugetlb\t0\t1\t0\n";

fn paths(found: &Hierarchies) -> Vec<(String, Option<String>)> {
    let text = |p: &PathBuf| p.display().to_string();
    found
        .v1()
        .iter()
        .chain(found.v2())
        .map(|h| (text(&h.mount_point), h.own.as_ref().map(text)))
        .collect()
}

fn pair(mount: &str, own: &str) -> (String, Option<String>) {
    (mount.to_owned(), Some(own.to_owned()))
}

#[test]
fn a_unified_host() {
    let mounts = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
        31 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    let own = "0::/user.slice/user-1000.slice/session-3.scope\n";
    let found = Hierarchies::parse(mounts, own, KNOWN);
    assert_eq!(found.mode(), Mode::V2);
    assert_eq!(found.known(), ["cpu", "memory"]);
    assert_eq!(found.unusable(), None);
    let session = "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope";
    assert_eq!(paths(&found), [pair("/sys/fs/cgroup", session)]);
}

#[test]
fn a_legacy_host_groups_controllers_as_its_own_file_does() {
    let mounts = "33 32 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        34 32 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        35 32 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n";
    let own = "5:memory:/system.slice/a.service\n4:cpuacct,cpu:/\n1:name=systemd:/system.slice/a.service\n";
    let found = Hierarchies::parse(mounts, own, "");
    assert_eq!(found.mode(), Mode::V1);
    assert_eq!(found.controllers(), ["memory", "cpuacct", "cpu"]);
    let cpu = found.of("cpu").expect("cpu");
    assert_eq!(cpu.mount_point, PathBuf::from("/sys/fs/cgroup/cpu,cpuacct"));
    assert!(cpu.has("cpuacct") && found.of("pids").is_none());
}

#[test]
fn a_hybrid_host_has_both() {
    let mounts = "34 32 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        36 32 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let found = Hierarchies::parse(mounts, "5:memory:/a\n0::/b\n", KNOWN);
    assert_eq!(found.mode(), Mode::Hybrid);
    let expected = [
        pair("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/a"),
        pair("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/b"),
    ];
    assert_eq!(paths(&found), expected);
}

#[test]
fn a_named_tree_beside_the_unified_one_is_no_hybrid() {
    let mounts = "35 32 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        36 32 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    assert_eq!(Hierarchies::parse(mounts, "1:name=systemd:/\n0::/\n", "").mode(), Mode::V2);
}

#[test]
fn in_a_container_the_mounted_part_counts() {
    // Without a cgroup namespace the mount's root is the container's cgroup.
    let mounts = "70 60 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    let found = Hierarchies::parse(mounts, "0::/docker/ab/job\n", "");
    assert_eq!(paths(&found), [pair("/sys/fs/cgroup", "/sys/fs/cgroup/job")]);
    assert!(found.v2().is_some_and(|h| h.read_only));
    // A sibling that is not below it cannot be seen.
    let outside = Hierarchies::parse(mounts, "0::/docker/abc\n", "");
    assert_eq!(outside.v2().and_then(|h| h.own.clone()), None);
    // With one, both are "/".
    let namespaced = "70 60 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
    let found = Hierarchies::parse(namespaced, "0::/\n", "");
    assert_eq!(paths(&found), [pair("/sys/fs/cgroup", "/sys/fs/cgroup")]);
    // A process that was left outside the namespace's root.
    let left = Hierarchies::parse(namespaced, "0::/../other\n", "");
    assert_eq!(left.v2().and_then(|h| h.own.clone()), None);
}

#[test]
fn of_several_mounts_the_useful_one_is_taken() {
    let mounts = "70 60 0:26 / /ro ro - cgroup2 cgroup rw\n\
        71 60 0:26 /else /part rw - cgroup2 cgroup rw\n\
        72 60 0:26 / /rw rw - cgroup2 cgroup rw\n";
    assert_eq!(paths(&Hierarchies::parse(mounts, "0::/a\n", "")), [pair("/rw", "/rw/a")]);
}

#[test]
fn a_host_without_says_why() {
    for (mounts, own) in [("", ""), ("", "0::/\n"), ("1 2 0:1 / / rw - cgroup c cpu\n", "0::/\n")] {
        let found = Hierarchies::parse(mounts, own, "");
        assert_eq!(found.mode(), Mode::None);
        assert!(found.unusable().is_some_and(|reason| !reason.is_empty()), "{mounts:?} {own:?}");
    }
}

#[test]
fn this_host_is_parsed() {
    let found = Hierarchies::detect();
    assert_eq!(found.mode() == Mode::None, found.unusable().is_some());
}

#[test]
fn an_own_cgroup_never_lies_outside_of_its_mount() {
    // Found by fuzzing: an absolute rest replaces what it is joined to.
    for (root, own) in [("", "/etc"), ("", "../etc"), ("/..", "/a"), ("/", "/a/../../etc")] {
        let mounts = format!("31 25 0:26 {root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        let found = Hierarchies::parse(&mounts, &format!("0::{own}\n"), KNOWN);
        assert_eq!(found.v2().map(|tree| tree.own.clone()), Some(None), "{root:?} {own:?}");
    }
}
