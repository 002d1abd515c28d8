//! AppArmor: what a profile keeps a program from, and what is told where one stands in
//! the way of a container.

use std::process::Command;

use rustix::process::Signal;
use tests::{Outcome, Sandbox, require};

/// Loaded where the tests run in virtual machines (`tests/guest/policy/apparmor`).
const PROFILE: &str = r#"{"context": {"apparmor_profile": "nsinit-test"}}"#;
const CONFINED: &str = "nsinit-test (enforce)\nok\nEACCES\n";

fn with_secret(sandbox: Sandbox) -> Sandbox {
    sandbox.directory("secret").file("secret/file", "text\n").file("data/file", "text\n")
}

#[track_caller]
fn reached(sandbox: &Sandbox) -> Outcome {
    sandbox.run(["probe", "label", ",", "read", "/data/file", ",", "read", "/secret/file"])
}

#[test]
fn a_profile_keeps_from_the_paths_that_it_denies() {
    require!(Container, AppArmor);
    for sandbox in Sandbox::for_each_caller().into_iter().map(with_secret) {
        reached(&sandbox).code(0).stdout("unconfined\nok\nok\n");
        let sandbox = sandbox.config(PROFILE);
        reached(&sandbox).code(0).stdout(CONFINED);
        let sandbox = sandbox.config(&PROFILE.replace("{\"context", "{\"init\": true, \"context"));
        reached(&sandbox).code(0).stdout(CONFINED);
    }
}

#[test]
fn a_joined_program_has_the_profile_of_the_first() {
    require!(Container, AppArmor);
    for sandbox in Sandbox::for_each_caller().into_iter().map(with_secret) {
        let sandbox = sandbox.config(PROFILE);
        let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        reached(&sandbox).code(0).stdout(CONFINED);
        first.finish().code(0);
    }
}

#[test]
fn a_profile_that_is_not_loaded_is_told_at_its_place() {
    require!(Root, AppArmor);
    let sandbox = Sandbox::new().config(r#"{"context": {"apparmor_profile": "nsinit-nowhere"}}"#);
    let outcome = sandbox.run(["probe", "label"]);
    outcome.code(125).stdout("").stderr_has("container.json:1:34: context.apparmor_profile: ");
    outcome.stderr_has("not loaded into the kernel");
}

const DEFAULT: &str = r#""context": {"apparmor_profile": "nsinit-default"}"#;

#[test]
fn nsinit_default_is_no_hindrance_to_an_ordinary_program() {
    require!(Container, AppArmor, Busybox);
    let script = "echo text >/tmp/x && cat /tmp/x && ls /proc/self/fd >/dev/null && kill -0 $$ && \
                  (exit 3); echo $? && cat /proc/self/attr/current";
    for init in ["", r#""init": true, "#] {
        for sandbox in Sandbox::for_each_caller() {
            let sandbox = sandbox.busybox().config(&format!("{{{init}{DEFAULT}}}"));
            let outcome = sandbox.run(["sh", "-c", script]);
            outcome.code(0).stderr("").stdout("text\n3\nnsinit-default (enforce)\n");
            let run = sandbox.start(["probe", "handle", "TERM"]).until("ready");
            run.signal(Signal::TERM);
            run.finish().code(0).stdout("ready\ngot TERM\n");
        }
    }
}

#[test]
fn nsinit_default_holds_where_masks_and_capabilities_do_not() {
    require!(Root, AppArmor);
    let open = r#""rootfs": "$ROOT", "capabilities_add": ["SYS_ADMIN"], "masked_paths": [], "readonly_paths": []"#;
    let attempt = |keys: &str| {
        let sandbox = Sandbox::new();
        let json = sandbox.fill(&format!("{{{keys}}}"));
        let sandbox = sandbox.host_file("container.json", &json);
        let facts = "mount tmpfs /data , unmount /dev/shm , write /proc/sys/vm/swappiness 60 , write /proc/sysrq-trigger";
        let start = ["--root", "$HOST", "exec", "--quiet", "probe"];
        sandbox.command_line(&start.into_iter().chain(facts.split(' ')).collect::<Vec<_>>())
    };
    attempt(open).code(0).stdout("ok\nok\nok\nok\n");
    attempt(&format!("{open}, {DEFAULT}")).code(0).stdout("EACCES\nEACCES\nEACCES\nEACCES\n");
}

/// A profile that is loaded while this lives.
struct Profile(Sandbox);

impl Profile {
    /// Named after the sandbox, in which nsinit has it from its first moment on, as if it
    /// were attached to the path.
    fn attached(sandbox: Sandbox, rules: &str) -> Profile {
        let text = format!("profile $NAME flags=(attach_disconnected) {{\n{rules}\n}}\n");
        let text = sandbox.fill(&text);
        let sandbox = sandbox.host_file("profile", &text).with("profile=$NAME");
        let profile = Profile(sandbox);
        profile.parser("--replace");
        profile
    }

    fn parser(&self, flag: &str) {
        let file = self.0.host().join("profile");
        let status =
            Command::new("apparmor_parser").args([flag, "--skip-cache"]).arg(file).status();
        assert!(status.expect("apparmor_parser starts").success(), "{flag}");
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}

const ALL_BUT_MOUNTS: &str = "  file,\n  capability,\n  network,\n  signal,\n  ptrace,\n  unix,";

#[test]
fn a_profile_that_forbids_mounts_is_told_with_its_record() {
    require!(Root, AppArmor);
    let profile = Profile::attached(Sandbox::new(), ALL_BUT_MOUNTS);
    let outcome = profile.0.run(["probe", "echo", "ran"]);
    outcome.code(125).stdout("").stderr_has(": Permission denied\nhint: ");
    outcome.stderr_has(&profile.0.fill("apparmor=\"DENIED\""));
    outcome.stderr_has(&profile.0.fill("profile=\"$NAME\""));
}

#[test]
fn a_profile_that_forbids_user_namespaces_or_what_follows_them_is_told_by_its_name() {
    require!(Root, AppArmor, UserNamespaces);
    let ordinary = || Sandbox::new().as_user(tests::ORDINARY);
    let profile = Profile::attached(ordinary(), ALL_BUT_MOUNTS);
    let outcome = profile.0.run(["probe", "echo", "ran"]);
    outcome.code(125).stdout("").stderr_has("make all mounts slaves of the host's: ");
    outcome.stderr_has(&profile.0.fill("by the AppArmor profile $NAME (enforce)"));

    let rules = ALL_BUT_MOUNTS.replace("  capability,\n", "");
    let profile = Profile::attached(ordinary(), &rules);
    let outcome = profile.0.run(["probe", "echo", "ran"]);
    outcome.code(125).stdout("").stderr_has("user and pid namespaces: forbidden by ");
    outcome.stderr_has(&profile.0.fill("the AppArmor profile $NAME (enforce): Operation"));
    outcome.stderr_has("\nhint: give that profile the rules `capability sys_admin,` and `userns,`");
}
