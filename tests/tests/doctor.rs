//! `nsinit doctor`: would this configuration run here, as this user?

use tests::{Sandbox, require};

#[test]
fn a_configuration_that_runs_is_told_so_and_nothing_is_made() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"hostname": "koye"}"#);
        let outcome = sandbox.nsinit(["doctor", "probe"]);
        outcome.code(0).stderr("").stdout_lacks("PROBLEM").stdout_has("/bin/probe\n");
        outcome.stdout_has("nothing was found that stands in the way\n");
        assert!(!sandbox.root().join("proc").exists(), "it made a directory");
        assert!(!sandbox.state_directory().exists(), "it made an entry");
        sandbox.assert_clean();
        sandbox.run(["probe", "echo", "ran"]).code(0).stdout("ran\n");
    }
}

#[test]
fn the_built_in_container_is_examined_too() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let outcome = sandbox.emptied().nsinit(["doctor", "sh"]);
        outcome.code(0).stdout_has("built-in container").stdout_has("/usr/bin/sh\n");
    }
}

#[test]
fn the_host_is_told_as_a_table() {
    let outcome = Sandbox::new().nsinit(["doctor"]);
    for name in ["kernel ", "cgroups ", "security modules ", "user namespaces ", "subordinate ids "]
    {
        outcome.stdout_has(&format!("\n  {name}"));
    }
    outcome.stdout_lacks("  program ");
}

#[test]
fn faults_of_the_configuration_are_among_the_problems() {
    let sandbox = Sandbox::new().config(r#"{"hostnam": "x", "namespaces": ["NEWNT"]}"#);
    let outcome = sandbox.nsinit(["doctor", "probe"]);
    outcome.code(1).stdout_has("container.json:1:2: hostnam").stdout_has("NEWNET");
    outcome.stdout_has("\n  kernel ");
}

#[test]
fn it_is_printed_for_tools() {
    require!(Container);
    let sandbox = Sandbox::new()
        .config(r#"{"mounts": [{"source": "$HOST/nowhere", "destination": "/data"}]}"#);
    let outcome = sandbox.nsinit(["doctor", "--format", "json", "probe"]);
    outcome.code(1).stdout_has("\"runs\": false").stdout_has("\"name\": \"kernel\"");
    outcome.stdout_has("\"result\": \"problem\"").stdout_has("nowhere: no such file or directory");
    let outcome = sandbox.config("{}").nsinit(["doctor", "--format", "json", "probe"]);
    outcome.code(0).stdout_has("\"runs\": true").stdout_lacks("\"problem\"");
}

#[test]
fn a_profile_for_this_executable_is_printed() {
    let outcome = Sandbox::new().nsinit(["doctor", "--apparmor-profile"]);
    outcome.code(0).stderr("").stdout_has("\nprofile nsinit \"/").stdout_has("  userns,\n");
    outcome.stdout_lacks("kernel");
}

/// One problem with this program, told in these words.
#[track_caller]
fn told(sandbox: &Sandbox, program: &str, words: &str) {
    let outcome = sandbox.nsinit(["doctor", program]);
    outcome.code(1).stdout_has(&format!("  PROBLEM  program            {program}: {words}"));
    outcome.stdout_has("it would not run here: one problem");
}

#[test]
fn a_program_that_would_not_start_is_told() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox
            .config(r#"{"environment": ["PATH=/opt:/usr/bin"]}"#)
            .executable("bin/script", "#!/bin/nowhere\n")
            .file("bin/closed", "#!/bin/probe\n")
            .mode("bin/closed", 0o644)
            .executable("bin/text", "echo hello\n");
        told(&sandbox, "nowhere", "executable file not found in $PATH of the container (/opt:");
        told(&sandbox, "/bin/script", "its #! line names /bin/nowhere: no such file or directory");
        told(&sandbox, "/bin/closed", "may not be executed by user 0 (mode 0644, owner 0:0)");
        told(&sandbox, "/bin/text", "is no program, and no script either");
        told(&sandbox, "/etc", "is a directory: Permission denied");
    }
}

#[test]
fn a_program_on_a_mount_is_left_to_the_launch() {
    require!(Container);
    let sandbox = Sandbox::new()
        .host_file("tool", "")
        .config(r#"{"mounts": [{"source": "$HOST", "destination": "/data"}]}"#);
    let outcome = sandbox.nsinit(["doctor", "/data/tool"]);
    outcome.code(0).stdout_has("  ?        program            /data/tool may lie on /data\n");
}

#[test]
fn a_missing_working_directory_is_told() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"working_dir": "/srv"}"#);
    let outcome = sandbox.nsinit(["doctor", "probe"]);
    outcome.code(1).stdout_has("PROBLEM  plan ").stdout_has("working_dir: /srv: no such");
}

#[test]
fn a_limit_above_the_callers_is_told() {
    require!(Root, UserNamespaces);
    let sandbox = Sandbox::new().as_user(tests::ORDINARY).with("nofile=256");
    let sandbox = sandbox.config(r#"{"rlimits": {"nofile": {"soft": 512, "hard": 512}}}"#);
    let outcome = sandbox.nsinit(["doctor", "probe"]);
    outcome.code(1).stdout_has("PROBLEM  resource limits    set rlimit nofile 512:512\n");
}

#[test]
fn a_kernel_parameter_that_is_not_there_is_told() {
    require!(Root);
    let sandbox = Sandbox::new().config(r#"{"sysctl": {"net.ipv4.nowhere": "1"}}"#);
    let outcome = sandbox.nsinit(["doctor", "probe"]);
    outcome.code(1).stdout_has("this kernel has no net.ipv4.nowhere\n");
    sandbox.run(["probe", "id"]).code(125).stderr_has("this kernel has no net.ipv4.nowhere\n");
}
