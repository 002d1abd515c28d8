//! Parent: a process that does something for another one meanwhile.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use nsinit_namespaces::{Kinds, Task, unshare};
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, kill_process, setrlimit, wait,
};
use rustix::system::{sethostname, uname};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity, sched_yield};

use crate::As::{Both, Root, User};
use crate::Scenario;
use crate::scene::require;
use crate::sys::helper;

pub(crate) const ALL: &[Scenario] = &[
    ("a_helper_has_namespaces_of_its_own", Root, namespaces),
    ("a_helper_that_is_not_asked_ends_all_the_same", Both, dropped),
    ("work_is_done_once_whoever_comes_first", Both, race),
    ("a_helper_that_is_killed_is_missed", Both, killed),
    ("with_one_processor_the_caller_works", Both, one_processor),
    ("without_room_for_a_process_the_caller_works", User, no_process),
];

fn no_child_is_left() {
    assert_eq!(wait(WaitOptions::NOHANG).unwrap_err(), Errno::CHILD);
}

/// Waits until somebody has changed it.
fn until_set(number: &AtomicU32) {
    while number.load(Relaxed) == 0 {
        sched_yield();
    }
}

fn namespaces() {
    require!(sched_getaffinity(None).unwrap().count() > 1, "two processors");
    unshare(Kinds::UTS).unwrap();
    sethostname(b"caller").unwrap();
    let begun = AtomicU32::new(0);
    let task = Task::new(|| -> Result<Pid, Errno> {
        begun.store(1, Relaxed);
        unshare(Kinds::UTS)?;
        sethostname(b"helper")?;
        Ok(getpid())
    });
    let helper = helper(&task);
    until_set(&begun);
    let pid = helper.finish().0.unwrap().unwrap();
    assert_ne!(pid, getpid());
    assert_eq!(uname().nodename(), c"caller");
    no_child_is_left();
}

fn dropped() {
    let done = AtomicU32::new(0);
    for _ in 0..100 {
        let task = Task::new(|| done.fetch_add(1, Relaxed));
        drop(helper(&task));
        no_child_is_left();
    }
}

fn race() {
    let done = AtomicU32::new(0);
    for round in 0..300 {
        let task = Task::new(|| done.fetch_add(1, Relaxed));
        let helper = helper(&task);
        for _ in 0..round % 30 {
            sched_yield();
        }
        assert_eq!(helper.finish().0, Some(round));
        no_child_is_left();
    }
    assert_eq!(done.into_inner(), 300);
}

fn killed() {
    require!(sched_getaffinity(None).unwrap().count() > 1, "two processors");
    let begun = AtomicU32::new(0);
    let task = Task::new(|| {
        begun.store(1, Relaxed);
        kill_process(getpid(), Signal::KILL)
    });
    let helper = helper(&task);
    until_set(&begun);
    assert_eq!(helper.finish().0, None);
    no_child_is_left();
}

fn one_processor() {
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    sched_setaffinity(None, &here).unwrap();
    let task = Task::new(getpid);
    assert_eq!(helper(&task).finish().0, Some(getpid()));
}

fn no_process() {
    setrlimit(Resource::Nproc, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    let task = Task::new(getpid);
    assert_eq!(helper(&task).finish().0, Some(getpid()));
}
