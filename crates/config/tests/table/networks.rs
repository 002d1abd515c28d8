//! Interfaces, addresses and kernel parameters.

use super::{Row, rows, values};

fn veth(key: &str, more: &str, fields: &[(&'static str, &str, &'static str)]) -> Vec<Row> {
    let before = format!(
        "{{\"networks\":[{{\"type\":\"veth\",\"context\":{{\"bridge\":\"br0\"}},{more}\"{key}\":"
    );
    values(&before, "}]}", &format!("networks[0].{key}"), fields)
}

pub(crate) fn interfaces() -> Vec<Row> {
    let kind = values(
        "{\"networks\":[{\"type\":",
        "}]}",
        "networks[0].type",
        &[
            ("B74", "\"vethh\"", "unknown type \"vethh\"|did you mean \"veth\"?"),
            ("", "\"bridge\"", "one of loopback, veth"),
            ("", "\"phys\"", "reserved"),
        ],
    );
    let context = rows(&[
        ("B75", r#"{"networks":[{"type":"veth"}]}"#, "1:14", "networks[0]", "key \"context\""),
        (
            "B75",
            r#"{"networks":[{"type":"veth","context":{"prefix":"v"}}]}"#,
            "1:39",
            "networks[0].context",
            "missing key \"bridge\"",
        ),
        (
            "B81",
            r#"{"namespaces":["NEWNS"],"networks":[{"type":"loopback"}]}"#,
            "1:36",
            "networks",
            "needs NEWNET|add \"NEWNET\" to namespaces",
        ),
    ]);
    [kind, context].into_iter().flatten().collect()
}

pub(crate) fn addresses() -> Vec<Row> {
    let address = veth(
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
    let v6 = veth("ipv6_address", "", &[("B76", "\"fe80::1%eth0/64\"", "zone")]);
    let gateway = veth(
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
    let alone = veth("gateway", "", &[("B77", "\"10.0.0.1\"", "needs address")]);
    let route = rows(&[(
        "",
        r#"{"networks":[{"type":"veth","context":{"bridge":"b"},"routes":[{"destination":"10.0.0.0/8"}]}]}"#,
        "1:64",
        "networks[0].routes[0]",
        "missing key \"gateway\"",
    )]);
    [address, v6, gateway, alone, route].into_iter().flatten().collect()
}

pub(crate) fn names() -> Vec<Row> {
    let mtu = veth(
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
    let with_v6 = "\"ipv6_address\":\"fd00::2/64\",";
    let v6 = veth("mtu", with_v6, &[("B78", "1279", "IPv6 needs at least 1280")]);
    let name = veth(
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
    let prefix = values(
        "{\"networks\":[{\"type\":\"veth\",\"context\":{\"bridge\":\"br0\",\"prefix\":",
        "}}]}",
        "networks[0].context.prefix",
        &[("B79", "\"abcdefghijkl\"", "12 bytes, limit 11")],
    );
    let mac = veth(
        "mac_address",
        "",
        &[("", "\"1:2\"", "six hexadecimal"), ("", "\"03:00:00:00:00:01\"", "unicast")],
    );
    [mtu, v6, name, prefix, mac].into_iter().flatten().collect()
}

pub(crate) fn sysctls() -> Vec<Row> {
    rows(&[
        (
            "B82",
            r#"{"sysctl":{"kernel.core_pattern":"x"}}"#,
            "1:12",
            "sysctl[\"kernel.core_pattern\"]",
            "of no namespace, it would change the host",
        ),
        (
            "B82",
            r#"{"sysctl":{"net/../kernel/core_pattern":"x"}}"#,
            "1:12",
            "sysctl[\"net/../kernel/core_pattern\"]",
            "an element that is no name",
        ),
        (
            "B82",
            r#"{"sysctl":{"net.ipv4.ip_forward":"1\n0"}}"#,
            "1:34",
            "sysctl[\"net.ipv4.ip_forward\"]",
            "",
        ),
        ("B82", r#"{"sysctl":{"":"1"}}"#, "1:12", "sysctl[\"\"]", "is empty"),
        (
            "B82",
            r#"{"sysctl":{"user.max_user_namespaces":"1"}}"#,
            "1:39",
            "sysctl[\"user.max_user_namespaces\"]",
            "needs NEWUSER",
        ),
        (
            "B82",
            r#"{"sysctl":{"net.ipv4.ip_forward":1}}"#,
            "1:34",
            "sysctl[\"net.ipv4.ip_forward\"]",
            "must be a string, got 1|write \"1\"",
        ),
        ("B83", r#"{"hooks":{"prestart":[]}}"#, "1:2", "hooks", "reserved|remove it"),
    ])
}
