//! Namespaces for a test, and the independent eyes of ip(8).

use std::process::Command;
use std::thread;

use nsinit_network::{Interface, NetworkNamespace, Veth};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Says why a test cannot run, and under `NSINIT_TEST_REQUIRE` fails for it.
macro_rules! require_namespaces {
    () => {
        if let Some(reason) = $crate::harness::missing() {
            assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none(), "{reason}");
            eprintln!("SKIPPED: {reason}");
            return;
        }
    };
}
pub(crate) use require_namespaces;

pub(crate) fn missing() -> Option<String> {
    if let Err(error) = NetworkNamespace::new() {
        return Some(format!("needs root: {error}"));
    }
    Command::new("ip").arg("-V").output().err().map(|error| format!("needs ip(8): {error}"))
}

/// Runs a test on a thread in a namespace of its own that plays the host.
pub(crate) fn as_host<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    within(&NetworkNamespace::new().unwrap(), test)
}

/// Runs a part of a test on a thread in that namespace.
pub(crate) fn within<T: Send>(namespace: &NetworkNamespace, part: impl FnOnce() -> T + Send) -> T {
    let descriptor = namespace.descriptor().unwrap();
    let done = thread::scope(|scope| {
        let moved = move || {
            move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&descriptor),
                Some(LinkNameSpaceType::Network),
            )
            .unwrap();
            part()
        };
        scope.spawn(moved).join()
    });
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What ip(8) prints in the thread's namespace.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The names of all links in the thread's namespace, sorted.
pub(crate) fn links() -> Vec<String> {
    let text = ip("-o link");
    let name = |line: &str| {
        line.split(": ").nth(1).map(|name| name.split('@').next().unwrap_or(name).to_owned())
    };
    let mut names: Vec<_> = text.lines().filter_map(name).collect();
    names.sort();
    names
}

/// The bridge that most tests use, with the address 10.7.0.1/24.
pub(crate) fn add_br0() {
    ip("link add br0 type bridge");
    ip("address add 10.7.0.1/24 dev br0");
    ip("link set br0 up");
}

/// `eth0` with 10.7.0.2/24 on `br0`.
pub(crate) fn eth0() -> Veth {
    Veth {
        bridge: "br0".to_owned(),
        address: Some("10.7.0.2/24".parse().unwrap()),
        gateway: Some("10.7.0.1".parse().unwrap()),
        ..Veth::named("eth0")
    }
}

/// The same on a bridge that is to be made.
pub(crate) fn eth0_on_new_bridge() -> Veth {
    Veth { create_bridge: true, ..eth0() }
}

pub(crate) fn only(veth: Veth) -> [Interface; 1] {
    [veth.into()]
}
