//! Interfaces of the container. The host's place is taken by a network
//! namespace of the test's own.

use tests::{Sandbox, require};

fn with_veth(more: &str) -> Sandbox {
    let sandbox = Sandbox::new().own_network();
    sandbox.on_host(["ip", "link", "set", "lo", "up"]);
    sandbox.config(&format!(
        r#"{{"networks": [{{"type": "veth", "context": {{"bridge": "$LINKb", "prefix": "$LINK", "create": true}},
            "address": "10.77.0.2/24", "gateway": "10.77.0.1"{more}}}]}}"#
    ))
}

#[test]
fn the_loopback_is_always_up() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let outcome =
            sandbox.run(["probe", "addresses", ",", "loop", "127.0.0.1:0", ",", "loop", "[::1]:0"]);
        outcome.code(0).stdout("lo 127.0.0.1\nlo ::1\nok\nok\n");
    }
}

#[test]
fn nothing_but_the_loopback_can_be_reached() {
    require!(Container);
    Sandbox::new().run(["probe", "reach", "10.77.0.1:80"]).code(0).stdout("ENETUNREACH\n");
}

#[test]
fn ping_needs_no_capability() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.run(["probe", "ping-socket"]).code(0).stdout("ok\n");
    }
}

#[test]
fn without_the_namespace_the_network_is_the_hosts() {
    require!(Root);
    let own =
        std::fs::read_link("/proc/self/ns/net").expect("procfs").to_string_lossy().into_owned();
    Sandbox::new()
        .config(r#"{"namespaces": ["NEWNS"]}"#)
        .run(["probe", "ns", "net"])
        .stdout(&format!("{own}\n"));
}

#[test]
fn an_existing_namespace_can_be_joined() {
    require!(Root);
    let holder = Sandbox::new().config(r#"{"hostname": "holder"}"#);
    let run = holder.start(["probe", "ns", "net", ",", "ready", ",", "copy"]).until("ready");
    let path = format!("/proc/{}/ns/net", run.init());
    let sandbox = Sandbox::new().config(&format!(
        r#"{{"namespaces": ["NEWNS", "NEWPID", {{"type": "NEWNET", "path": "{path}"}}]}}"#
    ));
    let inside = sandbox.run(["probe", "ns", "net"]).code(0).out();
    run.finish().code(0).stdout(&format!("{inside}ready\n"));
}

#[test]
fn a_namespace_of_another_kind_is_refused() {
    require!(Root);
    let sandbox = Sandbox::new()
        .config(r#"{"namespaces": ["NEWNS", {"type": "NEWNET", "path": "/proc/self/ns/uts"}]}"#);
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("/proc/self/ns/uts");
}

#[test]
fn a_veth_pair_connects_to_the_bridge() {
    require!(Root, Ip);
    let outcome = with_veth("").run(["probe", "addresses", ",", "reach", "10.77.0.1:9"]);
    outcome.code(0).stdout_has("eth0 10.77.0.2\n").stdout_has("ok\n");
}

#[test]
fn the_default_route_leads_to_the_gateway() {
    require!(Root, Ip);
    with_veth("").run(["probe", "routes"]).code(0).stdout_has("eth0\t00000000\t01004D0A");
}

#[test]
fn name_mtu_and_hardware_address_are_the_configured_ones() {
    require!(Root, Ip);
    let sandbox = with_veth(r#", "name": "up0", "mtu": 1400, "mac_address": "02:00:00:00:00:07""#);
    let outcome = sandbox.run([
        "probe",
        "cat",
        "/sys/class/net/up0/mtu",
        ",",
        "cat",
        "/sys/class/net/up0/address",
    ]);
    outcome.code(0).stdout("1400\n02:00:00:00:00:07\n");
}

#[test]
fn ipv6_is_there_where_it_is_configured_only() {
    require!(Root, Ip);
    with_veth("")
        .run(["probe", "addresses"])
        .code(0)
        .stdout_lacks("eth0 fe80")
        .stdout_lacks("eth0 fd");
    let sandbox = with_veth(r#", "ipv6_address": "fd77::2/64", "ipv6_gateway": "fd77::1""#);
    sandbox.run(["probe", "addresses"]).code(0).stdout_has("eth0 fd77::2");
}

#[test]
fn the_host_end_and_our_bridge_go_with_the_container() {
    require!(Root, Ip);
    let sandbox = with_veth("");
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let link = sandbox.fill("$LINK");
    assert!(sandbox.on_host(["ip", "-o", "link"]).contains(&link));
    run.finish().code(0);
    let left = sandbox.on_host(["ip", "-o", "link"]);
    assert!(!left.contains(&link), "{left}");
}

#[test]
fn a_bridge_that_was_there_stays() {
    require!(Root, Ip);
    let sandbox = Sandbox::new().own_network();
    sandbox.on_host(["ip", "link", "add", "$LINKb", "type", "bridge"]);
    let sandbox = sandbox.config(
        r#"{"networks": [{"type": "veth", "context": {"bridge": "$LINKb", "prefix": "$LINK"}, "address": "10.77.0.2/24"}]}"#,
    );
    sandbox.run(["probe", "addresses"]).code(0).stdout_has("eth0 10.77.0.2");
    let link = sandbox.fill("$LINKb");
    assert!(sandbox.on_host(["ip", "-o", "link"]).contains(&link));
}

#[test]
fn a_missing_bridge_is_an_error_and_leaves_nothing() {
    require!(Root, Ip);
    let sandbox = Sandbox::new().own_network().config(
        r#"{"networks": [{"type": "veth", "context": {"bridge": "$LINKb", "prefix": "$LINK"}, "address": "10.77.0.2/24"}]}"#,
    );
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has(&sandbox.fill("$LINKb"));
    assert_eq!(sandbox.on_host(["ip", "-o", "link"]).lines().count(), 1);
}

#[test]
fn a_missing_program_leaves_no_interface() {
    require!(Root, Ip);
    let sandbox = with_veth("");
    sandbox.run(["nowhere"]).code(127);
    assert_eq!(sandbox.on_host(["ip", "-o", "link"]).lines().count(), 1);
}

#[test]
fn several_interfaces_are_numbered() {
    require!(Root, Ip);
    let sandbox = Sandbox::new().own_network();
    sandbox.on_host(["ip", "link", "add", "$LINKb", "type", "bridge"]);
    let sandbox = sandbox.config(
        r#"{"networks": [{"type": "veth", "context": {"bridge": "$LINKb", "prefix": "$LINK"}, "address": "10.77.0.2/24"},
                         {"type": "veth", "context": {"bridge": "$LINKb", "prefix": "$LINK"}, "address": "10.78.0.2/24"}]}"#,
    );
    sandbox.run(["probe", "addresses"]).code(0).stdout_has("eth0 10.77.0.2\neth1 10.78.0.2\n");
}

#[test]
fn two_containers_share_a_bridge() {
    require!(Root, Ip);
    let first = with_veth("");
    let run = first.start(["probe", "listen", "10.77.0.2:7"]).until("ready");
    let network = first.on_host(["ip", "-o", "link"]);
    assert!(network.contains(&first.fill("$LINKb")), "{network}");
    let second = Sandbox::new().with(&first.network_setting()).config(&first.fill(
        r#"{"networks": [{"type": "veth", "context": {"bridge": "$LINKb", "prefix": "$LINK"}, "address": "10.77.0.3/24"}]}"#,
    ));
    second.run(["probe", "connect", "10.77.0.2:7"]).code(0).stdout("hello\n");
    run.finish().code(0);
}
