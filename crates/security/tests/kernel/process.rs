//! Both: the other attributes of a process, on the real kernel.

use std::fs::{self, File};
use std::os::fd::AsFd;

use crate::child::{self, is_child, require_root, status, status_of_program, value};
use crate::sys::{self, without_allocation};
use nsinit_security::{
    CallFilter, Capability, CapabilitySet, Confinement, Error, Groups, Lsm, Module, Resource,
    Rlimit, User,
};
use rustix::io::Errno;
use rustix::process::Signal;

#[test]
fn no_new_privileges_holds_over_execve() {
    if !is_child() {
        return child::run_as_nobody("process::no_new_privileges_holds_over_execve");
    }
    assert_eq!(status("NoNewPrivs"), "0");
    without_allocation(nsinit_security::no_new_privileges).unwrap();
    assert_eq!(value(&status_of_program(), "NoNewPrivs"), "1");
}

#[test]
fn the_session_keyring_is_another_one() {
    if !is_child() {
        return child::run_as_nobody("process::the_session_keyring_is_another_one");
    }
    let before = sys::session_keyring();
    without_allocation(nsinit_security::new_session_keyring).unwrap();
    let after = sys::session_keyring();
    assert!(after > 0 && after != before, "{before} {after}");
}

#[test]
fn the_umask_is_exact() {
    if !is_child() {
        return child::run_as_nobody("process::the_umask_is_exact");
    }
    for mask in [0o777, 0, 0o027] {
        without_allocation(|| nsinit_security::set_umask(mask));
        assert_eq!(value(&status_of_program(), "Umask"), format!("{mask:04o}"));
    }
}

#[test]
fn rlimits_are_exact() {
    if !is_child() {
        return child::run_as_nobody("process::rlimits_are_exact");
    }
    for resource in Resource::ALL {
        let (soft, hard) = resource.current();
        let same = Rlimit { resource: *resource, soft, hard };
        assert_eq!(without_allocation(|| same.apply()), Ok(()), "{resource}");
        assert!(!same.exceeds_caller(), "{resource}");
    }
    let limit = Rlimit { resource: Resource::Nofile, soft: Some(100), hard: Some(200) };
    limit.apply().unwrap();
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["100", "200"]);

    let higher = Rlimit { hard: Some(201), ..limit };
    assert!(higher.exceeds_caller());
    assert_eq!(higher.apply(), Err(Errno::PERM));
    let crossed = Rlimit { soft: Some(200), hard: Some(100), ..limit };
    assert_eq!(crossed.apply(), Err(Errno::INVAL));
}

#[test]
fn the_oom_score_is_written_below_the_procfs_given() {
    if !is_child() {
        return child::run_as_nobody("process::the_oom_score_is_written_below_the_procfs_given");
    }
    let (proc, root) = (File::open("/proc").unwrap(), File::open("/").unwrap());
    let write = |file: &File, value| {
        without_allocation(|| nsinit_security::write_oom_score_adj(file.as_fd(), value))
    };
    assert_eq!(write(&proc, 517), Ok(()));
    assert_eq!(fs::read_to_string("/proc/self/oom_score_adj").unwrap(), "517\n");
    assert_eq!(write(&proc, 1001), Err(Errno::INVAL));
    assert_eq!(write(&proc, -1000), Err(Errno::ACCESS));
    assert_eq!(write(&root, 5), Err(Errno::XDEV));
}

#[test]
fn a_change_of_the_user_clears_the_parent_death_signal() {
    require_root!("changes the user");
    if !is_child() {
        return child::run("process::a_change_of_the_user_clears_the_parent_death_signal");
    }
    let signal = || rustix::process::parent_process_death_signal().unwrap();
    let set = || nsinit_security::parent_death_signal(Some(Signal::KILL));
    without_allocation(set).unwrap();
    assert_eq!(signal(), Some(Signal::KILL));
    let user = User { uid: 1000, gid: 1000, ..User::default() };
    user.apply(Groups::Set).unwrap();
    assert_eq!(signal(), None);
    without_allocation(set).unwrap();
    assert_eq!(signal(), Some(Signal::KILL));
    nsinit_security::parent_death_signal(None).unwrap();
    assert_eq!(signal(), None);
}

#[test]
fn dumpable_is_switched() {
    if !is_child() {
        return child::run_as_nobody("process::dumpable_is_switched");
    }
    use rustix::process::DumpableBehavior::{Dumpable, NotDumpable};
    for (dumpable, behaviour) in [(false, NotDumpable), (true, Dumpable)] {
        without_allocation(|| nsinit_security::set_dumpable(dumpable)).unwrap();
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), behaviour);
    }
}

#[test]
fn everything_in_one_lock() {
    require_root!("changes the user");
    if !is_child() {
        return child::run("process::everything_in_one_lock");
    }
    let core = Rlimit { resource: Resource::Core, soft: Some(0), hard: Some(0) };
    let lock = Confinement {
        capabilities: Some(CapabilitySet::from(Capability::NetBindService)),
        no_new_privileges: true,
        user: Some(User { uid: 33, gid: 34, groups: vec![34, 8], ..User::default() }),
        rlimits: vec![core],
        umask: Some(0o077),
        new_session_keyring: true,
        oom_score_adj: Some(300),
        ..Confinement::NONE
    }
    .prepare()
    .unwrap();
    let keyring = sys::session_keyring();
    without_allocation(|| lock.apply()).unwrap();
    let program = status_of_program();
    let fields = [
        ("Uid", "33 33 33 33"),
        ("Gid", "34 34 34 34"),
        ("Groups", "8 34"),
        ("NoNewPrivs", "1"),
        ("Umask", "0077"),
        ("CapBnd", "0000000000000400"),
        ("CapPrm", "0000000000000400"),
        ("CapEff", "0000000000000400"),
        ("CapAmb", "0000000000000400"),
    ];
    for (field, expected) in fields {
        assert_eq!((field, value(&program, field).as_str()), (field, expected));
    }
    assert_eq!(Resource::Core.current(), (Some(0), Some(0)));
    assert_ne!(sys::session_keyring(), keyring);
    assert_eq!(fs::read_to_string("/proc/self/oom_score_adj").unwrap(), "300\n");
}

#[test]
fn a_lock_filters_system_calls_for_root_and_nobody() {
    const NAME: &str = "process::a_lock_filters_system_calls_for_root_and_nobody";
    if !is_child() {
        child::run_as_nobody(NAME);
        return child::run(NAME);
    }
    // Without no_new_privs it takes a privilege.
    let privileged = rustix::process::geteuid().is_root();
    let lock = Confinement {
        call_filter: Some(CallFilter::of_container(false).unwrap()),
        no_new_privileges: !privileged,
        ..Confinement::NONE
    };
    let lock = lock.prepare().unwrap();
    assert_eq!(status("Seccomp"), "0");
    without_allocation(|| lock.apply()).unwrap();
    assert_eq!(status("Seccomp"), "2");
}

#[test]
fn a_lock_with_a_user_alone_leaves_no_capability() {
    require_root!("changes the user");
    if !is_child() {
        return child::run("process::a_lock_with_a_user_alone_leaves_no_capability");
    }
    // A caller that left this on must not make a difference.
    rustix::thread::set_keep_capabilities(true).unwrap();
    let user = User { uid: 33, gid: 34, groups: vec![34], ..User::default() };
    let lock = Confinement { user: Some(user), ..Confinement::NONE }.prepare().unwrap();
    lock.apply().unwrap();
    assert_eq!((status("CapPrm"), status("CapEff")), ("0".repeat(16), "0".repeat(16)));
}

#[test]
fn nobody_is_told_which_capability_is_missing() {
    if !is_child() {
        return child::run_as_nobody("process::nobody_is_told_which_capability_is_missing");
    }
    let capabilities = Some(CapabilitySet::from(Capability::NetRaw));
    let told = Confinement { capabilities, ..Confinement::NONE }.prepare().unwrap_err();
    assert_eq!(
        told.to_string(),
        "capabilities SETPCAP NET_RAW: the caller does not have them itself"
    );
    let umask = Confinement { umask: Some(0), oom_score_adj: Some(9), ..Confinement::NONE };
    let lock = umask.prepare().unwrap();
    assert_eq!(without_allocation(|| lock.apply()), Ok(()));
}

/// On a machine with neither module, which the virtual machines complement.
#[test]
fn a_label_for_a_module_that_is_off_is_an_error() {
    let lsm = Lsm::init().unwrap();
    if !lsm.enabled().contains(&Module::Selinux) {
        let asked = "system_u:system_r:container_t:s0:c1,c2";
        let told = lsm.selinux().and_then(|selinux| selinux.exec_label(asked)).unwrap_err();
        assert!(matches!(&told, Error::Disabled { asked: label, .. } if label == asked));
        assert_eq!(
            told.to_string(),
            format!("SELinux is not enabled on this host, but label \"{asked}\" was asked for")
        );
    }
    if !lsm.enabled().contains(&Module::AppArmor) {
        let told = lsm.apparmor().and_then(|apparmor| apparmor.exec_profile("nsinit-default"));
        assert_eq!(
            told.unwrap_err().to_string(),
            "AppArmor is not enabled on this host, but profile \"nsinit-default\" was asked for"
        );
    }
}
