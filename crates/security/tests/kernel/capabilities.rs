//! Both: capability sets and users on the real kernel; each test confines a process of its own.

use crate::child::{self, is_child, require_root, status, status_of_program, value};
use crate::sys::without_allocation;
use nsinit_security::{Capabilities, Capability, CapabilitySet, Groups, User};
use rustix::io::Errno;

const THREE: [Capability; 3] = [Capability::Chown, Capability::Kill, Capability::NetBindService];

fn three() -> CapabilitySet {
    THREE.into_iter().collect()
}

fn hex(set: CapabilitySet) -> String {
    format!("{:016x}", set.bits())
}

/// What the caps crate reads: the oracle.
fn read(which: caps::CapSet) -> CapabilitySet {
    let set = caps::read(None, which).unwrap();
    set.iter().map(|capability| capability.to_string().parse::<Capability>().unwrap()).collect()
}

fn read_all() -> Capabilities {
    Capabilities {
        bounding: read(caps::CapSet::Bounding),
        permitted: read(caps::CapSet::Permitted),
        effective: read(caps::CapSet::Effective),
        inheritable: read(caps::CapSet::Inheritable),
        ambient: read(caps::CapSet::Ambient),
    }
}

fn someone() -> User {
    User { uid: 1000, gid: 1001, groups: vec![1001, 27, 5], ..User::default() }
}

#[test]
fn roots_sets_are_exact_and_hold_over_execve() {
    require_root!("drops capabilities from the bounding set");
    if !is_child() {
        return child::run("capabilities::roots_sets_are_exact_and_hold_over_execve");
    }
    let sets = Capabilities::root(CapabilitySet::CONTAINER);
    without_allocation(|| {
        sets.drop_bounding()?;
        sets.apply()?;
        sets.verify()
    })
    .unwrap();
    assert_eq!(read_all(), sets);
    let (program, eleven) = (status_of_program(), hex(CapabilitySet::CONTAINER));
    for (field, expected) in [("CapBnd", &eleven), ("CapPrm", &eleven), ("CapEff", &eleven)] {
        assert_eq!((field, &value(&program, field), &status(field)), (field, expected, expected));
    }
    for field in ["CapInh", "CapAmb"] {
        assert_eq!(value(&program, field), hex(CapabilitySet::NONE), "{field}");
    }
}

#[test]
fn another_user_keeps_the_named_ones_over_execve() {
    require_root!("changes the user");
    if !is_child() {
        return child::run("capabilities::another_user_keeps_the_named_ones_over_execve");
    }
    let (sets, user) = (Capabilities::user(three()), someone());
    without_allocation(|| {
        sets.drop_bounding()?;
        user.apply(Groups::Set)?;
        sets.apply()?;
        nsinit_security::no_new_privileges()?;
        sets.verify()
    })
    .unwrap();
    assert_eq!(read_all(), sets);
    assert!(!rustix::thread::get_keep_capabilities().unwrap());
    let program = status_of_program();
    for field in ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(value(&program, field), hex(three()), "{field}");
    }
    assert_eq!(value(&program, "Uid"), "1000 1000 1000 1000");
    assert_eq!(value(&program, "Gid"), "1001 1001 1001 1001");
    assert_eq!(value(&program, "Groups"), "5 27 1001");
    assert_eq!(value(&program, "NoNewPrivs"), "1");
}

#[test]
fn another_user_without_named_ones_has_none() {
    require_root!("changes the user");
    if !is_child() {
        return child::run("capabilities::another_user_without_named_ones_has_none");
    }
    let sets = Capabilities {
        bounding: CapabilitySet::CONTAINER,
        ..Capabilities::user(CapabilitySet::NONE)
    };
    let apply = || {
        sets.drop_bounding()?;
        someone().apply(Groups::Set)?;
        sets.apply()?;
        sets.verify()
    };
    apply().unwrap();
    assert_eq!(read_all(), sets);
    let program = status_of_program();
    for field in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(value(&program, field), hex(CapabilitySet::NONE), "{field}");
    }
    assert_eq!(rustix::fs::chown("/", Some(rustix::fs::Uid::ROOT), None), Err(Errno::PERM));
}

/// Without Capabilities::apply, an execve alone takes what was kept.
#[test]
fn kept_capabilities_do_not_reach_a_program_by_themselves() {
    require_root!("changes the user");
    if !is_child() {
        return child::run("capabilities::kept_capabilities_do_not_reach_a_program_by_themselves");
    }
    someone().apply(Groups::Set).unwrap();
    assert!(!read(caps::CapSet::Permitted).is_empty());
    assert_eq!(read(caps::CapSet::Effective), CapabilitySet::NONE);
    assert_eq!(value(&status_of_program(), "CapPrm"), hex(CapabilitySet::NONE));
}

#[test]
fn verify_sees_a_difference_in_each_of_the_five() {
    require_root!("drops capabilities from the bounding set");
    if !is_child() {
        return child::run("capabilities::verify_sees_a_difference_in_each_of_the_five");
    }
    let sets = Capabilities { bounding: CapabilitySet::CONTAINER, ..Capabilities::user(three()) };
    sets.drop_bounding().unwrap();
    sets.apply().unwrap();
    assert_eq!(sets.verify(), Ok(()));
    let change: [fn(&mut Capabilities) -> &mut CapabilitySet; 5] = [
        |sets| &mut sets.bounding,
        |sets| &mut sets.permitted,
        |sets| &mut sets.effective,
        |sets| &mut sets.inheritable,
        |sets| &mut sets.ambient,
    ];
    for (index, field) in change.iter().enumerate() {
        for wrong in [three() - Capability::Kill, three() | Capability::Bpf] {
            let mut expected = sets;
            *field(&mut expected) = wrong;
            let errno = without_allocation(|| expected.verify());
            assert_eq!(errno, Err(Errno::PERM), "set {index}: {wrong}");
        }
    }
    // And the other way round: the kernel's sets change, what is expected stays.
    rustix::thread::clear_ambient_capability_set().unwrap();
    assert_eq!(sets.verify(), Err(Errno::PERM));
}

#[test]
fn a_capability_outside_the_permitted_or_bounding_set_is_refused() {
    require_root!("drops capabilities from the bounding set");
    if !is_child() {
        return child::run(
            "capabilities::a_capability_outside_the_permitted_or_bounding_set_is_refused",
        );
    }
    Capabilities::root(three()).drop_bounding().unwrap();
    let inherited =
        Capabilities { bounding: three(), ..Capabilities::user(three() | Capability::Bpf) };
    assert_eq!(inherited.apply(), Err(Errno::PERM));
    Capabilities::root(three()).apply().unwrap();
    assert_eq!(Capabilities::root(three() | Capability::Bpf).apply(), Err(Errno::PERM));
    assert_eq!(Capabilities::root(three()).verify(), Ok(()));
    // Without SETPCAP: nothing to drop is fine, something is not.
    assert_eq!(Capabilities::root(three()).drop_bounding(), Ok(()));
    assert_eq!(Capabilities::root(CapabilitySet::NONE).drop_bounding(), Err(Errno::PERM));
}

#[test]
fn ambient_capabilities_of_the_caller_are_cleared() {
    require_root!("needs capabilities of its own");
    if !is_child() {
        return child::run("capabilities::ambient_capabilities_of_the_caller_are_cleared");
    }
    let bounding = CapabilitySet::bounding_of_caller();
    let all = Capabilities { bounding, ..Capabilities::user(three()) };
    let inheritable = Capabilities { ambient: CapabilitySet::NONE, ..all };
    let one = Capabilities { ambient: Capability::Kill.into(), ..all };
    let none = Capabilities { bounding, ..Capabilities::root(three()) };
    for sets in [all, inheritable, all, one, all, none] {
        sets.apply().unwrap();
        assert_eq!(sets.verify(), Ok(()));
        assert_eq!(read_all(), sets);
    }
}

#[test]
fn where_setgroups_is_denied_the_groups_stay() {
    require_root!("changes the user");
    if !is_child() {
        return child::run("capabilities::where_setgroups_is_denied_the_groups_stay");
    }
    let before = status("Groups");
    someone().apply(Groups::Denied).unwrap();
    assert_eq!((status("Groups"), status("Uid")), (before, "1000 1000 1000 1000".to_owned()));
}

#[test]
fn nobody_can_take_on_no_other_user_and_drop_nothing() {
    if !is_child() {
        return child::run_as_nobody(
            "capabilities::nobody_can_take_on_no_other_user_and_drop_nothing",
        );
    }
    // Not always nobody: where the tests do not run as root, whoever runs them.
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let own = User { uid, gid, ..User::default() };
    let other = User { uid: uid - 1, ..own.clone() };
    assert_eq!(other.apply(Groups::Denied), Err(Errno::PERM));
    assert_eq!(own.apply(Groups::Set), Err(Errno::PERM));
    assert_eq!(without_allocation(|| own.apply(Groups::Denied)), Ok(()));

    let bounding = CapabilitySet::bounding_of_caller();
    assert_eq!(Capabilities::root(CapabilitySet::NONE).drop_bounding(), Err(Errno::PERM));
    let none = Capabilities { bounding, ..Capabilities::root(CapabilitySet::NONE) };
    assert_eq!(none.drop_bounding(), Ok(()));
    none.apply().unwrap();
    assert_eq!(none.verify(), Ok(()));
    assert_eq!(CapabilitySet::permitted_of_caller().unwrap(), CapabilitySet::NONE);
    assert_eq!(Capabilities::root(three()).apply(), Err(Errno::PERM));
}
