//! Parent: a thread in a network namespace of its own, for a while.

use std::fs::{read_link, read_to_string};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use nsinit_namespaces::{Kinds, in_new_network, unshare};
use rustix::io::Errno;

use crate::As::{Both, Root, User};
use crate::Scenario;

pub(crate) const ALL: &[Scenario] = &[
    ("a_thread_goes_to_a_new_network_and_comes_back", Root, goes_and_comes),
    ("other_threads_stay_in_their_network", Root, others_stay),
    ("a_thread_comes_back_from_a_panic", Root, panics),
    ("signals_do_not_come_in_the_other_network", Root, signals),
    ("other_threads_change_their_ids_meanwhile", Root, others_change_their_ids),
    ("a_network_that_is_refused_changes_nothing", User, refused),
    ("who_could_not_come_back_does_not_go", Both, no_way_back),
];

fn network() -> PathBuf {
    read_link("/proc/thread-self/ns/net").unwrap()
}

fn goes_and_comes() {
    let before = network();
    let (there, links) =
        in_new_network(|| (network(), read_to_string("/proc/thread-self/net/dev"))).unwrap();
    assert_ne!(there, before);
    // Two lines of headings, and the loopback.
    assert_eq!(links.unwrap().lines().count(), 3);
    assert_eq!(network(), before);
}

fn others_stay() {
    let before = network();
    let other = || std::thread::scope(|scope| scope.spawn(network).join().unwrap());
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let stays = scope.spawn(move || told.recv().map(|()| network()).unwrap());
        in_new_network(|| tell.send(())).unwrap().unwrap();
        assert_eq!(stays.join().unwrap(), before);
    });
    assert_eq!(other(), before);
}

fn panics() {
    let before = network();
    let panicking = || in_new_network(|| panic!("for the test"));
    assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
    assert_eq!(network(), before);
}

fn signals() {
    let blocked = || {
        let status = read_to_string("/proc/thread-self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap()
    };
    let before = blocked();
    // All but SIGKILL and SIGSTOP, which nobody can block, and the C library's own.
    let library = 0b111 << 31;
    assert_eq!(!in_new_network(blocked).unwrap(), 1 << 8 | 1 << 18 | library);
    assert_eq!(blocked(), before);
}

/// setgid(2) of the C library has every thread change, and waits for all.
fn others_change_their_ids() {
    let (tell, told) = std::sync::mpsc::channel();
    let changed = in_new_network(|| {
        std::thread::spawn(move || {
            crate::sys::set_own_gid();
            tell.send(()).unwrap();
        });
        told.recv_timeout(std::time::Duration::from_secs(5))
    });
    changed.unwrap().unwrap();
}

fn refused() {
    let before = network();
    assert_eq!(in_new_network(|| unreachable!()).unwrap_err(), Errno::PERM);
    assert_eq!(network(), before);
}

/// Root of a user namespace of its own may make a network, but is nobody in the one before.
fn no_way_back() {
    unshare(Kinds::USER).unwrap();
    refused();
}
