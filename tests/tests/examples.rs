//! `docs/examples`: what its table promises of each, in a busybox root filesystem.

use std::fs;
use std::path::Path;

use tests::{Sandbox, require};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The example's file, as it is, in each caller's sandbox.
fn with_example(sandbox: Sandbox, name: &str) -> Sandbox {
    sandbox.busybox().config(&text(name))
}

/// A busybox that can boot: init does what this script says, then waits.
fn bootable(script: &str) -> Sandbox {
    let sandbox = Sandbox::new().directory("sbin");
    let sandbox = ["init", "poweroff", "reboot"].iter().fold(sandbox, |sandbox, applet| {
        sandbox.symlink(&format!("sbin/{applet}"), "../bin/busybox")
    });
    let inittab = format!("::sysinit:/bin/sh -c '{script}'\n");
    with_example(sandbox.file("etc/inittab", &inittab), "boot-init.json")
}

#[test]
fn every_example_is_tested_and_in_the_table() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let table = text("README.md");
    let entries = fs::read_dir(directory).expect("docs/examples");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let mut names: Vec<_> = names.map(|name| name.expect("UTF-8")).collect();
    names.retain(|name| name.ends_with(".json"));
    names.sort();
    let tested = ["boot-init.json", "host-network.json", "loopback-only.json", "veth-bridge.json"];
    assert_eq!(names, tested);
    for name in tested {
        assert!(table.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn host_network_has_the_hosts_interfaces_and_resolver() {
    require!(Container, Busybox);
    let own = fs::read_link("/proc/self/ns/net").expect("procfs").to_string_lossy().into_owned();
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = with_example(sandbox.file("etc/hosts", ""), "host-network.json");
        let outcome =
            sandbox.run(["probe", "hostname", ",", "ns", "net", ",", "cat", "/etc/hosts"]);
        outcome.code(0).stdout(&format!("host-network\n{own}\n{hosts}"));
        let mounts = sandbox.run(["busybox", "grep", " /etc/hosts ", "/proc/mounts"]);
        mounts.code(0).stdout_has(" ro,");
    }
}

#[test]
fn loopback_only_has_lo_and_a_tmp_that_can_be_written() {
    require!(Container, Busybox);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = with_example(sandbox, "loopback-only.json");
        let facts = sandbox.run(["probe", "hostname", ",", "addresses"]);
        facts.code(0).stdout("loopback-only\nlo 127.0.0.1\nlo ::1\n");
        let script = "echo a > /tmp/a && cat /tmp/a && df -k /tmp | tail -n 1; echo b > /b";
        let outcome = sandbox.run(["busybox", "sh", "-c", script]);
        outcome.code(1).stdout_has("a\n").stdout_has(" 65536 ").stderr_has("Read-only file system");
    }
}

#[test]
fn veth_bridge_has_addresses_routes_and_a_gateway_that_answers() {
    require!(Root, Busybox, Ip);
    let sandbox = with_example(Sandbox::new().own_network(), "veth-bridge.json");
    let script = "ip -4 route | sort && ping -c 1 -W 5 10.77.0.1 && cat /sys/class/net/eth0/mtu";
    let outcome = sandbox.run(["sh", "-c", script]);
    outcome
        .code(0)
        .stdout_has("10.77.0.0/24 dev eth0 ")
        .stdout_has("10.78.0.0/16 via 10.77.0.254 dev eth0")
        .stdout_has("default via 10.77.0.1 dev eth0")
        .stdout_has("1 packets received")
        .stdout_has("\n1500\n");
    sandbox
        .run(["probe", "addresses"])
        .code(0)
        .stdout_has("eth0 10.77.0.2\n")
        .stdout_has("eth0 fd77::2\n");
    let left = sandbox.on_host(["ip", "-o", "link"]);
    assert_eq!(left.lines().count(), 1, "only lo is there, as before: {left}");
}

#[test]
fn boot_init_is_pid_1_on_a_terminal() {
    require!(Root, Busybox);
    let sandbox = bootable("probe hostname , tty; ps -o pid,comm; echo booted; poweroff");
    let mut terminal = sandbox.terminal([]);
    terminal.sees("boot-init").sees("0 /dev/").sees("1 init").sees("booted").ends(130);
}

#[test]
fn boot_init_ends_with_poweroff_and_with_reboot() {
    require!(Root, Busybox);
    for (command, code) in [("poweroff", 130), ("reboot", 129)] {
        bootable(command).terminal([]).ends(code);
    }
}
