//! The table of bad input: control groups, networks and kernel parameters.

use nsinit_config::Container;

/// Rows for one key of an object: number, value, words.
fn values(before: &str, after: &str, path: &str, rows: &[(&str, &str, &str)]) {
    for (number, value, words) in rows {
        let text = format!("{before}{value}{after}");
        let faults = Container::from_str(&text, "c").expect_err(&text);
        let message = faults.to_string();
        let fault = faults.iter().next().expect("a fault");
        assert_eq!(fault.path, path, "{number} {value}: {message}");
        for word in words.split('|') {
            assert!(message.contains(word), "{number} {value}: no {word:?} in\n{message}");
        }
        assert_eq!(faults.len(), 1, "{number} {value}: {message}");
    }
}

fn cgroup(key: &str, rows: &[(&str, &str, &str)]) {
    values(&format!("{{\"cgroups\":{{\"{key}\":"), "}}", &format!("cgroups.{key}"), rows);
}

#[test]
fn control_groups() {
    cgroup(
        "memory",
        &[
            ("B67", "-5", "must not be negative, got -5"),
            ("B67", "0", "must not be 0"),
            ("B67", "100", "too small"),
            ("B67", "\"512m\"", "use 536870912"),
            ("B67", "9223372036854775808", "at most 9223372036854775807"),
            ("B67", "1e30", "out of range"),
            ("B67", "512m", "512m is not a number|use 536870912"),
        ],
    );
    cgroup("memory_swap", &[("B67", "-2", "-1 for no limit"), ("B67", "8192", "needs memory")]);
    cgroup("cpu_shares", &[("B68", "1", "2 to 262144"), ("B68", "262145", "2 to 262144")]);
    cgroup("cpu_period", &[("B68", "0", "1000 to 1000000")]);
    cgroup("cpu_quota", &[("B68", "0", "at least 1000"), ("B68", "100000001", "1000 CPUs")]);
    cgroup(
        "cpuset_cpus",
        &[
            ("B69", "\"0-4294967295\"", "at most 8191"),
            ("B69", "\"3-1\"", "backwards"),
            ("B69", "\"a\"", "0-3,6"),
            ("B69", "\"0,,1\"", "0-3,6"),
            ("B69", "\"\"", "is empty"),
        ],
    );
    cgroup("pids_max", &[("B70", "0", "at least 1"), ("B70", "-2", "must not be negative")]);
    let long = format!("\"{}\"", "a".repeat(256));
    cgroup(
        "name",
        &[
            ("B71", "\"\"", "is empty"),
            ("B71", "\"..\"", "\"..\" as a part"),
            ("B71", "\"a/b\"", "'/'|parent"),
            ("B71", "\"a\\nb\"", "control characters"),
            ("B71", &long, "256 bytes, limit 255"),
            ("B71", "\".a\"", "begin with a dot"),
            ("B71", "\"cgroup.procs\"", "control file"),
            ("B71", "\"tasks\"", "control file"),
        ],
    );
    cgroup(
        "parent",
        &[
            ("B71", "\"/docker\"", "must be relative|\"docker\""),
            ("B71", "\"a/../../x\"", "\"..\" as a part"),
            ("B71", "\"a/./b\"", "\".\" as a part"),
            ("B71", "\"a//b\"", "empty part"),
        ],
    );
    cgroup("driver", &[("", "\"sytemd\"", "did you mean \"systemd\"?")]);
    let text = r#"{"cgroups":{"memory":8192,"memory_swap":4096}}"#;
    let faults = Container::from_str(text, "c").unwrap_err();
    assert!(faults.to_string().contains("less than memory"), "{faults}");
}

fn veth(key: &str, more: &str, rows: &[(&str, &str, &str)]) {
    let before = format!(
        "{{\"networks\":[{{\"type\":\"veth\",\"context\":{{\"bridge\":\"br0\"}},{more}\"{key}\":"
    );
    values(&before, "}]}", &format!("networks[0].{key}"), rows);
}

#[test]
fn networks() {
    values(
        "{\"networks\":[{\"type\":",
        "}]}",
        "networks[0].type",
        &[("B74", "\"vethh\"", "did you mean \"veth\"?"), ("", "\"phys\"", "reserved")],
    );
    values(
        "{\"networks\":[{\"type\":\"veth\"",
        "}]}",
        "networks[0]",
        &[("B75", "", "missing key \"context\"")],
    );
    values(
        "{\"namespaces\":[\"NEWNS\"],\"networks\":",
        "}",
        "networks",
        &[("B81", "[{\"type\":\"loopback\"}]", "needs NEWNET")],
    );
}

#[test]
fn addresses_and_gateways() {
    veth(
        "address",
        "",
        &[
            ("B76", "\"10.0.0.2\"", "no prefix length|\"10.0.0.2/24\""),
            ("B76", "\"10.0.0.2/33\"", "from 1 to 32"),
            ("B76", "\"10.0.0.2/0\"", "must not be 0"),
            ("B76", "\"300.1.1.1/8\"", "must be an IPv4 address"),
            ("B76", "\"10.0.0.0/24\"", "network's own"),
            ("B76", "\"10.0.0.255/24\"", "broadcast"),
            ("B76", "\"fd00::1/64\"", "must be an IPv4 address"),
        ],
    );
    veth("ipv6_address", "", &[("B76", "\"fe80::1%eth0/64\"", "zone")]);
    veth(
        "gateway",
        "\"address\":\"10.0.0.2/24\",",
        &[
            ("B77", "\"10.0.1.1\"", "in the subnet"),
            ("B77", "\"10.0.0.2\"", "own address"),
            ("B77", "\"10.0.0.255\"", "broadcast"),
            ("B77", "\"10.0.0.0\"", "network's own"),
            ("B77", "\"fd00::1\"", "must be an IPv4 address"),
        ],
    );
    veth("gateway", "", &[("B77", "\"10.0.0.1\"", "needs address")]);
}

#[test]
fn names_and_numbers_of_an_interface() {
    veth(
        "mtu",
        "",
        &[
            ("B78", "0", "68 to 65535"),
            ("B78", "67", "68 to 65535"),
            ("B78", "65536", "68 to 65535"),
            ("B78", "1500.5", "whole number, got 1500.5"),
            ("B22", "\"1500\"", "without quotes: 1500"),
        ],
    );
    veth("mtu", "\"ipv6_address\":\"fd00::2/64\",", &[("B78", "1279", "IPv6 needs at least 1280")]);
    veth(
        "name",
        "",
        &[
            ("B79", "\"a/b\"", "must not contain \"/\""),
            ("B79", "\"a b\"", "must not contain \" \""),
            ("B79", "\"eth%d\"", "must not contain \"%\""),
            ("B79", "\"..\"", "is not a name"),
            ("B79", "\"\"", "is empty"),
            ("B79", "\"abcdefghijklmnop\"", "16 bytes, limit 15"),
            ("", "\"lo\"", "loopback's name"),
        ],
    );
    values(
        "{\"networks\":[{\"type\":\"veth\",\"context\":{\"bridge\":\"br0\",\"prefix\":",
        "}}]}",
        "networks[0].context.prefix",
        &[("B79", "\"abcdefghijkl\"", "12 bytes, limit 11")],
    );
    veth(
        "mac_address",
        "",
        &[("", "\"1:2\"", "six hexadecimal"), ("", "\"03:00:00:00:00:01\"", "unicast")],
    );
}

#[test]
fn sysctls() {
    let row = |key: &str, value: &str| format!("{{\"sysctl\":{{\"{key}\":\"{value}\"}}}}");
    for (key, value) in [
        ("kernel.core_pattern", "x"),
        ("net/../kernel/core_pattern", "x"),
        ("net.ipv4.ip_forward", "1\\n0"),
        ("", "1"),
        ("user.max_user_namespaces", "1"),
    ] {
        let faults = Container::from_str(&row(key, value), "c").expect_err(key);
        assert!(faults.iter().next().unwrap().path.starts_with("sysctl"), "B82: {faults}");
    }
    assert!(Container::from_str(&row("net.ipv4.ip_forward", "1"), "c").is_ok());
}
