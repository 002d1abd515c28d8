//! Parent: where cgroups are made and opened, and where they are not.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nsinit_cgroups::{Cgroup, Error, Hierarchies, Limits, Mode};

use crate::jobs::{View, create, job, name, root, traces};

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for path in ["../x", "/..", "a/../../x", "a/./b", "", "/a", "a\nb", "../nsinit-testx", "a//b"] {
        let error = Cgroup::create(path, &Limits::NONE).map(drop).expect_err(path);
        assert!(matches!(error, Error::Path { .. }), "{path:?}: {error}");
    }
}

#[test]
fn a_failure_removes_everything_that_was_made() {
    require!(root() && View::All.hierarchies().of("pids").is_some(), "root and pids");
    // The kernel takes no such number, and only the kernel knows.
    let limits = Limits { pids: Some(u64::MAX), ..Limits::NONE };
    let error = create(View::All, "rollback", &limits).map(drop).expect_err("too many");
    let text = error.to_string();
    assert!(text.contains("pids.max: write 18446744073709551615: "), "{text}");
    assert!(!text.contains("os error"), "{text}");
    assert_eq!(traces("rollback"), Vec::<PathBuf>::new());
}

#[test]
fn a_failure_leaves_what_was_there() {
    require!(root() && View::All.hierarchies().of("pids").is_some(), "root and pids");
    let first = job(View::All, "keep", &Limits::NONE);
    let beside = name("keep").replace("/job", "/other");
    let limits = Limits { pids: Some(u64::MAX), ..Limits::NONE };
    Cgroup::create(&beside, &limits).map(drop).expect_err("too many");
    for path in first.paths() {
        assert!(path.exists() && !path.with_file_name("other").exists(), "{path:?}");
    }
}

#[test]
fn an_existing_cgroup_is_not_taken_over() {
    require!(root(), "root");
    let first = job(View::All, "taken", &Limits::NONE);
    let mut child = first.sh("exec sleep 60");
    match create(View::All, "taken", &Limits::NONE).map(|_| ()) {
        Err(Error::Exists { processes: 1, path }) => assert!(first.paths().contains(&path)),
        other => panic!("{other:?}"),
    }
    assert_eq!(first.processes().expect("processes"), [child.id()]);
    first.kill().expect("kill");
    child.wait().expect("wait");
}

#[test]
fn a_parent_is_shared_and_goes_with_the_last() {
    require!(root(), "root");
    let first = job(View::All, "shared", &Limits::NONE);
    let beside = name("shared").replace("/job", "/other");
    let second = Cgroup::create(&beside, &Limits::NONE).expect("create");
    first.remove().expect("a parent in use stays");
    assert!(second.paths().iter().all(|path| path.exists()));
    Cgroup::open(&second.paths()).expect("open").remove().expect("remove");
    assert!(first.gone());
}

#[test]
fn a_parent_that_was_there_before_stays() {
    require!(root(), "root");
    let hierarchies = Hierarchies::detect();
    let top = format!("nsinit-test-{}-before", std::process::id());
    let all = hierarchies.v1().iter().chain(hierarchies.v2());
    let parents: Vec<PathBuf> = all.map(|h| h.mount_point.join(&top)).collect();
    parents.iter().for_each(|path| fs::create_dir(path).expect("mkdir"));
    let cgroup = Cgroup::create(&format!("{top}/job"), &Limits::NONE).expect("create");
    assert!(cgroup.made_parents().is_empty());
    cgroup.remove().expect("remove");
    assert!(parents.iter().all(|path| path.exists()));
    parents.iter().for_each(|path| fs::remove_dir(path).expect("rmdir"));
}

#[test]
fn only_cgroups_are_opened() {
    require!(root() && View::All.exists(), "root");
    let hierarchies = Hierarchies::detect();
    let mount =
        hierarchies.v1().iter().chain(hierarchies.v2()).next().expect("one").mount_point.clone();
    let refused = [
        (PathBuf::from("/tmp"), "not on a cgroup file system"),
        (mount.clone(), "the root of a hierarchy"),
        (mount.join("x/.."), "not an absolute path without \"..\""),
        (PathBuf::from("relative"), "not an absolute path without \"..\""),
    ];
    for (path, reason) in refused {
        let error = Cgroup::open(std::slice::from_ref(&path)).map(drop).expect_err(reason);
        assert_eq!(error.to_string(), format!("{}: {reason}", path.display()));
    }
    let missing = Cgroup::open(&[mount.join("nsinit-test-none")]).map(drop);
    assert!(matches!(missing, Err(Error::Gone { .. })), "{missing:?}");
    assert!(Cgroup::open(&[]).is_err());
}

#[test]
fn a_host_without_cgroups_is_an_error_that_says_why() {
    let none = Hierarchies::parse("", "0::/\n", "");
    assert_eq!(none.mode(), Mode::None);
    match Cgroup::create_on(&none, "a/b", &Limits::NONE).map(drop) {
        Err(Error::Unavailable { reason }) => assert!(reason.contains("mountinfo"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_threaded_parent_is_named() {
    require!(root(), "root");
    only_where!(View::V2.exists(), "v2");
    let first = job(View::V2, "threaded", &Limits::NONE);
    let threads = first.dir("v2").join("threads");
    fs::create_dir(&threads).expect("mkdir");
    fs::write(threads.join("cgroup.type"), "threaded").expect("threaded");
    let below = format!("{}/threads/job", name("threaded"));
    match Cgroup::create_on(&View::V2.hierarchies(), &below, &Limits::NONE).map(drop) {
        Err(Error::State { state, .. }) => assert_eq!(state, "domain threaded"),
        other => panic!("{other:?}"),
    }
    assert!(!threads.join("job").exists());
}

/// The user of the tests below, who owns nothing.
const NOBODY: u32 = 65534;

/// Runs one test of this file again as that user, in the cgroup `own` if given.
fn as_nobody(test: &str, own: Option<&Path>) -> String {
    // By this link, because the directories above may be closed to that user.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).uid(NOBODY).gid(NOBODY);
    command.env("NSINIT_TEST_AS_NOBODY", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = match own {
        Some(path) => {
            let cgroup = Cgroup::open(&[path.to_owned()]).unwrap_or_else(|e| panic!("{e}"));
            cgroup.spawn(&mut command).unwrap_or_else(|e| panic!("{e}"))
        }
        None => command.spawn().expect("the test itself, as another user"),
    };
    let output = child.wait_with_output().expect("output");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn is_nobody() -> bool {
    std::env::var_os("NSINIT_TEST_AS_NOBODY").is_some()
}

#[test]
fn a_user_without_delegation_is_told_how_to_get_it() {
    if is_nobody() {
        let error = Cgroup::create("nsinit-test/job", &Limits::NONE).map(drop).expect_err("denied");
        assert!(matches!(error, Error::NotDelegated { .. }), "{error}");
        let hint = error.hint().expect("a hint");
        assert!(hint.contains("systemd-run --user --scope -p Delegate=yes"), "{hint}");
        println!("refused as it should be");
        return;
    }
    require!(root(), "root, to become another user");
    let text = as_nobody("place::a_user_without_delegation_is_told_how_to_get_it", None);
    assert!(text.contains("refused as it should be"), "{text}");
}

#[test]
fn a_user_makes_jobs_below_the_nearest_cgroup_that_is_delegated() {
    if is_nobody() {
        let own = View::V2.hierarchies().v2().and_then(|v2| v2.own.clone()).expect("own");
        let job = job(View::V2, "below", &Limits::NONE);
        assert_eq!(job.paths(), [own.parent().expect("parent").join(name("below"))]);
        let mut child = job.sh("exec sleep 60");
        assert_eq!(job.processes().expect("processes"), [child.id()]);
        job.kill().expect("kill");
        child.wait().expect("wait");
        job.remove().expect("remove");
        assert!(job.gone());
        let limits = Limits { memory: Some(1 << 20), ..Limits::NONE };
        match create(View::V2, "below", &limits).map(|_| ()) {
            // The one above did not pass it on.
            Err(Error::Controller { name: "memory", .. }) => {}
            other => panic!("{other:?}"),
        }
        println!("below the delegated one");
        return;
    }
    require!(root(), "root");
    only_where!(View::V2.exists(), "v2");
    let delegated = job(View::V2, "delegated", &Limits::NONE);
    let dir = delegated.dir("v2");
    for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        chown(dir.join(file), Some(NOBODY), Some(NOBODY)).expect("chown");
    }
    let own = dir.join("session");
    fs::create_dir(&own).expect("mkdir");
    let test = "place::a_user_makes_jobs_below_the_nearest_cgroup_that_is_delegated";
    let text = as_nobody(test, Some(&own));
    assert!(text.contains("below the delegated one"), "{text}");
}

/// Runs one test of this file again in a mount namespace of its own, after a script.
fn with_mounts(test: &str, script: &str) {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c"]).arg(format!("{script} && exec \"$0\" \"$@\""));
    command.arg(std::env::current_exe().expect("own path"));
    command.args(["--exact", test, "--nocapture"]).env("NSINIT_TEST_MOUNTS", "1");
    let output = command.output().expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{error}");
}

#[test]
fn a_hierarchy_that_is_hidden_is_done_without_unless_a_limit_needs_it() {
    let test = "place::a_hierarchy_that_is_hidden_is_done_without_unless_a_limit_needs_it";
    require!(root(), "root");
    only_where!(View::V1.hierarchies().v1().len() > 1 || hidden(), "several v1 hierarchies");
    if !hidden() {
        let pids = View::V1.hierarchies().of("pids").map(|h| h.mount_point.clone());
        only_where!(pids.is_some(), "v1 pids");
        let mount = pids.expect("pids").display().to_string();
        with_mounts(test, &format!("mount -t tmpfs none {mount}"));
        with_mounts(test, &format!("umount {mount}"));
        with_mounts(test, &format!("mount -o remount,bind,ro {mount}"));
        return;
    }
    let job = job(View::V1, "hidden", &Limits::NONE);
    assert!(job.paths().iter().all(|path| !path.display().to_string().contains("pids")));
    let limits = Limits { pids: Some(9), ..Limits::NONE };
    match create(View::V1, "hidden2", &limits).map(|_| ()) {
        Err(Error::Controller { name: "pids", .. }) => {}
        Err(Error::NotDelegated { needed, .. }) => assert_eq!(needed, ["pids"]),
        other => panic!("{other:?}"),
    }
    assert!(traces("hidden2").is_empty());
}

#[test]
fn a_host_whose_hierarchies_are_all_hidden_says_so() {
    require!(root() && View::All.exists() || hidden(), "root");
    if !hidden() {
        let hierarchies = Hierarchies::detect();
        let all = hierarchies.v1().iter().chain(hierarchies.v2());
        let mounts = all.map(|h| h.mount_point.clone()).collect::<Vec<_>>();
        only_where!(mounts.iter().all(|m| m.starts_with("/sys/fs/cgroup")), "the usual mounts");
        let test = "place::a_host_whose_hierarchies_are_all_hidden_says_so";
        return with_mounts(test, "mount -t tmpfs none /sys/fs");
    }
    assert_eq!(Hierarchies::detect().mode(), Mode::None);
    match Cgroup::create(&name("allhidden"), &Limits::NONE).map(drop) {
        Err(Error::Unavailable { reason }) => assert!(reason.contains("hide"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

fn hidden() -> bool {
    std::env::var_os("NSINIT_TEST_MOUNTS").is_some()
}
