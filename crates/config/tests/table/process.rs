//! The program, its limits, its namespaces and ids.

use super::{Row, rows, values};

pub(crate) fn program() -> Vec<Row> {
    rows(&[
        ("B29", r#"{"args":[]}"#, "1:9", "args", "is empty|name a program"),
        ("", r#"{"args":"sh -c ls"}"#, "1:9", "args", r#"write ["sh", "-c", "ls"]"#),
        ("", r#"{"args":"ls | wc"}"#, "1:9", "args", r#"write ["sh", "-c", "ls | wc"]"#),
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
        (
            "B36",
            r#"{"additional_groups":["4294967295"]}"#,
            "1:23",
            "additional_groups[0]",
            "at most",
        ),
        ("B42", r#"{"umask":1000}"#, "1:10", "umask", "at most 0o777, got 0o1750"),
        ("B42", r#"{"umask":755}"#, "1:10", "umask", "\"0755\""),
        ("B42", r#"{"umask":22}"#, "1:10", "umask", "22 is 0026 in octal|\"0022\""),
        ("B42", r#"{"umask":"0899"}"#, "1:10", "umask", "octal digits"),
        ("B44", r#"{"oom_score_adj":1001}"#, "1:18", "oom_score_adj", "-1000 to 1000"),
        ("B88", r#"{"parent_death_signal":"KIL"}"#, "1:24", "parent_death_signal", "\"KILL\""),
        ("B88", r#"{"parent_death_signal":"SIGTREM"}"#, "1:24", "parent_death_signal", "\"TERM\""),
        ("B88", r#"{"parent_death_signal":"0"}"#, "1:24", "parent_death_signal", "unknown signal"),
        ("B88", r#"{"parent_death_signal":65}"#, "1:24", "parent_death_signal", "must be a string"),
    ])
}

pub(crate) fn privileges() -> Vec<Row> {
    rows(&[
        (
            "B37",
            r#"{"capabilities_add":["SYS_ADMN"]}"#,
            "1:22",
            "capabilities_add[0]",
            "\"SYS_ADMIN\"",
        ),
        ("", r#"{"capabilities":"ALL"}"#, "1:17", "capabilities", "name each of them"),
        ("", r#"{"capabilities":["all"]}"#, "1:18", "capabilities[0]", "name each of them"),
        ("B37", r#"{"capabilities":["CAP_FOO"]}"#, "1:18", "capabilities[0]", "unknown capability"),
        (
            "",
            r#"{"capabilities":["KILL"],"capabilities_mask":["KILL"]}"#,
            "1:46",
            "capabilities_mask",
            "excludes capabilities",
        ),
        ("B39", r#"{"rlimits":{"nofiles":{}}}"#, "1:13", "rlimits.nofiles", "\"nofile\""),
        ("B39", r#"{"rlimits":{"RLIMIT_CPUS":{}}}"#, "1:13", "rlimits.RLIMIT_CPUS", "\"cpu\""),
        ("B39", r#"{"rlimits":{"cpu":7}}"#, "1:19", "rlimits.cpu", "{\"soft\": 7, \"hard\": 7}"),
        (
            "B39",
            r#"{"rlimits":{"core":{"soft":0,"hard":"64k"}}}"#,
            "1:37",
            "rlimits.core.hard",
            "\"unlimited\", got \"64k\"|use 65536",
        ),
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
        ("B45", r#"{"seccomp":{"syscalls":[]}}"#, "1:12", "seccomp", "reserved|unconfined"),
        ("B45", r#"{"seccomp":"unconfind"}"#, "1:12", "seccomp", "did you mean \"unconfined\"?"),
        (
            "B46",
            r#"{"context":{"process_label":"a\nb"}}"#,
            "1:29",
            "context.process_label",
            "line feed",
        ),
    ])
}

pub(crate) fn namespaces() -> Vec<Row> {
    rows(&[
        ("B61", r#"{"namespaces":["NEWNS","NEWNT"]}"#, "1:24", "namespaces[1]", "\"NEWNET\""),
        ("B61", r#"{"namespaces":["network"]}"#, "1:16", "namespaces[0]", "\"NEWNET\""),
        ("B61", r#"{"namespaces":["CLONE_NEWNS"]}"#, "1:16", "namespaces[0]", "\"NEWNS\""),
        (
            "B62",
            r#"{"namespaces":["NEWNS","NEWNS"]}"#,
            "1:24",
            "namespaces[1]",
            "already namespaces[0]",
        ),
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
    ])
}

pub(crate) fn ids() -> Vec<Row> {
    let before = r#"{"namespaces":["NEWNS","NEWUSER"],"gid_mappings":[{"container_id":0,"host_id":0,"size":1}],"uid_mappings":["#;
    let lines = |key: &str, inside: &str, fields: &[(&'static str, &str, &'static str)]| {
        values(&format!("{before}{inside}"), "}]}", &format!("uid_mappings{key}"), fields)
    };
    let overlap = "overlaps with uid_mappings[0]";
    let second = r#"{"container_id":0,"host_id":0,"size":9},{"size":1,"#;
    [
        lines(
            "[0].size",
            r#"{"container_id":0,"host_id":0,"size":"#,
            &[
                ("B66", "0", "at least 1, got 0"),
                ("B66", "-1", "must not be negative"),
                ("B66", "4294967296", "from 0 to 4294967295, got 4294967296"),
            ],
        ),
        lines(
            "[0].host_id",
            r#"{"container_id":0,"size":1,"host_id":"#,
            &[("B66", "4294967295", "exceed 4294967294")],
        ),
        lines(
            "[0].container_id",
            r#"{"host_id":0,"size":9,"container_id":"#,
            &[("B66", "4294967290", "4294967290 and 8 more exceed 4294967294")],
        ),
        lines(
            "[1].container_id",
            &format!(r#"{second}"host_id":9,"container_id":"#),
            &[("B66", "5", overlap)],
        ),
        lines(
            "[1].host_id",
            &format!(r#"{second}"container_id":9,"host_id":"#),
            &[("B66", "8", overlap)],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
