//! Parent: the same cgroup made by nsinit-cgroups and by cgroups-rs has the same
//! files with the same values, on v1.
//!
//! cgroups-rs knows v1 or v2, and on a hybrid host v1; so this compares the v1
//! hierarchies. Every readable file is compared and not only those that a limit
//! names, but for the ones that count or that belong to a process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cgroups_rs::fs::cgroup_builder::CgroupBuilder;
use cgroups_rs::fs::{Cgroup as TheirCgroup, MaxValue, hierarchies};
use nsinit_cgroups::{Cgroup, Hierarchies, Limits, Swap};

/// Files that differ between any two cgroups: they count, or cannot be read
/// without consequences.
const COUNTERS: [&str; 9] = [
    "stat",
    "usage",
    "max_usage",
    "failcnt",
    "pressure",
    "peak",
    "current",
    "kmem.slabinfo",
    "event_control",
];

/// A limit that both are given; `theirs` in the words of cgroups-rs.
struct Case {
    name: &'static str,
    ours: Limits,
    theirs: fn(CgroupBuilder) -> CgroupBuilder,
    /// Files that must have been changed by it, or the case compares nothing.
    files: &'static [(&'static str, &'static str)],
}

/// Removes both cgroups and the directory above them, whatever happens.
struct Pair {
    ours: Cgroup,
    theirs: TheirCgroup,
    /// cgroups-rs uses every hierarchy there is, and leaves the directory above.
    above: Vec<PathBuf>,
}

impl Drop for Pair {
    fn drop(&mut self) {
        let theirs = self.theirs.delete();
        let ours = self.ours.remove();
        for directory in self.above.iter().filter(|path| path.exists()) {
            let _ = fs::remove_dir(directory);
        }
        if !std::thread::panicking() {
            theirs.expect("cgroups-rs removes its cgroup");
            ours.expect("nsinit-cgroups removes its cgroup");
        }
    }
}

#[test]
fn both_engines_leave_the_same_files_and_values() {
    let hierarchies = Hierarchies::detect();
    if !rustix::process::geteuid().is_root() || hierarchies.of("memory").is_none() {
        return oracle::skip("root, and a memory hierarchy");
    }
    if hierarchies::auto().v2() || hierarchies.v1().is_empty() {
        return oracle::skip("hierarchies of v1; on v2 the two convert CPU shares differently");
    }
    let mut compared = 0;
    for (index, case) in cases().iter().enumerate() {
        compared += compare(index, case, &hierarchies);
    }
    println!("{compared} files compared");
}

fn compare(index: usize, case: &Case, hierarchies: &Hierarchies) -> usize {
    let parent = format!("nsinit-test-{}-oracle", std::process::id());
    let (ours, theirs) = (format!("{parent}/o{index}"), format!("{parent}/t{index}"));
    // Ours first, so that the directory above is marked as ours and removed with it.
    let ours = Cgroup::create(&ours, &case.ours).expect("nsinit-cgroups");
    let builder = (case.theirs)(CgroupBuilder::new(&theirs));
    let built = builder.build(hierarchies::auto()).expect("cgroups-rs");
    let above = hierarchies.v1().iter().map(|h| h.mount_point.join(&parent)).collect();
    let pair = Pair { ours, theirs: built, above };
    let (mut files, mut changed) = (0, Vec::new());
    for path in pair.ours.paths() {
        let mount = hierarchies.v1().iter().find(|h| path.starts_with(&h.mount_point));
        let Some(hierarchy) = mount else { continue };
        let other: PathBuf = hierarchy.mount_point.join(&theirs);
        let (mine, other) = (values(&path), values(&other));
        assert_eq!(mine, other, "{}: {}", case.name, path.display());
        files += mine.len();
        changed.extend(mine);
    }
    for (name, value) in case.files {
        let found = changed.iter().find(|(file, _)| file == name).map(|(_, value)| value.as_str());
        if found.is_some() || !name.contains("memsw") {
            assert_eq!(found, Some(*value), "{}: {name}", case.name);
        }
    }
    println!("{}: {files} files", case.name);
    files
}

/// The readable files of a cgroup with their contents, without those that count.
fn values(directory: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("the cgroup is there") {
        let entry = entry.expect("entry");
        let name = entry.file_name().into_string().expect("plain name");
        let counts = COUNTERS.iter().any(|word| name.contains(word));
        if counts || !entry.file_type().expect("type").is_file() {
            continue;
        }
        // A file that cannot be read here is to be unreadable there, too.
        let text = fs::read_to_string(entry.path());
        all.insert(name, text.map_or_else(|e| e.kind().to_string(), |t| t.trim().to_owned()));
    }
    all
}

fn cases() -> Vec<Case> {
    const MEMORY: u64 = 64 << 20;
    vec![
        Case { name: "nothing", ours: Limits::NONE, theirs: |b| b, files: &[] },
        Case {
            name: "memory",
            ours: Limits {
                memory: Some(MEMORY),
                memory_reservation: Some(MEMORY / 2),
                memory_swap: Some(Swap::Total(MEMORY + (MEMORY / 2))),
                ..Limits::NONE
            },
            theirs: |b| {
                let memory = b.memory().memory_hard_limit(MEMORY as i64);
                let memory = memory.memory_soft_limit((MEMORY / 2) as i64);
                match swap_is_accounted() {
                    true => memory.memory_swap_limit((MEMORY + (MEMORY / 2)) as i64).done(),
                    false => memory.done(),
                }
            },
            files: &[
                ("memory.limit_in_bytes", "67108864"),
                ("memory.soft_limit_in_bytes", "33554432"),
                ("memory.memsw.limit_in_bytes", "100663296"),
            ],
        },
        Case {
            name: "pids",
            ours: Limits { pids: Some(17), ..Limits::NONE },
            theirs: |b| b.pid().maximum_number_of_processes(MaxValue::Value(17)).done(),
            files: &[("pids.max", "17")],
        },
        Case {
            name: "cpu",
            ours: Limits {
                cpu_shares: Some(333),
                cpu_quota: Some(20_000),
                cpu_period: Some(50_000),
                ..Limits::NONE
            },
            theirs: |b| b.cpu().shares(333).quota(20_000).period(50_000).done(),
            files: &[
                ("cpu.shares", "333"),
                ("cpu.cfs_quota_us", "20000"),
                ("cpu.cfs_period_us", "50000"),
            ],
        },
        Case {
            name: "cpuset",
            ours: Limits {
                cpuset_cpus: Some("0".into()),
                cpuset_mems: Some("0".into()),
                ..Limits::NONE
            },
            theirs: |b| b.cpu().cpus("0".into()).mems("0".into()).done(),
            files: &[("cpuset.cpus", "0"), ("cpuset.mems", "0")],
        },
    ]
}

fn swap_is_accounted() -> bool {
    let memory = Hierarchies::detect().of("memory").map(|h| h.mount_point.clone());
    memory.is_some_and(|path| path.join("memory.memsw.limit_in_bytes").exists())
}
