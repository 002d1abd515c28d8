//! Parent: what is written to which file of version 2, in a directory that stands for a cgroup.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::error::Error;
use crate::hierarchy::{Hierarchy, Version};
use crate::place::enable;

/// A directory with the files of a cgroup that have been written since.
struct Fake(PathBuf);

impl Fake {
    fn new(test: &str, files: &[&str]) -> Fake {
        let path = std::env::temp_dir().join(format!("nsinit-v2-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).expect("directory");
        for file in files.iter().chain(&["cgroup.procs"]) {
            fs::write(path.join(file), "").expect("file");
        }
        Fake(path)
    }

    fn member(&self, controllers: &[&str]) -> Member {
        Member {
            version: Version::V2,
            controllers: controllers.iter().map(|name| (*name).to_owned()).collect(),
            above: Vec::new(),
            leaf: Dir::unchecked(&self.0),
        }
    }

    /// Every file that is not empty, `name=text`, in order.
    fn written(&self) -> Vec<String> {
        let files = fs::read_dir(&self.0).expect("directory").map(|entry| entry.expect("entry"));
        let text = |path: PathBuf| fs::read_to_string(path).expect("file");
        let mut all: Vec<String> = files
            .map(|file| format!("{}={}", file.file_name().to_string_lossy(), text(file.path())))
            .filter(|line| !line.ends_with('='))
            .collect();
        all.sort();
        all
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FILES: [&str; 11] = [
    "memory.max",
    "memory.high",
    "memory.low",
    "memory.swap.max",
    "memory.oom.group",
    "cpu.weight",
    "cpu.max",
    "cpuset.cpus",
    "cpuset.mems",
    "pids.max",
    "io.weight",
];
const ALL: [&str; 5] = ["memory", "cpu", "cpuset", "pids", "io"];

#[test]
fn every_limit_has_its_file() {
    let fake = Fake::new("all", &FILES);
    let limits = Limits {
        memory: Some(1000),
        memory_reservation: Some(500),
        memory_high: Some(900),
        memory_swap: Some(Swap::Total(1500)),
        cpu_shares: Some(1024),
        cpu_quota: Some(20_000),
        cpu_period: Some(50_000),
        cpus: None,
        cpuset_cpus: Some("0-1".into()),
        cpuset_mems: Some("0".into()),
        pids: Some(64),
        oom_group: Some(true),
        unified: vec![("io.weight".into(), "50".into())],
        devices: None,
    };
    apply(&fake.member(&ALL), &limits, Absent::Defaults).expect("apply");
    let expected = [
        "cpu.max=20000 50000",
        "cpu.weight=100",
        "cpuset.cpus=0-1",
        "cpuset.mems=0",
        "io.weight=50",
        "memory.high=900",
        "memory.low=500",
        "memory.max=1000",
        "memory.oom.group=1",
        "memory.swap.max=500",
        "pids.max=64",
    ];
    assert_eq!(fake.written(), expected);
}

#[test]
fn memory_alone_allows_as_much_swap_and_protects_nothing() {
    let fake = Fake::new("memory", &FILES);
    let limits = Limits { memory: Some(1000), ..Limits::NONE };
    apply(&fake.member(&ALL), &limits, Absent::Defaults).expect("apply");
    assert_eq!(fake.written(), ["memory.max=1000", "memory.swap.max=1000"]);
}

#[test]
fn unlimited_is_spelled_max() {
    let fake = Fake::new("max", &FILES);
    let swap = Some(Swap::Unlimited);
    let limits = Limits { memory_swap: swap, cpu_quota: Some(-1), ..Limits::NONE };
    apply(&fake.member(&ALL), &limits, Absent::Defaults).expect("apply");
    assert_eq!(fake.written(), ["cpu.max=max 100000", "memory.swap.max=max"]);
}

#[test]
fn swap_that_is_not_accounted_is_an_error_only_when_asked_for() {
    let fake = Fake::new("noswap", &["memory.max"]);
    let with = |memory_swap| Limits { memory: Some(1000), memory_swap, ..Limits::NONE };
    apply(&fake.member(&ALL), &with(None), Absent::Defaults).expect("absent");
    apply(&fake.member(&ALL), &with(Some(Swap::Unlimited)), Absent::Defaults).expect("unlimited");
    let refused = apply(&fake.member(&ALL), &with(Some(Swap::Total(2000))), Absent::Defaults);
    assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
}

#[test]
fn a_limit_whose_controller_is_elsewhere_is_not_written_here() {
    let fake = Fake::new("elsewhere", &FILES);
    let limits = Limits { memory: Some(1000), pids: Some(3), ..Limits::NONE };
    apply(&fake.member(&["pids"]), &limits, Absent::Defaults).expect("apply");
    assert_eq!(fake.written(), ["pids.max=3"]);
}

#[test]
fn files_are_never_made() {
    let fake = Fake::new("made", &[]);
    let limits = Limits { pids: Some(3), ..Limits::NONE };
    let error = apply(&fake.member(&ALL), &limits, Absent::Defaults).expect_err("no file");
    assert!(error.to_string().contains("pids.max: write 3: "), "{error}");
    assert!(!fake.0.join("pids.max").exists());
}

fn hierarchy(fake: &Fake) -> Hierarchy {
    Hierarchy {
        version: Version::V2,
        controllers: Vec::new(),
        mount_point: fake.0.clone(),
        own: None,
        read_only: false,
        device: (0, 0),
    }
}

#[test]
fn only_the_controllers_that_are_needed_and_off_are_switched_on() {
    let fake = Fake::new("enable", &[]);
    fs::write(fake.0.join("cgroup.controllers"), "cpu io memory pids\n").expect("file");
    fs::write(fake.0.join("cgroup.subtree_control"), "memory\n").expect("file");
    let control = || fs::read_to_string(fake.0.join("cgroup.subtree_control")).expect("file");
    let dir = Dir::unchecked(&fake.0);
    enable(&hierarchy(&fake), &dir, &["memory"]).expect("on already");
    assert_eq!(control(), "memory\n");
    enable(&hierarchy(&fake), &dir, &["memory", "cpu", "pids"]).expect("enable");
    assert_eq!(control(), "+cpu +pids");
}

#[test]
fn the_first_cgroup_that_lacks_a_controller_is_named() {
    let fake = Fake::new("lacks", &[]);
    let inner = fake.0.join("user.slice/session");
    fs::create_dir_all(&inner).expect("directories");
    for (dir, controllers) in
        [("", "cpu memory"), ("user.slice", "cpu"), ("user.slice/session", "cpu")]
    {
        fs::write(fake.0.join(dir).join("cgroup.controllers"), controllers).expect("file");
    }
    fs::write(inner.join("cgroup.subtree_control"), "").expect("file");
    match enable(&hierarchy(&fake), &Dir::unchecked(&inner), &["cpu", "memory"]) {
        Err(Error::Controller { name: "memory", missing_at, .. }) => {
            assert_eq!(missing_at, fake.0.join("user.slice"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn odd_states_of_a_cgroup_are_named() {
    let fake = Fake::new("state", &[]);
    for state in ["domain threaded", "domain invalid", "threaded"] {
        fs::write(fake.0.join("cgroup.type"), format!("{state}\n")).expect("file");
        match enable(&hierarchy(&fake), &Dir::unchecked(&fake.0), &[]) {
            Err(Error::State { state: found, .. }) => assert_eq!(found, state),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn weights_never_fall_as_shares_rise() {
    let weights: Vec<u64> = (2..=262_144).step_by(61).map(shares_to_weight).collect();
    assert!(weights.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(shares_to_weight(0), 1);
    assert_eq!(shares_to_weight(u64::MAX), 10_000);
}
