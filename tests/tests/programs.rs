//! Finding and executing the program.

use tests::{Sandbox, require};

#[test]
fn a_missing_program_gives_127() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.run(["nowhere"]).code(127).stdout("").stderr_has("nowhere").stderr_has("not found");
        sandbox.run(["/bin/nowhere"]).code(127).stderr_has("/bin/nowhere");
    }
}

#[test]
fn a_program_that_cannot_be_executed_gives_126() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox
            .file("bin/text", "hello\n")
            .executable("bin/empty", "")
            .executable("bin/elf", "\x7fELF");
        for path in ["/bin/text", "/bin/empty", "/bin/elf", "/etc"] {
            sandbox.run([path]).code(126).stderr_has(path);
        }
    }
}

#[test]
fn a_script_without_its_interpreter_gives_127() {
    require!(Container);
    let sandbox = Sandbox::new().executable("bin/script", "#!/bin/nowhere\n");
    sandbox.run(["/bin/script"]).code(127).stderr_has("/bin/script");
}

#[test]
fn a_script_runs_through_its_interpreter() {
    require!(Container);
    let sandbox = Sandbox::new().executable("bin/script", "#!/bin/probe args\n");
    sandbox.run(["/bin/script"]).code(0).stdout("/bin/script\n");
}

#[test]
fn the_containers_path_is_searched() {
    require!(Container);
    let sandbox = Sandbox::new()
        .directory("opt")
        .executable("opt/tool", "#!/bin/probe args\n")
        .config(r#"{"environment": ["PATH=/opt:/bin"]}"#);
    sandbox.run(["tool"]).code(0).stdout("/opt/tool\n");
}

#[test]
fn relative_elements_of_path_are_skipped() {
    require!(Container);
    let sandbox = Sandbox::new()
        .executable("probe", "#!/bin/probe ready\n")
        .config(r#"{"environment": ["PATH=PATH=$PATH:.::bin:/bin"], "working_dir": "/"}"#);
    sandbox.run(["probe", "echo", "right"]).code(0).stdout("right\n");
}

#[test]
fn a_file_that_cannot_be_executed_does_not_end_the_search() {
    require!(Container);
    let sandbox = Sandbox::new()
        .directory("opt")
        .file("opt/probe", "not a program\n")
        .config(r#"{"environment": ["PATH=/opt:/bin"]}"#);
    sandbox.run(["probe", "echo", "right"]).code(0).stdout("right\n");
}

#[test]
fn a_program_with_a_slash_is_relative_to_the_working_directory() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"working_dir": "/bin"}"#);
    sandbox.run(["./probe", "cwd"]).code(0).stdout("/bin\n");
}

#[test]
fn the_rights_of_the_containers_user_count() {
    require!(Root);
    let sandbox =
        Sandbox::new().executable("bin/tool", "#!/bin/probe ready\n").mode("bin/tool", 0o700);
    sandbox.config(r#"{"user": "www"}"#).run(["/bin/tool"]).code(126);
}

#[test]
fn the_launchers_own_executable_is_refused() {
    require!(Container);
    let sandbox = Sandbox::new().executable("bin/self", "#!/proc/self/exe\n");
    let outcome = sandbox.run(["/proc/self/exe", "--version"]);
    outcome.stdout("");
    assert_ne!(outcome.err(), "", "the launcher ran itself");
    sandbox.run(["/bin/self"]).stdout_lacks("Usage");
}
