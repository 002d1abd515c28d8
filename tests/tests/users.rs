//! Who the program runs as, and what it finds around itself.

use tests::{Sandbox, require};

#[track_caller]
fn identity(user: &str, expected: &str) {
    let sandbox = Sandbox::new().config(&format!(r#"{{"user": "{user}"}}"#));
    sandbox.run(["probe", "id"]).code(0).stdout(&format!("{expected}\n"));
}

#[track_caller]
fn refused(user: &str) {
    let sandbox = Sandbox::new()
        .file("etc/passwd", "root:x:0:0::/:/bin/sh\n-1:x:0:0::/:\n0x0:x:0:0::/:\n+5:x:0:0::/:\n4294967296:x:0:0::/:\n")
        .config(&format!(r#"{{"user": "{user}"}}"#));
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("user");
}

#[test]
fn root_is_the_default() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.run(["probe", "id"]).code(0).stdout_has("uid=0 gid=0");
    }
}

#[test]
fn a_name_brings_its_groups() {
    require!(Root);
    identity("www", "uid=33 gid=34 groups=34,63");
}

#[test]
fn a_group_can_be_named() {
    require!(Root);
    identity("www:audio", "uid=33 gid=63 groups=63");
    identity("1000:1001", "uid=1000 gid=1001 groups=1001");
}

#[test]
fn digits_are_an_id_and_use_its_line_of_passwd() {
    require!(Root);
    identity("33", "uid=33 gid=34 groups=34,63");
    identity("4711", "uid=4711 gid=0 groups=0");
}

#[test]
fn digits_are_never_a_name() {
    // CVE-2016-3697: a user whose name is a number.
    require!(Root);
    let sandbox =
        Sandbox::new().file("etc/passwd", "1000:x:0:0::/:\n").config(r#"{"user": "1000"}"#);
    sandbox.run(["probe", "id"]).code(0).stdout_has("uid=1000");
}

#[test]
fn what_is_neither_name_nor_id_is_refused() {
    // CVE-2024-40635: ids that overflow become root.
    require!(Root);
    let users = [
        "-1",
        "0x0",
        "+5",
        "4294967295",
        "4294967296",
        "99999999999999999999",
        "nobody-here",
        ":",
        "1:2:3",
    ];
    users.iter().for_each(|user| refused(user));
}

#[test]
fn additional_groups_are_added() {
    require!(Root);
    let sandbox =
        Sandbox::new().config(r#"{"user": "1000:1000", "additional_groups": ["audio", "7"]}"#);
    sandbox
        .run(["probe", "id"])
        .code(0)
        .stdout_has("uid=1000 gid=1000")
        .stdout_has("7")
        .stdout_has("63");
}

#[test]
fn the_command_line_overrides_the_user() {
    require!(Root);
    let sandbox = Sandbox::new().config(r#"{"user": "www"}"#);
    sandbox
        .nsinit(["exec", "--quiet", "--user", "1:1", "probe", "id"])
        .code(0)
        .stdout_has("uid=1 gid=1");
}

#[test]
fn a_bind_over_passwd_counts() {
    require!(Root);
    let sandbox = Sandbox::new().host_file("passwd", "guest:x:501:502::/:\n").config(
        r#"{"user": "guest", "mounts": [{"source": "$HOST/passwd", "destination": "/etc/passwd"}]}"#,
    );
    sandbox.run(["probe", "id"]).code(0).stdout_has("uid=501 gid=502");
}

#[test]
fn a_passwd_file_that_is_a_device_is_refused() {
    // CVE-2026-47262: reading accounts without bounds.
    require!(Root);
    let sandbox = Sandbox::new().symlink("etc/passwd", "/dev/zero").config(r#"{"user": "www"}"#);
    sandbox.run(["probe", "id"]).code(125).stdout("");
}

#[test]
fn the_environment_is_the_configurations() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"environment": ["PATH=/bin", "GREETING=hello"]}"#);
        sandbox.run(["probe", "env"]).code(0).stdout("GREETING=hello\nPATH=/bin\n");
    }
}

#[test]
fn the_default_environment_has_nothing_of_the_host() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.env("LD_PRELOAD", "/evil.so").config(r#"{"hostname": "box"}"#);
        let outcome = sandbox.run(["probe", "env"]);
        let out = outcome.code(0).stdout_has("HOME=/root\n").stdout_has("HOSTNAME=box\n").out();
        let keys: Vec<&str> = out.lines().filter_map(|line| line.split('=').next()).collect();
        assert_eq!(keys, ["HOME", "HOSTNAME", "LANG", "PATH"]);
    }
}

#[test]
fn the_working_directory_is_the_configured_one() {
    require!(Container);
    Sandbox::new().run(["probe", "cwd"]).code(0).stdout("/\n");
    Sandbox::new()
        .config(r#"{"working_dir": "/tmp"}"#)
        .run(["probe", "cwd"])
        .code(0)
        .stdout("/tmp\n");
}

#[test]
fn a_missing_working_directory_is_an_error() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"working_dir": "/nowhere"}"#);
    sandbox.run(["probe", "cwd"]).code(125).stdout("").stderr_has("/nowhere");
}

#[test]
fn host_and_domain_name_are_the_configured_ones() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"hostname": "koye", "domainname": "example"}"#);
        sandbox.run(["probe", "hostname", ",", "domainname"]).code(0).stdout("koye\nexample\n");
    }
}

#[test]
fn the_umask_is_not_the_callers() {
    require!(Container);
    Sandbox::new().with("umask=777").run(["probe", "umask"]).code(0).stdout("0022\n");
    Sandbox::new().config(r#"{"umask": 63}"#).run(["probe", "umask"]).code(0).stdout("0077\n");
}
