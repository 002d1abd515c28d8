//! The table of bad input, as far as it concerns `container.json`: each row has
//! the number of the input, the text, and the position, key and words expected.

use std::time::{Duration, Instant};

use nsinit_config::Container;

type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Loads every text, and compares its first fault.
fn check(rows: &[Row]) {
    for (number, text, position, path, words) in rows {
        let started = Instant::now();
        let faults = Container::from_str(text, "c").expect_err(number);
        let message = faults.to_string();
        assert!(started.elapsed() < Duration::from_millis(100), "{number} took too long");
        let fault = faults.iter().next().expect("a fault");
        let at = format!("{}:{}", fault.line.unwrap_or(0), fault.column.unwrap_or(0));
        assert_eq!((&*at, &*fault.path), (*position, *path), "{number}: {message}");
        for word in words.split('|') {
            assert!(message.contains(word), "{number}: no {word:?} in\n{message}");
        }
        assert_eq!(faults.len(), 1, "{number}: {message}");
    }
}

#[test]
fn text_that_is_not_json() {
    let deep = format!("{}{}", r#"{"mounts":"#, "[".repeat(200_000));
    let deep: &'static str = deep.leak();
    check(&[
        ("B1", "", "1:1", "", "file is empty"),
        ("B2", " \n\t\n", "1:1", "", "only white space"),
        ("B3", "hostname: koye\ntty: true\n", "1:1", "", "looks like YAML"),
        ("B3", "---\nhostname: koye\n", "1:1", "", "looks like YAML"),
        ("B4", "{\n \"tty\": true,\n", "3:1", "", "unclosed { opened at 1:1"),
        ("B4", "{\"args\": [\"sh\",", "1:16", "args[1]", "unclosed [ opened at 1:10"),
        ("B4", "{\"hostname\": \"ko", "1:14", "hostname", "string is not closed"),
        ("B5", "{} x", "1:4", "", "'x' after the end of the first value at 1:3"),
        ("B6", "{}\n{}", "2:1", "", "a second value after the end of the first value at 1:3"),
        ("B7", "{\"tty\":true,\n\"tty\":false}", "2:1", "tty", "duplicate key|given at 1:2"),
        (
            "B7",
            r#"{"sysctl":{"net.ipv4.ip_forward":"1","net.ipv4.ip_forward":"0"}}"#,
            "1:38",
            "sysctl[\"net.ipv4.ip_forward\"]",
            "duplicate key, already given at 1:12",
        ),
        ("B8", r#"{"Hostname":"a"}"#, "1:2", "Hostname", "unknown key|\"hostname\""),
        ("B9", "\u{feff}{}", "1:1", "", "UTF-8 byte-order mark|remove it"),
        ("B12", r#"{"hostname":"a\ud800"}"#, "1:15", "hostname", "lone surrogate \\ud800"),
        ("B13", "{\"hostname\":\"a\0b\"}", "1:15", "hostname", "NUL byte in a string"),
        ("B13", "{\0}", "1:2", "", "NUL byte"),
        ("B14", r#"{"args":["a\u0000b"]}"#, "1:10", "args[0]", "NUL byte"),
        ("B15", r#"{"environment":["A=\u0000"]}"#, "1:17", "environment[0]", "NUL byte"),
        ("B16", r#"{"hostname":"\u0000"}"#, "1:13", "hostname", "NUL byte"),
        ("B16", r#"{"working_dir":"/\u0000"}"#, "1:16", "working_dir", "NUL byte"),
        ("B16", r#"{"cgroups":{"name":"a\u0000"}}"#, "1:20", "cgroups.name", "NUL byte"),
        ("B17", deep, "1:74", "mounts[0][0][0][0][0][0][0]…", "nested deeper than 64"),
        ("B20", "{\"tty\": true,}", "1:13", "", "trailing comma|remove it"),
        ("B20", "{ // yes\n\"tty\": true}", "1:3", "", "comments are not JSON"),
        ("B20", "{ # yes\n\"tty\": true}", "1:3", "", "comments are not JSON"),
        ("B20", "{ /* yes", "1:3", "", "unclosed comment"),
        ("B21", r#"{"umask":NaN}"#, "1:10", "umask", "NaN is not a JSON value|finite"),
        ("B21", r#"{"umask":1e400}"#, "1:10", "umask", "out of range"),
        ("B21", r#"{"umask":-0}"#, "1:10", "umask", "octal digits|got -0"),
        ("B21", r#"{"umask":0x10}"#, "1:10", "umask", "hexadecimal|use 16"),
        ("B21", r#"{"umask":01}"#, "1:10", "umask", "leading zero|\"01\""),
        ("", "{'tty': true}", "1:2", "", "double quotes"),
        ("", "{tty: true}", "1:2", "", "double quotes|\"tty\""),
        ("", "{\"tty\" = true}", "1:8", "", "expected ':'"),
        ("", "{\"tty\": true \"init\": true}", "1:14", "", "missing ','"),
        ("", "{\"args\": [\"a\"}", "1:14", "args", "expected ',' or ']' for the [ opened at 1:10"),
        ("", r#"{"tty": True}"#, "1:9", "tty", "True is not a JSON value|write true"),
        ("", r#"{"hostname": "a\q"}"#, "1:16", "hostname", "unknown escape"),
    ]);
}

#[test]
fn values_of_the_wrong_kind() {
    check(&[
        ("B22", r#"{"cgroups":{"cpu_shares":"512"}}"#, "1:26", "cgroups.cpu_shares", "quotes: 512"),
        ("B23", "[]", "1:1", "", "must be an object, got an array"),
        ("B23", "null", "1:1", "", "must be an object, got null"),
        ("B24", r#"{"cgroups":[]}"#, "1:12", "cgroups", "must be an object, got an array"),
        ("B24", r#"{"mounts":{}}"#, "1:11", "mounts", "must be an array, got an object"),
        ("B25", r#"{"args":"sh"}"#, "1:9", "args", "must be an array|[\"sh\"]"),
        ("B26", r#"{"hostnme":"a"}"#, "1:2", "hostnme", "unknown key|did you mean \"hostname\"?"),
        ("B26", r#"{"memory":4096}"#, "1:2", "memory", "unknown key|is a key of cgroups"),
        ("B27", r#"{"cgroups":{"memry":1}}"#, "1:13", "cgroups.memry", "\"memory\""),
        ("B28", r#"{"hostname":null}"#, "1:13", "hostname", "got null|leave the key out"),
        ("", r#"{"hostname":7}"#, "1:13", "hostname", "must be a string, got 7|\"7\""),
        ("", r#"{"tty":"true"}"#, "1:8", "tty", "true or false|without quotes"),
        ("", r#"{"mounts":[{"source":"/a"}]}"#, "1:12", "mounts[0]", "missing key \"destination\""),
        ("", r#"{"ports":[]}"#, "1:2", "ports", "reserved"),
        ("", r#"{"seccomp":{"syscalls":[]}}"#, "1:12", "seccomp", "reserved|unconfined"),
        ("", r#"{"seccomp":"default"}"#, "1:12", "seccomp", "reserved|unconfined"),
        (
            "",
            r#"{"cgroups":{"unit_properties":[["a"]]}}"#,
            "1:32",
            "cgroups.unit_properties[0]",
            "a key and a value",
        ),
    ]);
}

#[test]
fn process_and_user() {
    check(&[
        ("B29", r#"{"args":[]}"#, "1:9", "args", "is empty|name a program"),
        ("B30", r#"{"args":[""]}"#, "1:10", "args[0]", "program is empty"),
        ("B31", r#"{"environment":["FOO"]}"#, "1:17", "environment[0]", "KEY=value|\"FOO=\""),
        ("B32", r#"{"environment":["=x"]}"#, "1:17", "environment[0]", "no key before"),
        ("B33", r#"{"working_dir":"srv"}"#, "1:16", "working_dir", "must be absolute|\"/srv\""),
        ("B34", r#"{"working_dir":"/a/../b"}"#, "1:16", "working_dir", "\"..\""),
        ("B35", r#"{"user":"-1"}"#, "1:9", "user", "neither a user id nor a user name"),
        ("B35", r#"{"user":"4294967296"}"#, "1:9", "user", "at most 4294967294"),
        ("B35", r#"{"user":"4294967295"}"#, "1:9", "user", "at most 4294967294"),
        ("B35", r#"{"user":"1:"}"#, "1:9", "user", "no group after|\"1\""),
        ("B35", r#"{"user":":1"}"#, "1:9", "user", "neither"),
        ("B35", r#"{"user":"1:2:3"}"#, "1:9", "user", "neither a group id"),
        ("B35", r#"{"user":" 0"}"#, "1:9", "user", "neither"),
        ("B36", r#"{"additional_groups":["a","a"]}"#, "1:27", "additional_groups[1]", "twice"),
        ("B36", r#"{"additional_groups":["4294967295"]}"#, "1:23", "additional_groups[0]", "at most"),
        ("B37", r#"{"capabilities_add":["SYS_ADMN"]}"#, "1:22", "capabilities_add[0]", "\"SYS_ADMIN\""),
        ("B37", r#"{"capabilities":["CAP_FOO"]}"#, "1:18", "capabilities[0]", "unknown capability"),
        (
            "",
            r#"{"capabilities":["KILL"],"capabilities_mask":["KILL"]}"#,
            "1:46",
            "capabilities_mask",
            "excludes capabilities",
        ),
        ("B39", r#"{"rlimits":{"nofiles":{}}}"#, "1:13", "rlimits.nofiles", "\"nofile\""),
        (
            "B40",
            r#"{"rlimits":{"RLIMIT_NOFILE":{"soft":2,"hard":1}}}"#,
            "1:29",
            "rlimits.RLIMIT_NOFILE",
            "soft limit 2 is above the hard limit 1",
        ),
        (
            "B41",
            r#"{"rlimits":{"cpu":{"soft":1,"hard":1},"RLIMIT_CPU":{"soft":1,"hard":1}}}"#,
            "1:39",
            "rlimits.RLIMIT_CPU",
            "has a limit already",
        ),
        ("B42", r#"{"umask":1000}"#, "1:10", "umask", "at most 0o777, got 0o1750"),
        ("B42", r#"{"umask":755}"#, "1:10", "umask", "\"0755\""),
        ("B42", r#"{"umask":"0899"}"#, "1:10", "umask", "octal digits"),
        ("B44", r#"{"oom_score_adj":1001}"#, "1:18", "oom_score_adj", "-1000 to 1000"),
        ("B46", r#"{"context":{"process_label":"a\nb"}}"#, "1:29", "context.process_label", "line feed"),
        ("", r#"{"parent_death_signal":"KIL"}"#, "1:24", "parent_death_signal", "signal|\"KILL\""),
    ]);
}

#[test]
fn mounts_and_devices() {
    check(&[
        (
            "B47",
            r#"{"mounts":[{"source":"/a","destination":"data"}]}"#,
            "1:41",
            "mounts[0].destination",
            "must be absolute, got \"data\"",
        ),
        (
            "B48",
            r#"{"mounts":[{"source":"/a","destination":"/../../x"}]}"#,
            "1:41",
            "mounts[0].destination",
            "must not contain \"..\"",
        ),
        (
            "B49",
            r#"{"mounts":[{"source":"/a","destination":"/."}]}"#,
            "1:41",
            "mounts[0].destination",
            "root directory|rootfs",
        ),
        (
            "B50",
            r#"{"mounts":[{"source":"/a","destination":"/x"},{"source":"/b","destination":"//x/"}]}"#,
            "1:76",
            "mounts[1].destination",
            "already the destination of mounts[0]",
        ),
        (
            "B51",
            r#"{"mounts":[{"source":"/a","destination":"/x/y"},{"source":"/b","destination":"/x"}]}"#,
            "1:78",
            "mounts[1].destination",
            "would hide mounts[0]|before",
        ),
        (
            "B53",
            r#"{"mounts":[{"type":"tmpfs","destination":"/x","options":["nosuidd"]}]}"#,
            "1:58",
            "mounts[0].options[0]",
            "unknown option|\"nosuid\"",
        ),
        (
            "B54",
            r#"{"mounts":[{"type":"tmpfs","destination":"/x","options":["ro","rw"]}]}"#,
            "1:63",
            "mounts[0].options[1]",
            "\"rw\" contradicts \"ro\"",
        ),
        (
            "B55",
            r#"{"mounts":[{"type":"tmpf","destination":"/x"}]}"#,
            "1:20",
            "mounts[0].type",
            "unknown type|\"tmpfs\"",
        ),
        (
            "",
            r#"{"mounts":[{"type":"overlay","destination":"/x"}]}"#,
            "1:20",
            "mounts[0].type",
            "\"overlay\" is reserved",
        ),
        (
            "B56",
            r#"{"mounts":[{"source":"/a","destination":"/./proc//x"}]}"#,
            "1:41",
            "mounts[0].destination",
            "below /proc|/proc/meminfo",
        ),
        (
            "B56",
            r#"{"mounts":[{"type":"tmpfs","destination":"/proc"}]}"#,
            "1:42",
            "mounts[0].destination",
            "only a mount of type proc",
        ),
        (
            "",
            r#"{"mounts":[{"source":"/a","destination":"/dev"}]}"#,
            "1:41",
            "mounts[0].destination",
            "always the container's own",
        ),
        ("B58", r#"{"rootfs":"/"}"#, "1:11", "rootfs", "host's root directory"),
        ("B58", r#"{"rootfs":"~/alpine"}"#, "1:11", "rootfs", "not expanded"),
        (
            "B59",
            r#"{"mounts":[{"source":"$HOME","destination":"/x"}]}"#,
            "1:22",
            "mounts[0].source",
            "must be absolute|not expanded",
        ),
        ("", r#"{"mounts":[{"destination":"/x"}]}"#, "1:12", "mounts[0]", "missing key \"source\""),
        (
            "",
            r#"{"mounts":[{"source":"/a","destination":"/x","private":true,"propagation":"slave"}]}"#,
            "1:75",
            "mounts[0].propagation",
            "contradicts \"private\": true",
        ),
        (
            "",
            r#"{"mounts":[{"source":"/a","destination":"/x","content":""}]}"#,
            "1:56",
            "mounts[0].content",
            "does not apply to type bind",
        ),
        (
            "",
            r#"{"mounts":[{"type":"proc","destination":"/proc","options":["size=1m"]}]}"#,
            "1:60",
            "mounts[0].options[0]",
            "option of tmpfs",
        ),
        (
            "B72",
            r#"{"devices":[{"path":"/dev/x","type":"z"}]}"#,
            "1:37",
            "devices[0].type",
            "unknown type|one of c, b, p",
        ),
        (
            "B72",
            r#"{"devices":[{"path":"/dev/x","type":"c","major":-2,"minor":1}]}"#,
            "1:49",
            "devices[0].major",
            "must not be negative, got -2",
        ),
        (
            "B72",
            r#"{"devices":[{"path":"/dev/x","type":"c","major":1,"minor":1,"access":"rwx"}]}"#,
            "1:70",
            "devices[0].access",
            "letters of \"rwm\"",
        ),
    ]);
}

#[test]
fn namespaces_and_ids() {
    check(&[
        ("B61", r#"{"namespaces":["NEWNS","NEWNT"]}"#, "1:24", "namespaces[1]", "\"NEWNET\""),
        ("B62", r#"{"namespaces":["NEWNS","NEWNS"]}"#, "1:24", "namespaces[1]", "already namespaces[0]"),
        ("", r#"{"namespaces":["NEWUTS"]}"#, "1:15", "namespaces", "must contain NEWNS"),
        (
            "B63",
            r#"{"namespaces":["NEWNS",{"type":"NEWUSER","path":"/x"}],"uid_mappings":[{"container_id":0,"host_id":0,"size":1}],"gid_mappings":[{"container_id":0,"host_id":0,"size":1}]}"#,
            "1:71",
            "uid_mappings",
            "not a joined one",
        ),
        (
            "B63",
            r#"{"namespaces":["NEWNS",{"type":"NEWNET","path":"netns"}]}"#,
            "1:48",
            "namespaces[1].path",
            "must be absolute",
        ),
        ("B64", r#"{"namespaces":["NEWNS"],"hostname":"a"}"#, "1:36", "hostname", "needs NEWUTS"),
        ("B65", r#"{"hostname":"a/b"}"#, "1:13", "hostname", "must consist of|\"/\""),
        ("B65", r#"{"hostname":"kön"}"#, "1:13", "hostname", "must consist of|\"ö\""),
        (
            "B65",
            r#"{"hostname":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
            "1:13",
            "hostname",
            "65 bytes, limit 64",
        ),
        ("", r#"{"time_offsets":{}}"#, "1:17", "time_offsets", "needs NEWTIME"),
    ]);
}

#[test]
fn id_mappings() {
    let rows = [
        (r#"{"container_id":0,"host_id":0,"size":0}"#, "size", "at least 1"),
        (r#"{"container_id":0,"host_id":4294967295,"size":1}"#, "host_id", "exceed 4294967294"),
        (r#"{"container_id":4294967290,"host_id":0,"size":9}"#, "container_id", "exceed"),
        (
            r#"{"container_id":0,"host_id":0,"size":9},{"container_id":5,"host_id":9,"size":1}"#,
            "container_id",
            "overlaps with uid_mappings[0]",
        ),
        (
            r#"{"container_id":0,"host_id":0,"size":9},{"container_id":9,"host_id":8,"size":1}"#,
            "host_id",
            "overlaps with uid_mappings[0]",
        ),
    ];
    for (maps, key, words) in rows {
        let gids = r#"[{"container_id":0,"host_id":0,"size":1}]"#;
        let text = format!(
            r#"{{"namespaces":["NEWNS","NEWUSER"],"uid_mappings":[{maps}],"gid_mappings":{gids}}}"#
        );
        let faults = Container::from_str(&text, "c").unwrap_err();
        let fault = faults.iter().next().unwrap();
        assert!(fault.path.ends_with(key) && fault.message.contains(words), "B66: {faults}");
        assert_eq!(faults.len(), 1, "{faults}");
    }
}

/// Rows for one key of an object: number, value, words.
fn values(before: &str, after: &str, path: &str, rows: &[(&str, &str, &str)]) {
    for (number, value, words) in rows {
        let text = format!("{before}{value}{after}");
        let faults = Container::from_str(&text, "c").expect_err(&text);
        let message = faults.to_string();
        let fault = faults.iter().next().unwrap();
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
    veth("mac_address", "", &[("", "\"1:2\"", "six hexadecimal"), ("", "\"03:00:00:00:00:01\"", "unicast")]);
    values(
        "{\"namespaces\":[\"NEWNS\"],\"networks\":",
        "}",
        "networks",
        &[("B81", "[{\"type\":\"loopback\"}]", "needs NEWNET")],
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
