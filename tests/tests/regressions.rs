//! What a hostile tester once got through, told one claim at a time: configurations
//! that a container could rewrite, and callers with peculiar settings. The races are in
//! `races`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tests::{Sandbox, require};

mod races;

#[test]
fn a_container_that_lies_below_its_root_filesystem_is_refused() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        for (directory, rootfs) in [("data", ".."), ("data/deep", "../..")] {
            let json = format!(r#"{{"rootfs": "{rootfs}"}}"#);
            let file = format!("{directory}/container.json");
            fs::create_dir_all(sandbox.root().join(directory)).expect("own directory");
            fs::write(sandbox.root().join(file), json).expect("own directory");
            let outcome = sandbox.nsinit(["--root", directory, "exec", "--quiet", "probe", "pid"]);
            outcome.code(125).stdout("");
            outcome.stderr_has("rootfs").stderr_has("its own configuration");
        }
    }
}

/// A container with a root in memory and one more mount, which can be written.
fn with_writable_bind(sandbox: Sandbox, source: &str, keys: &str, more: &str) -> Sandbox {
    sandbox.config(&format!(
        r#"{{{keys} "rootfs": {{"type": "tmpfs"}}, "mounts": [
            {{"source": "$ROOT/bin", "destination": "/bin"}},
            {{"source": "{source}", "destination": "/x", "writable": true {more}}}]}}"#
    ))
}

#[test]
fn a_writable_bind_above_the_own_configuration_is_refused() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = with_writable_bind(sandbox, "$ROOT/..", "", "");
        let outcome = sandbox.run(["probe", "pid"]);
        outcome.code(125).stdout("");
        outcome.stderr_has("mounts[1].source").stderr_has("own configuration");
    }
}

#[test]
fn a_writable_bind_of_the_own_configuration_is_covered() {
    require!(Container);
    for source in ["$ROOT", "$HOST/../root"] {
        for sandbox in Sandbox::for_each_caller() {
            let sandbox = with_writable_bind(sandbox, source, "", "");
            let before = fs::read_to_string(sandbox.root().join("container.json")).expect("a text");
            for name in ["container.json", "pid"] {
                let path = format!("/x/{name}");
                sandbox.run(["probe", "write", &path, "{}"]).code(0).stdout("EROFS\n");
                sandbox.run(["probe", "remove", &path]).code(0).stdout("EBUSY\n");
                sandbox.run(["probe", "rename", "/x/bin", &path]).code(0).stdout_lacks("ok");
            }
            sandbox.run(["probe", "create", "/x/other"]).code(0);
            let after = fs::read_to_string(sandbox.root().join("container.json")).expect("a text");
            assert_eq!(before, after);
        }
    }
}

#[test]
fn a_bind_of_the_own_configuration_that_no_cover_holds_in_is_refused() {
    require!(Root);
    for (keys, more) in [
        ("", r#", "propagation": "shared""#),
        (r#""capabilities_add": ["SYS_ADMIN"],"#, ""),
        (r#""seccomp": "unconfined","#, ""),
    ] {
        let outcome = with_writable_bind(Sandbox::new(), "$ROOT", keys, more).run(["probe", "pid"]);
        outcome.code(125).stdout("");
        outcome.stderr_has("mounts[1].source").stderr_has("own configuration");
    }
}

#[test]
fn a_read_only_bind_of_the_own_configuration_is_allowed() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(
            r#"{"rootfs": {"type": "tmpfs"}, "mounts": [
                {"source": "$ROOT/bin", "destination": "/bin"},
                {"source": "$ROOT", "destination": "/x"}]}"#,
        );
        sandbox.run(["probe", "write", "/x/container.json", "{}"]).code(0).stdout("EROFS\n");
    }
}

#[test]
fn the_built_in_container_makes_no_configuration_in_its_directory() {
    require!(Container);
    let script = "cd /x && echo built >out && ! mv out container.json && ! ln -sf out container.json \
                  && ! rm container.json && ! sh -c 'echo >container.json' && echo pid >pid";
    for sandbox in Sandbox::for_each_caller().into_iter().map(Sandbox::emptied) {
        let exec = ["exec", "--quiet", "--bind", "$ROOT:/x:rw", "sh", "-c", script];
        sandbox.nsinit(exec).code(0);
        let left = |name: &str| fs::read_to_string(sandbox.root().join(name)).ok();
        assert_eq!(left("container.json"), None);
        assert_eq!(left("out").as_deref(), Some("built\n"));
        assert_eq!(left("pid").as_deref(), Some("pid\n"));
        fs::remove_file(sandbox.root().join("pid")).expect("the program's");
    }
}

#[test]
fn a_configuration_that_has_another_name_is_refused() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let file = sandbox.root().join("container.json");
        let sandbox = sandbox.config("{}");
        fs::hard_link(&file, sandbox.root().join("bin/other")).expect("a second name");
        let outcome = sandbox.run(["probe", "pid"]);
        outcome.code(125).stdout("").stderr_has("has another name");
    }
}

#[test]
fn the_configuration_is_not_bound_writable_by_itself_or_with_what_is_mounted_below() {
    require!(Root);
    let file = with_writable_bind(Sandbox::new(), "$ROOT/container.json", "", "");
    file.run(["probe", "pid"]).code(125).stdout("").stderr_has("own configuration");
    let alias = with_writable_bind(Sandbox::new(), "$HOST", "", "");
    fs::create_dir(alias.host().join("alias")).expect("room");
    alias.run(["probe", "pid"]).code(0);
    let alias = alias.with("bind=$ROOT:$HOST/alias");
    alias.run(["probe", "pid"]).code(125).stdout("").stderr_has("own configuration");
}

#[test]
fn without_a_filter_the_own_configuration_must_be_elsewhere() {
    require!(Root);
    let outcome = Sandbox::new().config(r#"{"seccomp": "unconfined"}"#).run(["probe", "pid"]);
    outcome.code(125).stdout("").stderr_has("seccomp").stderr_has("its own configuration");
}

#[test]
fn sys_admin_beside_the_own_configuration_is_refused() {
    require!(Root);
    for keys in [r#""capabilities_add": ["SYS_ADMIN"]"#, r#""capabilities": ["SYS_ADMIN"]"#] {
        let sandbox = Sandbox::new().config(&format!("{{{keys}}}"));
        let outcome = sandbox.run(["probe", "pid"]);
        outcome.code(125).stdout("");
        outcome
            .stderr_has("capabilities")
            .stderr_has("SYS_ADMIN")
            .stderr_has("its own configuration");
    }
}

#[test]
fn who_may_trace_finds_nothing_on_a_joining_process() {
    // CVE-2016-9962, for a container that has SYS_PTRACE.
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"capabilities_add": ["SYS_PTRACE"]}"#);
        let first = sandbox.start(["probe", "watch-joining", "/tmp/end"]).until("ready");
        for _ in 0..50 {
            sandbox.run(["probe", "exit", "0"]).code(0);
        }
        // The container may end before this command does.
        sandbox.run(["probe", "create", "/tmp/end"]);
        first.finish().code(0).stdout("ready\nseen\n");
    }
}

#[test]
fn a_joining_command_that_is_held_up_ends_when_asked_to() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let first = sandbox.start(["probe", "stop-others"]).until("ready");
        let mut held_up = Vec::new();
        for _ in 0..5 {
            let mut joining = sandbox.start(["probe", "sleep", "100"]);
            std::thread::sleep(Duration::from_millis(300));
            joining.signal(Signal::TERM);
            assert!(joining.ends_within(Duration::from_secs(2)), "the launcher does not end");
            held_up.push(joining);
        }
        first.signal(Signal::TERM);
        first.finish().code(143);
        for joining in held_up {
            let outcome = joining.finish();
            assert!(matches!(outcome.code_or_signal(), -15 | 143), "{outcome:?}");
        }
    }
}

#[test]
fn files_of_ours_have_their_modes_whatever_the_umask() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.with("umask=777");
        // The second finds what the first has made.
        for _ in 0..2 {
            let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
            let mode = |path: &Path| {
                fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
            };
            assert_eq!(mode(&sandbox.root().join("pid")), 0o644);
            assert_eq!(mode(&sandbox.run_directory()), 0o700);
            assert_eq!(mode(&sandbox.state_directory()), 0o700);
            assert_eq!(mode(&sandbox.state_directory().join("state.json")), 0o600);
            sandbox.run(["probe", "exit", "3"]).code(3);
            run.finish().code(0);
        }
    }
}

#[test]
fn a_relative_runtime_directory_is_refused() {
    require!(UserNamespaces);
    let sandbox = Sandbox::new().as_user(tests::ORDINARY).directory("relative");
    let sandbox = sandbox.mode("relative", 0o700).env("XDG_RUNTIME_DIR", "relative");
    let outcome = sandbox.run(["probe", "pid"]);
    outcome.code(125).stdout("").stderr_has("XDG_RUNTIME_DIR").stderr_has("absolute");
    let made = fs::read_dir(sandbox.root().join("relative")).expect("own directory").count();
    assert_eq!(made, 0, "something was made in it");
}

#[test]
fn too_few_descriptors_are_not_a_missing_program() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"rlimits": {"nofile": {"soft": 1, "hard": 1}}}"#);
        let outcome = sandbox.run(["probe", "exit", "3"]);
        outcome.stderr_lacks("not found");
        assert_ne!(outcome.code_or_signal(), 127, "{outcome:?}");
    }
}

#[test]
fn a_configuration_that_is_a_link_is_not_read_by_root() {
    require!(Root);
    for text in ["not-for-you", r#"{"not-for-you": 1}"#, r#"{"hostname": "not-for-you"}"#] {
        let sandbox = Sandbox::new().host_file("secret", text);
        let sandbox = sandbox.symlink("container.json", "$HOST/secret");
        let outcome = sandbox.run(["probe", "hostname"]);
        outcome.code(125).stdout("").stderr_lacks("not-for-you");
        outcome.stderr_has("container.json").stderr_has("symbolic link");
    }
}
