//! The table of bad input: text that is not JSON, and values of the wrong kind.

mod rows;

use rows::check;

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
        ("B10", "{\0\"\0t\0", "1:1", "", "is UTF-16, must be UTF-8"),
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
        ("B24", r#"{"mounts":[["/a"]]}"#, "1:12", "mounts[0]", "an object, got an array"),
        ("B24", r#"{"rlimits":{"cpu":[1,2]}}"#, "1:19", "rlimits.cpu", "an object, got an array"),
        ("B24", r#"{"rootfs":["tmpfs"]}"#, "1:11", "rootfs", "string or an object, got an array"),
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
