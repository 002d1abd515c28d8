//! Parent: entering, freezing, killing and removing, on the kernel itself.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nsinit_cgroups::{Cgroup, Error, Limits};
use rustix::process::{WaitOptions, waitpid};

use crate::jobs::{Job, View, job, name, root, traces, until, whereabouts};
use crate::sys;

/// Every view of this host that has cgroups.
fn views() -> Vec<View> {
    [View::All, View::V1, View::V2].into_iter().filter(|view| view.exists()).collect()
}

/// Those of them in which processes can be frozen.
fn freezing_views() -> Vec<View> {
    let freezer = |view: &View| *view != View::V1 || view.hierarchies().of("freezer").is_some();
    views().into_iter().filter(freezer).collect()
}

/// Each line of a process's whereabouts that the job has a directory for is the job's.
fn is_inside(job: &Job, view: View, test: &str, pid: u32) -> bool {
    let place = format!(":/{}", name(test));
    let lines = whereabouts(pid).lines().filter(|line| line.ends_with(&place)).count();
    // Separate mounts and groups of controllers are one line each.
    lines == job.paths().len()
        && (view != View::All || lines > 1 || view.hierarchies().v1().is_empty())
}

#[test]
fn a_child_that_forks_at_once_is_inside_with_all_its_children() {
    require!(root(), "root");
    for view in views() {
        let test = &format!("forks-{view:?}");
        let job = job(view, test, &Limits::NONE);
        let mut child = job.sh("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; wait");
        until("eleven processes", || job.processes().is_ok_and(|pids| pids.len() == 11));
        for pid in job.processes().expect("processes") {
            assert!(is_inside(&job, view, test, pid), "{view:?}: {}", whereabouts(pid));
        }
        assert!(is_inside(&job, view, test, child.id()));
        job.kill().expect("kill");
        assert_eq!(child.wait().expect("wait").signal(), Some(9));
        assert!(job.is_empty().expect("empty"));
    }
}

#[test]
fn a_child_is_born_in_the_unified_tree() {
    require!(root(), "root");
    only_where!(View::V2.exists(), "v2");
    let job = job(View::V2, "born", &Limits::NONE);
    let entry = job.entry().expect("entry");
    assert!(!entry.needs_child_step());
    let pid = sys::clone_into(entry.clone_into().expect("v2"));
    let number = pid.as_raw_nonzero().get() as u32;
    assert_eq!(job.processes().expect("processes"), [number]);
    job.kill().expect("kill");
    waitpid(Some(pid), WaitOptions::empty()).expect("wait");
}

#[test]
fn the_entry_says_what_the_child_must_do() {
    require!(root(), "root");
    only_where!(View::V1.exists() && View::V2.exists(), "hybrid host");
    for (view, born, step) in
        [(View::All, true, true), (View::V1, false, true), (View::V2, true, false)]
    {
        let job = job(view, &format!("entry-{view:?}"), &Limits::NONE);
        let entry = job.entry().expect("entry");
        assert_eq!((entry.clone_into().is_some(), entry.needs_child_step()), (born, step));
        let writing = job.entry_by_writing().expect("entry");
        assert!(writing.clone_into().is_none() && writing.needs_child_step());
    }
}

/// A child that makes a file longer as long as it runs.
fn ticker(job: &Job, file: &std::path::Path) -> Child {
    let script = "while :; do echo >> \"$FILE\"; sleep 0.01; done";
    job.spawn(Command::new("sh").args(["-c", script]).env("FILE", file)).expect("spawn")
}

#[test]
fn frozen_processes_stand_still_until_thawed() {
    require!(root(), "root");
    for view in freezing_views() {
        let job = job(view, &format!("freeze-{view:?}"), &Limits::NONE);
        let file =
            std::env::temp_dir().join(format!("nsinit-tick-{}-{view:?}", std::process::id()));
        let mut child = ticker(&job, &file);
        let length = || fs::metadata(&file).map_or(0, |found| found.len());
        until("it runs", || length() > 3);
        job.freeze().unwrap_or_else(|e| panic!("{view:?}: {e}"));
        let before = length();
        sleep(Duration::from_millis(150));
        assert_eq!(length(), before, "{view:?}: frozen");
        let entered = job.entry();
        assert!(matches!(entered, Err(Error::State { .. })), "{view:?}: {entered:?}");
        job.thaw().expect("thaw");
        until("it runs again", || length() > before);
        job.freeze().expect("freeze again");
        let start = Instant::now();
        job.kill().unwrap_or_else(|e| panic!("{view:?}: frozen: {e}"));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(child.wait().expect("wait").signal(), Some(9));
        fs::remove_file(&file).expect("clean up");
    }
}

#[test]
fn a_job_that_others_froze_in_its_v1_hierarchy_can_be_killed() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("freezer").is_some(), "v1 freezer");
    for view in [View::All, View::V1] {
        let job = job(view, &format!("frozen1-{view:?}"), &Limits::NONE);
        let mut child = job.sh("while :; do sleep 0.01; done");
        let state = job.dir("freezer").join("freezer.state");
        // Once is not enough: a process that is born meanwhile can leave it at FREEZING.
        until("it is frozen", || {
            fs::write(&state, "FROZEN").expect("freeze");
            job.file("freezer", "freezer.state") == "FROZEN"
        });
        let start = Instant::now();
        job.kill().unwrap_or_else(|e| panic!("{view:?}: {e}"));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(child.wait().expect("wait").signal(), Some(9));
    }
}

#[test]
fn a_job_is_killed_with_what_was_frozen_below_it() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("freezer").is_some(), "v1 freezer");
    let job = job(View::V1, "frozen-below", &Limits::NONE);
    let mut child = job.sh("exec sleep 60");
    let below = job.dir("freezer").join("below");
    fs::create_dir(&below).expect("a cgroup below");
    fs::write(below.join("cgroup.procs"), child.id().to_string()).expect("move");
    fs::write(below.join("freezer.state"), "FROZEN").expect("freeze");
    job.kill().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(child.wait().expect("wait").signal(), Some(9));
}

#[test]
fn an_empty_cgroup_freezes_and_dies_at_once() {
    require!(root(), "root");
    for view in freezing_views() {
        let job = job(view, &format!("empty-{view:?}"), &Limits::NONE);
        job.freeze().unwrap_or_else(|e| panic!("{view:?}: {e}"));
        job.thaw().expect("thaw");
        job.kill().expect("kill");
        job.remove().expect("remove");
        assert!(job.gone());
        job.kill().expect("killed again");
        job.remove().expect("removed again");
    }
}

#[test]
fn a_storm_of_forks_is_killed() {
    require!(root() && View::All.hierarchies().of("pids").is_some(), "root and pids");
    let limits = Limits { pids: Some(1000), ..Limits::NONE };
    let with_pids = |view: &View| view.hierarchies().of("pids").is_some();
    for view in views().into_iter().filter(with_pids) {
        let job = job(view, &format!("storm-{view:?}"), &limits);
        // Twenty shells that fork without end, none of which can fail.
        let script = "f() { while :; do sleep 0.001 & sleep 0.001; done; }
            for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do f & done; wait";
        let mut child = job.sh(script);
        until("it rages", || job.processes().is_ok_and(|pids| pids.len() > 20));
        job.kill().unwrap_or_else(|e| panic!("{view:?}: {e}"));
        assert!(job.is_empty().expect("empty"));
        child.wait().expect("wait");
    }
}

#[test]
fn cgroups_that_the_job_made_below_its_own_go_with_it() {
    require!(root(), "root");
    for view in views() {
        let job = job(view, &format!("nested-{view:?}"), &Limits::NONE);
        let list: Vec<String> = job.paths().iter().map(|p| p.display().to_string()).collect();
        let script = "for d in $DIRS; do mkdir -p $d/a/b/c $d/z
            for f in $d/a/b/c/cpuset.cpus; do [ -e $f ] && echo 0 > $f; done
            echo $$ > $d/a/b/c/cgroup.procs; done; sleep 60 & wait";
        let mut child = job
            .spawn(Command::new("sh").args(["-c", script]).env("DIRS", list.join(" ")))
            .expect("spawn");
        until("it has moved", || {
            let text = whereabouts(child.id());
            text.matches("/a/b/c").count() == list.len()
        });
        assert!(job.processes().expect("processes").contains(&child.id()), "{view:?}");
        let busy = job.remove().expect_err("processes are in it");
        assert!(matches!(busy, Error::Timeout { .. }), "{busy}");
        job.kill().expect("kill");
        child.wait().expect("wait");
        job.remove().unwrap_or_else(|e| panic!("{view:?}: {e}"));
        assert!(job.gone(), "{view:?}");
    }
}

#[test]
fn survivors_stay_where_they_are() {
    require!(root(), "root");
    for view in views() {
        let test = &format!("survivor-{view:?}");
        let job = job(view, test, &Limits::NONE);
        let mut child = job.sh("exec sleep 60");
        let before = whereabouts(child.id());
        let text = job.remove().expect_err("a process is in it").to_string();
        assert!(text.contains(&format!("process {} (S)", child.id())), "{text}");
        assert_eq!(whereabouts(child.id()), before, "{view:?}: moved");
        assert!(is_inside(&job, view, test, child.id()));
        job.kill().expect("kill");
        child.wait().expect("wait");
        job.remove().expect("remove");
        assert!(job.gone() && traces(test).is_empty());
    }
}

#[test]
fn only_processes_of_the_cgroup_are_killed() {
    require!(root(), "root");
    let mut outside = Command::new("sleep").arg("60").spawn().expect("sleep");
    for view in views() {
        let job = job(view, &format!("bystander-{view:?}"), &Limits::NONE);
        let mut inside = job.sh("exec sleep 60");
        job.kill().expect("kill");
        inside.wait().expect("wait");
        assert!(outside.try_wait().expect("wait").is_none(), "{view:?}: a bystander was killed");
    }
    outside.kill().expect("kill");
    outside.wait().expect("wait");
}

#[test]
fn a_state_file_brings_the_cgroup_back() {
    require!(root(), "root");
    for view in views() {
        let job = job(view, &format!("state-{view:?}"), &Limits::NONE);
        let mut child = job.sh("exec sleep 60");
        let (paths, parents) = (job.paths(), job.made_parents());
        assert_eq!(parents.len(), paths.len(), "one parent in each hierarchy");
        let again = Cgroup::open_with_parents(&paths, &parents).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(again.paths(), paths);
        let mut second = again.spawn(Command::new("sleep").arg("60")).expect("join");
        assert!(job.processes().expect("processes").contains(&second.id()));
        assert!(again.stats().expect("stats").cpu.accounted);
        again.kill().expect("kill");
        child.wait().expect("wait");
        second.wait().expect("wait");
        again.remove().expect("remove");
        assert!(job.gone(), "{view:?}");
        assert!(matches!(Cgroup::open(&paths), Err(Error::Gone { .. })));
        assert!(matches!(job.stats(), Err(Error::Gone { .. })), "{:?}", job.stats());
    }
}

#[test]
fn a_cgroup_that_is_gone_in_part_lets_nobody_in_but_can_be_removed() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("memory").is_some(), "v1 memory");
    let job = job(View::All, "part", &Limits::NONE);
    let mut child = job.sh("exec sleep 60");
    job.kill().expect("kill");
    child.wait().expect("wait");
    until("memory is removed", || fs::remove_dir(job.dir("memory")).is_ok());
    let again = Cgroup::open_with_parents(&job.paths(), &job.made_parents()).expect("open");
    assert!(matches!(again.entry(), Err(Error::Gone { .. })));
    assert!(matches!(again.spawn(&mut Command::new("true")), Err(Error::Gone { .. })));
    assert!(job.entry().is_err() || job.spawn(&mut Command::new("true")).is_err());
    again.kill().expect("kill");
    again.remove().expect("remove");
}

#[test]
fn another_cgroup_of_the_same_name_is_left_alone() {
    require!(root(), "root");
    for view in views() {
        let first = job(view, &format!("name-{view:?}"), &Limits::NONE);
        first.paths().iter().for_each(|path| fs::remove_dir(path).expect("rmdir"));
        let second = job(view, &format!("name-{view:?}"), &Limits::NONE);
        first.kill().expect("nothing is left to kill");
        first.remove().expect("nothing is left to remove");
        assert!(second.paths().iter().all(|path| path.exists()), "{view:?}");
        second.remove().expect("remove");
        first.remove().expect("the parent");
    }
}

/// Run again inside a job, so that a defect would end nothing but itself.
#[test]
fn the_caller_does_not_freeze_or_kill_itself() {
    if let Some(paths) = std::env::var_os("NSINIT_TEST_OWN") {
        let paths: Vec<PathBuf> = std::env::split_paths(&paths).collect();
        let own = Cgroup::open(&paths).unwrap_or_else(|e| panic!("{e}"));
        assert!(matches!(own.freeze(), Err(Error::State { .. })));
        assert!(matches!(own.kill(), Err(Error::State { .. })));
        return;
    }
    require!(root(), "root");
    for view in freezing_views() {
        let job = job(view, &format!("own-{view:?}"), &Limits::NONE);
        let mut command = Command::new(std::env::current_exe().expect("own path"));
        command.args(["--exact", "life::the_caller_does_not_freeze_or_kill_itself"]);
        command.env("NSINIT_TEST_OWN", std::env::join_paths(job.paths()).expect("paths"));
        let mut child = job.spawn(command.stdout(Stdio::null())).expect("spawn");
        let start = Instant::now();
        let status = loop {
            match child.try_wait().expect("wait") {
                Some(status) => break Some(status),
                None if start.elapsed() > Duration::from_secs(20) => break None,
                None => sleep(Duration::from_millis(5)),
            }
        };
        assert!(status.is_some_and(|status| status.success()), "{view:?}: {status:?}");
    }
}
