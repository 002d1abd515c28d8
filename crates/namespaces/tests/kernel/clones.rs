//! Both: clone3 and the process that comes of it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nsinit_namespaces::{CloneRequest, IdMaps, Kinds, Namespace};
use rustix::process::{Signal, WaitOptions, getpid, getppid};

use crate::As::{Both, Root};
use crate::scene::{code, descriptors, host_name, mapped, number, own, require, status_field};
use crate::{Scenario, sys};

pub(crate) const ALL: &[Scenario] = &[
    ("a_new_host_name_stays_inside", Both, a_new_host_name_stays_inside),
    ("the_first_process_of_a_pid_namespace_is_1", Both, pid_1),
    ("every_kind_is_new_in_the_child", Both, every_kind_is_new),
    ("clones_among_allocating_threads_neither_hang_nor_leak", Both, among_threads),
    ("a_child_is_born_in_its_cgroup", Root, born_in_a_cgroup),
    ("a_sibling_belongs_to_the_parent", Both, a_sibling),
    ("signals_are_blocked_in_the_child_and_restored", Both, signals),
    ("an_ignored_sigchld_does_not_lose_the_status", Both, ignored_sigchld),
    ("a_panic_in_the_child_does_not_reach_the_parents_code", Both, a_panic),
    ("a_child_that_allocates_is_noticed", Both, the_guard),
    ("a_process_can_be_killed_and_waited_for_twice", Both, killed),
];

fn plain() -> CloneRequest<'static> {
    CloneRequest::default()
}

fn a_new_host_name_stays_inside() {
    let before = host_name();
    let child = mapped(Kinds::UTS, &IdMaps::caller_as_root(), || {
        rustix::system::sethostname(b"inside").unwrap();
        assert!(rustix::process::getuid().is_root() && rustix::process::getgid().is_root());
        i32::from(host_name() != "inside")
    });
    assert_eq!(code(&child), 0);
    assert_eq!(host_name(), before);
    assert_ne!(before, "inside");
}

fn pid_1() {
    let child = mapped(Kinds::PID, &IdMaps::caller_as_root(), || i32::from(!getpid().is_init()));
    assert_ne!(number(child.pid()), 1);
    assert_eq!(code(&child), 0);
}

fn every_kind_is_new() {
    let outside = Namespace::ALL.map(own);
    let child = mapped(Kinds::ALL, &IdMaps::caller_as_root(), || {
        let same = Namespace::ALL.into_iter().zip(&outside).find(|(kind, old)| own(*kind) == **old);
        assert_eq!(same, None);
        0
    });
    assert_eq!(code(&child), 0);
    assert_eq!(Namespace::ALL.map(own), outside);
}

fn among_threads() {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for size in 1..=8_usize {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    std::hint::black_box(vec![0_u8; size * 1000]);
                }
            });
        }
        let before = descriptors();
        for round in 0..200 {
            let child =
                sys::quiet_child(&plain(), || i32::from(getppid().is_none() || round > 255));
            assert_eq!(code(&child.unwrap()), 0, "round {round}");
        }
        assert_eq!(descriptors(), before);
        done.store(true, Relaxed);
    });
}

/// A directory of a cgroup v2 hierarchy that we may make cgroups in.
fn cgroup2() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let found = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
    found.split(' ').nth(1).map(PathBuf::from)
}

fn born_in_a_cgroup() {
    let top = cgroup2();
    require!(top.is_some(), "a cgroup v2 hierarchy");
    let name = format!("nsinit-namespaces-test-{}", std::process::id());
    let cgroup = top.unwrap().join(&name);
    require!(std::fs::create_dir(&cgroup).is_ok(), "a writable cgroup v2 hierarchy");
    let directory = std::fs::File::open(&cgroup).unwrap();
    let request = CloneRequest {
        into_cgroup: Some(std::os::fd::AsFd::as_fd(&directory)),
        ..CloneRequest::default()
    };
    let child = sys::child(&request, || {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        i32::from(!own.lines().any(|line| line.starts_with("0::") && line.ends_with(&name)))
    });
    let outcome = child.map(|child| child.wait().unwrap().code());
    std::fs::remove_dir(&cgroup).unwrap();
    assert_eq!(outcome.unwrap(), Some(0));
}

fn a_sibling() {
    let parent = getpid();
    let middle = sys::child(&plain(), || {
        let request = CloneRequest { sibling: true, ..plain() };
        let is_a_sibling = || if getppid() == Some(parent) { 7 } else { 8 };
        let sibling = sys::child(&request, is_a_sibling).unwrap();
        i32::from(sibling.wait().is_ok())
    });
    assert_eq!(code(&middle.unwrap()), 0);
    let (_, status) = rustix::process::wait(WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(7));
}

fn signals() {
    sys::handle_sigusr1();
    sys::block_sigusr2();
    let usr2 = 1_u64 << 11;
    let caught = status_field("SigCgt:");
    let mask = |name| u64::from_str_radix(&status_field(name), 16).unwrap();
    let child = sys::child(&plain(), || {
        assert_eq!(mask("SigCgt:"), 0);
        // SIGKILL and SIGSTOP cannot be blocked; all else is, with the two
        // signals that the C library keeps for itself.
        assert_eq!(mask("SigBlk:"), !((1 << 8) | (1 << 18)));
        0
    });
    assert_eq!(code(&child.unwrap()), 0);
    assert_eq!((mask("SigBlk:"), status_field("SigCgt:")), (usr2, caught));
    // Restored after a failure too: a descriptor that is no cgroup.
    let file = std::fs::File::open("/proc/self/status").unwrap();
    let into_cgroup = Some(std::os::fd::AsFd::as_fd(&file));
    sys::quiet_child(&CloneRequest { into_cgroup, ..plain() }, || 0).unwrap_err();
    assert_eq!(mask("SigBlk:"), usr2);
}

fn ignored_sigchld() {
    sys::ignore_sigchld();
    assert_eq!(code(&sys::child(&plain(), || 9).unwrap()), 9);
    sys::children_are_no_zombies();
    assert_eq!(code(&sys::child(&plain(), || 10).unwrap()), 10);
}

fn the_guard() {
    let child = sys::quiet_child(&plain(), || {
        std::hint::black_box(vec![1]);
        0
    });
    assert_eq!(code(&child.unwrap()), sys::ALLOCATED);
}

fn a_panic() {
    let Ok(child) = std::panic::catch_unwind(sys::panicking_child) else {
        // Only the child can come here.
        sys::exit(55)
    };
    assert_eq!(code(&child.unwrap()), 101);
}

fn killed() {
    let child = sys::quiet_child(&plain(), || {
        loop {
            let _ = rustix::thread::nanosleep(&rustix::fs::Timespec { tv_sec: 60, tv_nsec: 0 });
        }
    })
    .unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill(Signal::KILL).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert_eq!((child.wait().unwrap(), child.try_wait().unwrap()), (status, Some(status)));
    assert_eq!(child.kill(Signal::KILL), Err(rustix::io::Errno::SRCH));
}
