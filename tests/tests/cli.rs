//! The command line, without a container or around one.

use std::fs;

use tests::{Sandbox, require};

#[test]
fn a_wrong_command_line_gives_2() {
    let sandbox = Sandbox::new();
    sandbox.nsinit([]).code(2);
    sandbox.nsinit(["exce"]).code(2).stderr_has("exec");
    sandbox.nsinit(["exec", "--nowhere", "probe"]).code(2).stderr_has("--nowhere");
    sandbox.nsinit(["exec", "--user"]).code(2);
}

#[test]
fn help_and_version_are_printed() {
    let sandbox = Sandbox::new();
    sandbox.nsinit(["--help"]).code(0).stdout_has("exec").stdout_has("plan");
    sandbox.nsinit(["--version"]).code(0).stdout_has("nsinit 0.");
}

#[test]
fn the_plan_is_printed_and_nothing_is_done() {
    let sandbox = Sandbox::new().config(r#"{"hostname": "koye"}"#);
    sandbox.nsinit(["plan", "probe"]).code(0).stdout_has("mount proc on /proc").stdout_has("koye");
    assert!(!sandbox.root().join("proc").exists(), "the plan made a directory");
    sandbox.assert_clean();
}

#[test]
fn the_plan_is_printed_for_tools() {
    let sandbox = Sandbox::new().config(r#"{"hostname": "koye", "args": ["probe", "a b"]}"#);
    let outcome = sandbox.nsinit(["plan", "--format", "json"]);
    outcome.code(0).stdout_has("\"step\": \"set hostname koye\"").stdout_has("\"a b\"");
    sandbox.nsinit(["plan", "--format", "yaml"]).code(2).stderr_has("json");
    sandbox.assert_clean();
}

#[test]
fn the_plan_of_a_bad_configuration_is_its_faults() {
    let sandbox = Sandbox::new().config(r#"{"hostnam": "x"}"#);
    sandbox.nsinit(["plan", "probe"]).code(125).stdout("").stderr_has("hostnam");
}

#[test]
fn equal_inputs_make_equal_plans() {
    let sandbox = Sandbox::new()
        .config(r#"{"environment": ["B=2", "A=1"], "sysctl": {"net.ipv4.ip_forward": "1"}}"#);
    let plan = sandbox.nsinit(["plan", "probe"]).code(0).out();
    sandbox.nsinit(["plan", "probe"]).stdout(&plan);
}

#[test]
fn another_directory_can_be_named_before_and_after_the_verb() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"hostname": "there"}"#);
    let here = Sandbox::without_root_filesystem();
    let root = sandbox.root().to_string_lossy().into_owned();
    here.nsinit(["--root", &root, "exec", "probe", "hostname"]).code(0).stdout("there\n");
    here.nsinit(["exec", "--root", &root, "probe", "hostname"]).code(0).stdout("there\n");
}

#[test]
fn one_line_says_what_is_used_without_a_configuration() {
    require!(Container);
    let sandbox = Sandbox::new();
    let said = sandbox.nsinit(["exec", "probe", "id"]).code(0).err();
    assert_eq!(said.lines().count(), 1, "{said}");
    sandbox.nsinit(["exec", "--quiet", "probe", "id"]).code(0).stderr("");
    sandbox.config("{}").nsinit(["exec", "probe", "id"]).code(0).stderr("");
}

#[test]
fn a_log_file_is_written_where_it_is_asked_for() {
    require!(Container);
    let sandbox = Sandbox::new();
    let log = sandbox.fill("$HOST/log");
    sandbox.nsinit(["--log", &log, "exec", "--quiet", "probe", "exit", "3"]).code(3).stderr("");
    assert_ne!(fs::read_to_string(log).expect("the log"), "");
}

#[test]
fn a_variable_is_added_for_one_command() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"environment": ["PATH=/bin", "A=1"]}"#);
    sandbox
        .nsinit(["exec", "--env", "A=2", "--env", "B=3", "probe", "env"])
        .code(0)
        .stdout("A=2\nB=3\nPATH=/bin\n");
}

#[test]
fn a_variable_that_is_given_twice_has_its_last_value() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"environment": ["PATH=/bin", "A=1", "B=", "A=2"]}"#);
    sandbox.run(["probe", "env"]).code(0).stdout("A=2\nB=\nPATH=/bin\n");
}

#[test]
fn the_working_directory_is_given_for_one_command() {
    require!(Container);
    Sandbox::new()
        .nsinit(["exec", "--quiet", "--cwd", "/tmp", "probe", "cwd"])
        .code(0)
        .stdout("/tmp\n");
}

#[test]
fn a_bind_of_the_command_line_is_read_only_unless_it_says_so() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.host_file("data/file", "text");
        let run = |bind: &str| {
            sandbox
                .nsinit(["exec", "--quiet", "--bind", bind, "probe", "write", "/data/file", "new"])
                .code(0)
                .out()
        };
        assert_eq!(run("$HOST/data:/data"), "EROFS\n");
        assert_eq!(run("$HOST/data:/data:rw"), "ok\n");
    }
}

#[test]
fn the_network_is_chosen_for_one_command() {
    require!(Container);
    let own = fs::read_link("/proc/self/ns/net").expect("procfs").to_string_lossy().into_owned();
    let sandbox = Sandbox::new();
    let run = |network: &str| {
        sandbox
            .nsinit(["exec", "--quiet", "--network", network, "probe", "ns", "net"])
            .code(0)
            .out()
    };
    assert_eq!(run("host"), format!("{own}\n"));
    assert_ne!(run("none"), format!("{own}\n"));
}

#[test]
fn options_after_the_program_are_its_own() {
    require!(Container);
    Sandbox::new()
        .run(["probe", "args", "--help", "--user", "x"])
        .code(0)
        .stdout("--help\n--user\nx\n");
}

#[test]
fn an_executable_with_capabilities_is_refused() {
    // cap_sys_admin in the permitted set (capabilities(7), VFS_CAP_REVISION_2).
    const SYS_ADMIN: [u32; 5] = [0x0200_0001, 1 << 21, 0, 0, 0];
    require!(Root);
    let sandbox = Sandbox::new();
    let built = std::env::var_os("NSINIT_TEST_BIN").expect("xtask test says it");
    let copy = sandbox.host().join("nsinit");
    std::fs::copy(built, &copy).expect("room for a copy");
    let plan = || {
        let mut command = std::process::Command::new(&copy);
        command.arg("--root").arg(sandbox.root()).args(["plan", "probe"]);
        command.output().expect("it is executable")
    };
    assert_eq!(plan().status.code(), Some(0));
    let value: Vec<u8> = SYS_ADMIN.iter().flat_map(|word| word.to_le_bytes()).collect();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&copy, "security.capability", &value, flags).expect("root may");
    let refused = plan();
    assert_eq!(refused.status.code(), Some(125));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("setuid, setgid or with capabilities"), "{told}");
}

#[test]
fn a_directory_whose_name_is_no_text_has_a_container() {
    use std::os::unix::ffi::OsStrExt;
    require!(Root);
    let sandbox = Sandbox::new();
    let directory = sandbox.host().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    std::fs::rename(sandbox.root(), &directory).expect("the same file system");
    let built = std::env::var_os("NSINIT_TEST_BIN").expect("xtask test says it");
    let mut command = std::process::Command::new(built);
    command.arg("--root").arg(&directory).args(["exec", "--quiet", "probe", "pid"]);
    let output = command.output().expect("it is executable");
    assert_eq!(output.stdout, b"1\n", "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&directory, sandbox.root()).expect("as it was");
}
