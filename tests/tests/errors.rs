//! Bad input: a clear error with its place, exit 125, nothing created.

use std::os::unix::fs::symlink;

use tests::{Sandbox, require};

/// The configuration is refused with all of these words, and nothing runs.
#[track_caller]
fn refused(json: &str, words: &[&str]) {
    let sandbox = Sandbox::new().config(json);
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    outcome.code(125).stdout("").stderr_has("container.json:1:");
    for word in words {
        outcome.stderr_has(word);
    }
    sandbox.assert_clean();
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    refused(r#"{"hostnam": "x"}"#, &["container.json:1:2", "hostnam", "\"hostname\""]);
    refused(r#"{"mounts": [{"sorce": "/a", "destination": "/b"}]}"#, &["mounts[0]", "\"source\""]);
}

#[test]
fn a_reserved_key_is_refused_as_such() {
    for json in [r#"{"hooks": {}}"#, r#"{"ports": []}"#, r#"{"networks": [{"type": "macvlan"}]}"#] {
        refused(json, &["reserved"]);
    }
}

#[test]
fn a_wrong_type_is_refused() {
    refused(r#"{"hostname": 5}"#, &["hostname", "string"]);
    refused(r#"{"mounts": {}}"#, &["mounts"]);
    refused(r#"{"args": "sh"}"#, &["args"]);
}

#[test]
fn an_amount_in_words_is_refused_with_its_number() {
    refused(r#"{"cgroups": {"memory": "512m"}}"#, &["cgroups.memory", "536870912"]);
}

#[test]
fn an_unknown_namespace_is_refused_with_the_nearest_one() {
    refused(r#"{"namespaces": ["NEWNS", "NEWNT"]}"#, &["namespaces[1]", "NEWNET"]);
}

#[test]
fn namespaces_without_a_mount_namespace_are_refused() {
    refused(r#"{"namespaces": ["NEWPID"]}"#, &["namespaces", "NEWNS"]);
}

#[test]
fn an_unknown_capability_is_refused_with_the_nearest_one() {
    refused(r#"{"capabilities": ["SYS_ADMN"]}"#, &["capabilities[0]", "SYS_ADMIN"]);
}

#[test]
fn a_relative_destination_is_refused() {
    refused(
        r#"{"mounts": [{"source": "/", "destination": "etc"}]}"#,
        &["mounts[0].destination", "absolute"],
    );
}

#[test]
fn a_destination_that_climbs_is_refused() {
    refused(r#"{"mounts": [{"source": "/", "destination": "/../x"}]}"#, &["mounts[0].destination"]);
}

#[test]
fn negative_memory_is_refused() {
    refused(r#"{"cgroups": {"memory": -5}}"#, &["cgroups.memory", "-5"]);
}

#[test]
fn an_address_without_its_prefix_length_is_refused() {
    let with = |address: &str| {
        format!(
            r#"{{"networks": [{{"type": "veth", "context": {{"bridge": "b", "prefix": "v"}}, "address": "{address}"}}]}}"#
        )
    };
    for address in ["10.0.0.1", "10.0.0.1/33", "300.1.1.1/8", "x"] {
        refused(&with(address), &["networks[0].address"]);
    }
}

#[test]
fn a_gateway_outside_the_subnet_is_refused() {
    refused(
        r#"{"networks": [{"type": "veth", "context": {"bridge": "b", "prefix": "v"}, "address": "10.0.0.2/24", "gateway": "10.0.1.1"}]}"#,
        &["networks[0].gateway", "10.0.1.1"],
    );
}

#[test]
fn an_interface_name_over_15_bytes_is_refused() {
    refused(
        r#"{"networks": [{"type": "veth", "name": "sixteen-bytes-xx", "context": {"bridge": "b", "prefix": "v"}}]}"#,
        &["networks[0].name", "15"],
    );
    refused(
        r#"{"networks": [{"type": "veth", "context": {"bridge": "sixteen-bytes-xx", "prefix": "v"}}]}"#,
        &["networks[0].context.bridge"],
    );
}

#[test]
fn networks_without_their_namespace_are_refused() {
    refused(
        r#"{"namespaces": ["NEWNS"], "networks": [{"type": "loopback"}]}"#,
        &["networks", "NEWNET"],
    );
}

#[test]
fn a_nul_byte_is_refused_wherever_it_stands() {
    refused(r#"{"hostname": "a\u0000b"}"#, &["hostname", "NUL"]);
    refused(r#"{"args": ["a\u0000b"]}"#, &["args[0]", "NUL"]);
    refused(r#"{"environment": ["A=\u0000"]}"#, &["environment[0]", "NUL"]);
    refused(r#"{"working_dir": "/a\u0000"}"#, &["working_dir", "NUL"]);
}

#[test]
fn a_hostname_needs_its_namespace() {
    refused(r#"{"namespaces": ["NEWNS"], "hostname": "x"}"#, &["hostname", "NEWUTS"]);
}

#[test]
fn time_offsets_need_their_namespace() {
    refused(r#"{"time_offsets": {"monotonic": 1}}"#, &["time_offsets", "NEWTIME"]);
}

#[test]
fn a_duplicate_key_is_refused() {
    refused(r#"{"hostname": "a", "hostname": "b"}"#, &["hostname"]);
}

#[test]
fn a_sysctl_of_the_host_is_refused() {
    refused(r#"{"sysctl": {"kernel.core_pattern": "|/x"}}"#, &["kernel.core_pattern"]);
    refused(r#"{"sysctl": {"net/../kernel/core_pattern": "|/x"}}"#, &["sysctl"]);
    refused(r#"{"sysctl": {"net.ipv4.ip_forward": "1\n2"}}"#, &["sysctl"]);
}

#[test]
fn a_cgroup_outside_its_parent_is_refused() {
    for name in ["../x", "/x", "a/../../x", "", "cgroup.procs", "a\\nb"] {
        refused(&format!(r#"{{"cgroups": {{"name": "{name}"}}}}"#), &["cgroups.name"]);
    }
}

#[test]
fn all_faults_are_told_at_once() {
    refused(
        r#"{"hostnam": "x", "cgroups": {"memory": -1}, "namespaces": ["NEWNT"]}"#,
        &["hostnam", "cgroups.memory", "namespaces[0]"],
    );
}

#[test]
fn a_text_that_is_no_json_is_refused_with_its_place() {
    for json in
        ["", "   ", "{", r#"{"hostname": }"#, "[]", r#"{"hostname": "x",}"#, "hostname: x", "{} {}"]
    {
        let sandbox = Sandbox::new().config(json);
        sandbox.run(["probe", "echo", "ran"]).code(125).stdout("").stderr_has("container.json");
    }
}

#[test]
fn a_configuration_that_is_no_file_is_refused() {
    Sandbox::new()
        .directory("container.json")
        .run(["probe", "id"])
        .code(125)
        .stderr_has("container.json");
    let device = Sandbox::new();
    symlink("/dev/zero", device.root().join("container.json")).expect("own directory");
    device.run(["probe", "id"]).code(125).stderr_has("container.json");
}

#[test]
fn a_missing_root_filesystem_is_named() {
    for rootfs in ["nowhere", "/", "etc/passwd"] {
        let sandbox = Sandbox::new().config(&format!(r#"{{"rootfs": "{rootfs}"}}"#));
        let outcome = sandbox.run(["probe", "id"]);
        outcome.code(125).stdout("").stderr_has("container.json:1:12: rootfs: ").stderr_has(rootfs);
    }
}

#[test]
fn a_missing_source_of_a_bind_is_named() {
    require!(Container);
    let sandbox = Sandbox::new().config(
        r#"{"mounts": [{"source": "$HOST", "destination": "/tmp"}, {"source": "$HOST/nowhere", "destination": "/data"}]}"#,
    );
    let place = "mounts[1].source: $HOST/nowhere: no such file or directory\n";
    let outcome = sandbox.run(["probe", "id"]);
    outcome.code(125).stdout("").stderr_has(&sandbox.fill(place)).stderr_has("container.json:1:");
    sandbox.assert_clean();
}

#[test]
fn what_is_wrong_with_a_mount_is_told_at_its_key() {
    require!(Container);
    let mount = |mount: &str| {
        let sandbox = Sandbox::new().host_file("file", "").config(&format!(
            r#"{{"mounts": [{{"source": "$HOST", "destination": "/tmp"}}, {mount}]}}"#
        ));
        sandbox.run(["probe", "id"]).code(125).stdout("").err()
    };
    let err = mount(r#"{"source": "$HOST/file", "destination": "/etc"}"#);
    assert!(err.contains(" mounts[1].destination: /etc: destination is a directory"), "{err}");
    let err = mount(r#"{"type": "file", "content": "", "destination": "/x", "options": ["rw"]}"#);
    assert!(err.contains(" mounts[1].options"), "{err}");
}

#[test]
fn a_missing_source_of_the_command_line_is_told_as_such() {
    require!(Container);
    let sandbox = Sandbox::new().config("{}");
    let outcome = sandbox.nsinit(["exec", "--bind", "$HOST/nowhere:/data", "probe", "id"]);
    outcome.code(125).stderr_has(&sandbox.fill("--bind to /data: $HOST/nowhere: no such file"));
    outcome.stderr_lacks("optional");
}

#[test]
fn a_configuration_that_others_can_write_is_refused_to_root() {
    require!(Root);
    for mode in [0o666, 0o664] {
        let sandbox = Sandbox::new().config("{}").mode("container.json", mode);
        sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("container.json");
    }
}

#[test]
fn a_configuration_of_somebody_else_is_refused_to_root() {
    require!(Root);
    let sandbox = Sandbox::new().config("{}");
    std::os::unix::fs::chown(sandbox.root().join("container.json"), Some(1234), None)
        .expect("root may");
    sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has("container.json");
}

#[test]
fn an_error_is_one_line_and_no_control_characters() {
    require!(Container);
    let outcome = Sandbox::new().run(["/bin/\u{1b}]0;x\u{7}\nfake"]);
    outcome.code(127).stderr_lacks("\u{1b}").stderr_lacks("\nfake");
    let sandbox = Sandbox::new().config(r#"{"rootfs": "no\u001b]0;x"}"#);
    let outcome = sandbox.run(["probe"]);
    outcome.code(125).stderr_has("container.json:1:12: rootfs: ").stderr_lacks("\u{1b}");
}
