//! The table of bad input: the process, its files, namespaces and ids.

mod rows;

use nsinit_config::Container;
use rows::check;

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
    ]);
}

#[test]
fn devices() {
    check(&[
        (
            "B36",
            r#"{"additional_groups":["4294967295"]}"#,
            "1:23",
            "additional_groups[0]",
            "at most",
        ),
        (
            "B37",
            r#"{"capabilities_add":["SYS_ADMN"]}"#,
            "1:22",
            "capabilities_add[0]",
            "\"SYS_ADMIN\"",
        ),
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
        (
            "B46",
            r#"{"context":{"process_label":"a\nb"}}"#,
            "1:29",
            "context.process_label",
            "line feed",
        ),
        ("", r#"{"parent_death_signal":"KIL"}"#, "1:24", "parent_death_signal", "signal|\"KILL\""),
    ]);
}

#[test]
fn places_of_mounts() {
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
    ]);
}

#[test]
fn types_and_options_of_mounts() {
    check(&[
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
    ]);
}

#[test]
fn sources_and_keys_of_mounts() {
    check(&[
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

#[test]
fn long_paths_and_many_mounts() {
    use nsinit_config::Mount;
    let message = |mounts: Vec<Mount>| {
        let container = Container { mounts, ..Container::default() };
        container.validate().unwrap_err().to_string()
    };
    let long = message(vec![Mount::tmpfs("/x".repeat(2100))]);
    assert!(long.contains("has 4200 bytes, a path has at most 4095"), "B57: {long}");
    let name = message(vec![Mount::tmpfs(format!("/{}", "x".repeat(256)))]);
    assert!(name.contains("has 256 bytes, the limit is 255"), "B57: {name}");
    let many = message(vec![Mount::tmpfs("/x"); 100_001]);
    assert_eq!(many, "mounts: 100001 entries, limit 100000", "B60");
}
