//! Finding and executing the program.

use std::fs;

use tests::{Outcome, Sandbox, require};

/// The program is not started, and this is told of it.
#[track_caller]
fn refused(sandbox: &Sandbox, program: &str, code: i32, message: &str) -> Outcome {
    let outcome = sandbox.run([program]);
    outcome.code(code).stdout("").stderr_has(&format!("nsinit: {program}: {message}\n"));
    outcome
}

#[test]
fn a_missing_program_gives_127() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"environment": ["PATH=/opt:/usr/bin"]}"#);
        let message = "executable file not found in $PATH of the container (/opt:/usr/bin)";
        refused(&sandbox, "nowhere", 127, message);
        refused(&sandbox, "/bin/nowhere", 127, "no such file or directory");
    }
}

#[test]
fn a_link_to_nowhere_gives_127_with_its_target() {
    require!(Container);
    let sandbox = Sandbox::new().symlink("bin/sh", "/bin/busybox");
    let message = "is a symbolic link to /bin/busybox: no such file or directory";
    refused(&sandbox, "/bin/sh", 127, message);
    sandbox.run(["sh"]).code(127).stderr_has(&format!("nsinit: /bin/sh: {message}\n"));
}

#[test]
fn what_is_no_program_gives_126_and_is_told_as_what_it_is() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox
            .executable("bin/text", "echo hello\n")
            .executable("bin/empty", "")
            .executable("bin/elf", "\x7fELF")
            .executable("bin/mark", "\u{feff}#!/bin/probe\n")
            .executable("bin/bare", "#!\n")
            .executable("bin/exe", "MZ windows");
        let told = |program, fault: &str| {
            refused(&sandbox, program, 126, &format!("{fault}: Exec format error"))
        };
        let text = told("/bin/text", "is no program, and no script either: it has no #! line");
        text.stderr_has("hint: a script begins with the path of its interpreter");
        told("/bin/empty", "is empty");
        told("/bin/elf", "is an ELF file that is cut off or damaged");
        told("/bin/mark", "begins with a byte-order mark, not with #!");
        told("/bin/bare", "its #! line names no interpreter");
        told("/bin/exe", "is a program for Windows");
    }
}

#[test]
fn what_is_no_regular_file_gives_126_and_is_not_waited_for() {
    require!(Container);
    let sandbox = Sandbox::new();
    let mode = rustix::fs::Mode::from_raw_mode(0o755);
    let fifo = sandbox.root().join("bin/fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)
        .expect("own directory");
    refused(&sandbox, "/etc", 126, "is a directory: Permission denied");
    refused(&sandbox, "/bin/fifo", 126, "is a named pipe: Permission denied");
    refused(&sandbox, "/dev/null", 126, "is a device: Permission denied");
    let sandbox = sandbox.executable("bin/script", "#!/bin/fifo\n");
    let message = "its interpreter /bin/fifo is a named pipe: Permission denied";
    refused(&sandbox, "/bin/script", 126, message);
}

#[test]
fn a_file_without_an_execute_bit_gives_126() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.file("bin/tool", "#!/bin/probe\n").mode("bin/tool", 0o644);
        let message = "may not be executed by user 0 (mode 0644, owner 0:0): Permission denied";
        refused(&sandbox, "/bin/tool", 126, message).stderr_has("hint: nobody may execute it");
        let sandbox = sandbox.executable("bin/script", "#!/bin/tool\n");
        refused(&sandbox, "/bin/script", 126, &format!("its interpreter /bin/tool {message}"));
    }
}

#[test]
fn the_rights_of_the_containers_user_count() {
    require!(Root);
    let sandbox = Sandbox::new()
        .config(r#"{"user": "www"}"#)
        .executable("bin/tool", "#!/bin/probe ready\n")
        .mode("bin/tool", 0o700)
        .directory("opt")
        .executable("opt/tool", "#!/bin/probe ready\n")
        .mode("opt", 0o700);
    let message = "may not be executed by user 33 (mode 0700, owner 0:0): Permission denied";
    refused(&sandbox, "/bin/tool", 126, message).stderr_has("hint: run as another user");
    let message = "/opt may not be entered by user 33 (mode 0700, owner 0:0): Permission denied";
    refused(&sandbox, "/opt/tool", 126, message);
}

#[test]
fn a_mount_without_execution_gives_126_and_is_named() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.executable("data/tool", "#!/bin/probe\n").config(
            r#"{"mounts": [{"source": "$ROOT/data", "destination": "/tmp", "options": ["noexec"]}]}"#,
        );
        let outcome = sandbox.run(["/tmp/tool"]);
        outcome.code(126).stdout("").stderr_has("nsinit: /tmp/tool: /tmp (");
        outcome.stderr_has(") is mounted noexec: Permission denied\nhint: leave noexec out");
    }
}

#[test]
fn a_mount_of_the_host_without_execution_gives_126() {
    require!(Root);
    let sandbox = Sandbox::new().with("bind=$ROOT:$ROOT:noexec");
    let outcome = sandbox.run(["/bin/probe", "id"]);
    outcome.code(126).stdout("").stderr_has("nsinit: /bin/probe: / (");
    outcome.stderr_has(") is mounted noexec: Permission denied");
}

/// A program for this machine, or for another, that names an ELF interpreter.
fn elf(machine: Option<u16>, interpreter: &str) -> Vec<u8> {
    let probe = fs::read(std::env::var_os("NSINIT_TEST_PROBE").expect("set by xtask"));
    let mut file = probe.expect("the probe")[..64].to_vec();
    if let Some(machine) = machine {
        file[18..20].copy_from_slice(&machine.to_le_bytes());
    }
    // Two program headers of 56 bytes at offset 64: the interpreter, and what is loaded.
    file[32..40].copy_from_slice(&64_u64.to_le_bytes());
    file[54..58].copy_from_slice(&[56, 0, 2, 0]);
    let path = format!("{interpreter}\0");
    let (offset, length) = (64 + 2 * 56_u64, path.len() as u64);
    let header = |kind: u32, flags: u32, offset: u64, length: u64| {
        let mut header = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
        for word in [offset, 0x40_0000 + offset, 0x40_0000 + offset, length, length, 4096] {
            header.extend(word.to_le_bytes());
        }
        header
    };
    file.extend(header(3, 4, offset, length));
    file.extend(header(1, 5, 0, offset + length));
    file.extend(path.bytes());
    file
}

fn with_elf(path: &str, machine: Option<u16>, interpreter: &str) -> Sandbox {
    let sandbox = Sandbox::new().executable(path, "");
    fs::write(sandbox.root().join(path), elf(machine, interpreter)).expect("own directory");
    sandbox
}

#[test]
fn a_missing_loader_gives_127_and_is_named() {
    require!(Container);
    let sandbox = with_elf("bin/tool", None, "/lib64/ld-linux-nowhere.so.2");
    let message = "ELF interpreter is /lib64/ld-linux-nowhere.so.2: no such file or directory";
    let outcome = refused(&sandbox, "/bin/tool", 127, &format!("its {message}"));
    outcome.stderr_has("hint: it is linked for glibc, which the container does not have");
    let sandbox = sandbox.executable("bin/script", "#!/bin/tool\n");
    let message = format!("is run by /bin/tool, whose {message}");
    refused(&sandbox, "/bin/script", 127, &message);
}

#[test]
fn a_program_for_another_machine_gives_126_and_is_told() {
    require!(Container);
    const MIPS: u16 = 8;
    let sandbox = with_elf("bin/tool", Some(MIPS), "/lib/ld.so.1");
    let host = rustix::system::uname().machine().to_string_lossy().into_owned();
    let message = format!("is built for mips64, and this kernel runs {host}: Exec format error");
    refused(&sandbox, "/bin/tool", 126, &message).stderr_has("take a root filesystem for");
}

#[test]
fn a_script_without_its_interpreter_gives_127_and_names_it() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.executable("bin/script", "#! /bin/nowhere -x\n");
        let message = "its #! line names /bin/nowhere: no such file or directory";
        refused(&sandbox, "/bin/script", 127, message);
        let started = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        refused(&sandbox, "/bin/script", 127, message);
        started.finish().code(0);
        let sandbox = sandbox.config(r#"{"init": true}"#);
        refused(&sandbox, "/bin/script", 127, message);
    }
}

#[test]
fn a_script_with_the_line_ends_of_dos_gives_127_and_is_told() {
    require!(Container);
    let sandbox = Sandbox::new().executable("bin/script", "#!/bin/probe\r\n");
    let message = "its #! line ends with a carriage return, and so names \"/bin/probe\\r\": no \
                   such file or directory";
    refused(&sandbox, "/bin/script", 127, message).stderr_has("hint: the file has the line ends");
}

#[test]
fn an_interpreter_is_looked_for_in_the_container_and_nowhere_else() {
    require!(Container);
    let sandbox = Sandbox::new().host_file("tool", "").executable("bin/script", "");
    let path = format!("/../../../..{}", sandbox.host().join("tool").display());
    let sandbox = sandbox.executable("bin/script", &format!("#!{path}\n"));
    let message = format!("its #! line names {path}: no such file or directory");
    refused(&sandbox, "/bin/script", 127, &message);
    let sandbox =
        sandbox.symlink("bin/link", "$HOST/tool").executable("bin/script", "#!/bin/link\n");
    let message = "its #! line names /bin/link: no such file or directory";
    refused(&sandbox, "/bin/script", 127, message);
}

#[test]
fn the_name_of_an_interpreter_moves_no_cursor() {
    require!(Container);
    let sandbox = Sandbox::new().executable("bin/script", "#!/bin/\u{1b}]0;x\u{7}\n");
    let outcome = sandbox.run(["/bin/script"]);
    outcome.code(127).stderr_has("its #! line names /bin/\\u{1b}]0;x").stderr_lacks("\u{1b}");
}

#[test]
fn a_program_that_is_open_for_writing_gives_126() {
    require!(Container);
    let sandbox = Sandbox::new().executable("bin/tool", "#!/bin/probe\n");
    let open = fs::OpenOptions::new().append(true).open(sandbox.root().join("bin/tool"));
    let outcome = sandbox.run(["/bin/tool"]);
    drop(open);
    // Some kernels from 6.11 on do not refuse it.
    if outcome.code_or_signal() != 0 {
        outcome.code(126).stderr_has("/bin/tool: is open for writing: Text file busy\n");
    }
}

#[test]
fn file_capabilities_that_the_container_lacks_give_126_with_their_names() {
    require!(Root);
    let sandbox = Sandbox::new().executable("bin/ping", "");
    let path = sandbox.root().join("bin/ping");
    fs::copy(sandbox.root().join("bin/probe"), &path).expect("own directory");
    // Revision 2, effective; NET_RAW permitted (capabilities(7)).
    let value: Vec<u8> =
        [0x0200_0001_u32, 1 << 13, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    rustix::fs::setxattr(&path, "security.capability", &value, rustix::fs::XattrFlags::empty())
        .expect("a filesystem with extended attributes");
    let message =
        "has file capabilities that the container lacks (NET_RAW): Operation not permitted";
    let outcome = refused(&sandbox, "/bin/ping", 126, message);
    outcome.stderr_has("\"capabilities_add\": [\"NET_RAW\"]");
    let sandbox = sandbox.config(r#"{"capabilities_add": ["NET_RAW"]}"#);
    sandbox.run(["/bin/ping", "echo", "ran"]).code(0).stdout("ran\n");
}

#[test]
fn arguments_that_are_too_long_give_126_with_their_length() {
    require!(Container);
    let with = |args: String| Sandbox::new().config(&format!(r#"{{"args": ["probe", {args}]}}"#));
    let one = with(format!("\"{}\"", "x".repeat(140_000)));
    let outcome = one.run([]);
    outcome.code(126).stdout("").stderr_has(
        "nsinit: /bin/probe: an argument or a variable has 140000 bytes, at most 131071 are \
         possible: Argument list too long\nhint: hand them over in a file",
    );
    let many = vec![format!("\"{}\"", "x".repeat(100_000)); 25].join(",");
    let outcome = with(many).run([]);
    outcome
        .code(126)
        .stdout("")
        .stderr_has("nsinit: /bin/probe: arguments and environment have 25");
    outcome.stderr_has(" bytes, at most ").stderr_has(": Argument list too long\n");
}

#[test]
fn a_limit_of_processes_that_keeps_a_program_from_starting_is_told() {
    require!(Root);
    let holder = Sandbox::new().config(r#"{"user": "54330"}"#);
    let started = holder.start(["probe", "ready", ",", "copy"]).until("ready");
    let sandbox =
        Sandbox::new().config(r#"{"user": "54330", "rlimits": {"nproc": {"soft": 0, "hard": 0}}}"#);
    let outcome = sandbox.run(["/bin/probe"]);
    outcome.code(126).stdout("").stderr_has("nsinit: /bin/probe: RLIMIT_NPROC = 0 is used up: ");
    started.finish().code(0);
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
fn the_launchers_own_executable_is_refused() {
    require!(Container);
    let sandbox = Sandbox::new().executable("bin/self", "#!/proc/self/exe\n");
    let outcome = sandbox.run(["/proc/self/exe", "--version"]);
    outcome.stdout("");
    assert_ne!(outcome.err(), "", "the launcher ran itself");
    sandbox.run(["/bin/self"]).stdout_lacks("Usage");
}
