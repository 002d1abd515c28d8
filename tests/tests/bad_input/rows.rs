//! What the host and the command line can have wrong, and what is told.

/// Rows that have no place here, and why.
pub(super) const ELSEWHERE: [(&str, &str); 9] = [
    ("B38", "ambient capabilities are no key: they follow from user and capabilities"),
    ("B43", "a terminal without one on standard input is accepted: tests/terminal.rs"),
    ("B85", "a container has no name but its directory"),
    ("B86", "a container has no name but its directory"),
    ("B92", "the host has to forbid user namespaces: crates/namespaces/tests/kernel/denials.rs"),
    ("B93", "there is no stopped container: exec starts one"),
    ("B94", "as B43"),
    ("B96", "there is no update"),
    ("B89", "there is no --pid-file: the file `pid` lies in the container's directory"),
];

/// What only the host can show: number, text, position, key, words.
pub(super) type HostRow = (&'static str, &'static str, &'static str, &'static str, &'static str);

pub(super) const HOST: [HostRow; 19] = [
    ("B34", r#"{"working_dir":"/nowhere"}"#, "1:16", "working_dir", "no such file|made by a mount"),
    ("B34", r#"{"working_dir":"/etc/passwd"}"#, "1:16", "working_dir", "not a directory"),
    (
        "B35",
        r#"{"user":"nobody2"}"#,
        "1:9",
        "user",
        "\"nobody2\": not in the container's|add it there, or give its number",
    ),
    ("B35", r#"{"user":"1:nogroup2"}"#, "1:9", "user", "\"nogroup2\": not in the container's"),
    (
        "B36",
        r#"{"user":"1","additional_groups":["audio","nogroup2"]}"#,
        "1:42",
        "additional_groups[1]",
        "\"nogroup2\": not in the container's",
    ),
    (
        "B52",
        r#"{"mounts":[{"source":"/nowhere","destination":"/data"}]}"#,
        "1:22",
        "mounts[0].source",
        "/nowhere: no such file or directory|\"optional\": true",
    ),
    (
        "B52",
        r#"{"mounts":[{"source":"/etc/passwd","destination":"/etc"}]}"#,
        "1:50",
        "mounts[0].destination",
        "destination is a directory, the source is not",
    ),
    (
        "B52",
        r#"{"mounts":[{"source":"/etc","destination":"/bin/probe"}]}"#,
        "1:43",
        "mounts[0].destination",
        "destination is not a directory, the source is",
    ),
    (
        "B57",
        r#"{"mounts":[{"source":"/etc","destination":"/loop/x"}]}"#,
        "1:43",
        "mounts[0].destination",
        "/loop/x: too many levels of symbolic links",
    ),
    (
        "B57",
        r#"{"mounts":[{"source":"/etc","destination":"/loop"}]}"#,
        "1:43",
        "mounts[0].destination",
        "is a symbolic link to loop",
    ),
    ("B58", r#"{"rootfs":"nowhere"}"#, "1:11", "rootfs", "nowhere: no such file or directory"),
    ("B58", r#"{"rootfs":"etc/passwd"}"#, "1:11", "rootfs", "is not a directory"),
    ("B58", r#"{"rootfs":"link"}"#, "1:11", "rootfs", "is a symbolic link to etc"),
    ("B58", r#"{"rootfs":"/proc/1/../.."}"#, "1:11", "rootfs", "root of the host"),
    (
        "B63",
        r#"{"namespaces":["NEWNS",{"type":"NEWNET","path":"/etc/passwd"}]}"#,
        "1:48",
        "namespaces[1].path",
        "not a namespace (NEWNET expected)",
    ),
    (
        "B63",
        r#"{"namespaces":["NEWNS",{"type":"NEWNET","path":"/proc/self/ns/uts"}]}"#,
        "1:48",
        "namespaces[1].path",
        "a NEWUTS namespace, not NEWNET",
    ),
    (
        "B63",
        r#"{"namespaces":["NEWNS",{"type":"NEWNET","path":"/nowhere"}]}"#,
        "1:48",
        "namespaces[1].path",
        "/nowhere: No such file or directory",
    ),
    (
        "B63",
        r#"{"namespaces":["NEWNS",{"type":"NEWPID","path":"/proc/self/ns/pid"}]}"#,
        "1:15",
        "namespaces",
        "NEWPID with a path is not supported",
    ),
    (
        "",
        r#"{"init":true,"namespaces":["NEWNS"]}"#,
        "1:9",
        "init",
        "needs a new PID namespace (NEWPID)",
    ),
];

/// Needs root, and cgroups of either version.
pub(super) const LIMITS: [HostRow; 2] = [
    (
        "B69",
        r#"{"cgroups":{"cpuset_cpus":"0,8000"}}"#,
        "1:27",
        "cgroups.cpuset_cpus",
        "8000 is not online: this host has 0",
    ),
    (
        "B69",
        r#"{"cgroups":{"cpuset_mems":"1000"}}"#,
        "1:27",
        "cgroups.cpuset_mems",
        "1000 is not online: this host has 0",
    ),
];

/// Needs root, and a memory controller of cgroup v1.
pub(super) const V2_LIMITS: [HostRow; 3] = [
    (
        "B73",
        r#"{"cgroups":{"memory_high":8388608}}"#,
        "1:27",
        "cgroups.memory_high",
        "needs cgroup v2",
    ),
    ("B73", r#"{"cgroups":{"oom_group":true}}"#, "1:25", "cgroups.oom_group", "needs cgroup v2"),
    (
        "B73",
        r#"{"cgroups":{"unified":{"memory.low":"0"}}}"#,
        "1:37",
        "cgroups.unified[\"memory.low\"]",
        "needs cgroup v2",
    ),
];

/// Needs root; in a network namespace that has the bridge `br0` with 10.0.0.1 and 1400.
pub(super) const BRIDGES: [HostRow; 6] = [
    (
        "B75",
        r#"{"networks":[{"type":"loopback"},{"type":"veth","context":{"bridge":"br7"}}]}"#,
        "1:69",
        "networks[1].context.bridge",
        "bridge br7: there is none|ip link add br7 type bridge|\"create\": true",
    ),
    (
        "B75",
        r#"{"networks":[{"type":"veth","context":{"bridge":"lo"}}]}"#,
        "1:49",
        "networks[0].context.bridge",
        "bridge lo: not a bridge",
    ),
    (
        "B78",
        r#"{"networks":[{"type":"veth","context":{"bridge":"br0"},"mtu":1500}]}"#,
        "1:62",
        "networks[0].mtu",
        "mtu 1500: above the 1400 of bridge br0",
    ),
    (
        "B79",
        r#"{"networks":[{"type":"veth","context":{"bridge":"br0"},"name":"all"}]}"#,
        "1:63",
        "networks[0].name",
        "interface \"all\": is reserved",
    ),
    (
        "B80",
        r#"{"networks":[{"type":"veth","context":{"bridge":"br0"},"address":"10.0.0.1/24"}]}"#,
        "1:66",
        "networks[0].address",
        "address 10.0.0.1: in use by br0",
    ),
    (
        "B80",
        r#"{"networks":[{"type":"veth","context":{"bridge":"br0"},"address":"10.0.0.2/24"},{"type":"veth","context":{"bridge":"br0"},"address":"10.0.0.2/24"}]}"#,
        "1:133",
        "networks[1].address",
        "address 10.0.0.2: in use by eth0",
    ),
];

/// Number, arguments, exit code, words of standard error.
pub(super) type CommandRow = (&'static str, &'static [&'static str], i32, &'static str);

pub(super) const COMMANDS: [CommandRow; 31] = [
    ("B29", &["exec"], 2, "no program|\"args\""),
    ("B29", &["plan"], 2, "no program|\"args\""),
    ("B30", &["exec", ""], 2, "the program's name is empty"),
    ("B31", &["exec", "--env", "FOO", "probe"], 2, "--env|KEY=VALUE"),
    ("B32", &["exec", "--env", "=x", "probe"], 2, "--env|KEY=VALUE"),
    ("B33", &["exec", "--cwd", "srv", "probe"], 2, "--cwd|must be absolute"),
    ("B34", &["exec", "--cwd", "/nowhere", "probe"], 125, "--cwd: /nowhere: no such file"),
    ("B34", &["exec", "--cwd", "/a/../b", "probe"], 2, "--cwd: must not contain \"..\""),
    ("B35", &["exec", "--user=-1", "probe"], 2, "--user: \"-1\" is neither a user id nor"),
    ("B35", &["exec", "--user", "nobody2", "probe"], 125, "--user|not in the container's"),
    ("B47", &["exec", "--bind", "/etc:data", "probe"], 2, "--bind|an absolute DST"),
    (
        "",
        &["exec", "--bind", "/etc:/data:z", "probe"],
        2,
        "--bind|\"z\", which is neither rw nor ro",
    ),
    ("", &["exec", "--bind", "/etc:/data:", "probe"], 2, "--bind|\"\", which is neither"),
    ("", &["exec", "--bind", "a:/b:c:rw", "probe"], 2, "--bind|takes paths with a colon"),
    ("B48", &["exec", "--bind", "/etc:/../x", "probe"], 2, "--bind to /../x: must not contain"),
    (
        "B52",
        &["exec", "--bind", "$HOST/nowhere:/data", "probe"],
        125,
        "--bind to /data: $HOST/nowhere: no",
    ),
    (
        "B56",
        &["exec", "--bind", "/etc:/proc/x", "probe"],
        2,
        "--bind to /proc/x: must not be below",
    ),
    ("B84", &[], 2, "Usage: nsinit"),
    ("B84", &["exce"], 2, "'exce'|similar|'exec'"),
    ("B84", &["exec", "--nowhere", "probe"], 2, "--nowhere"),
    ("B84", &["exec", "--usr", "x", "probe"], 2, "'--usr'|similar|'--user'"),
    ("B84", &["exec", "--network", "hst", "probe"], 2, "--network|host, none"),
    ("B87", &["--root", "$HOST/nowhere", "exec", "probe"], 125, "open $HOST/nowhere: No such"),
    ("B87", &["plan", "--root", "$ROOT/etc/passwd", "probe"], 125, "etc/passwd: not a directory"),
    ("B87", &["--log", "$HOST/nowhere/log", "exec", "probe"], 125, "open the log|No such file"),
    ("B90", &["exec", "--user"], 2, "a value is required for '--user"),
    ("B90", &["exec", "--user", "a", "--user", "b", "probe"], 2, "--user|multiple times"),
    ("B90", &["exec", "--user", "-1", "probe"], 2, "'-1'"),
    ("B90", &["exec", "--tty=1", "probe"], 2, "--tty"),
    ("B90", &["exec", "--", "--user"], 127, "--user: executable file not found"),
    ("B90", &["spec", "probe"], 2, "'probe'"),
];
