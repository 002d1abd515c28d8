//! The seccomp filter of an outer container: calls that it does not know, as on an older
//! kernel.

use std::process::Command;

use tests::{Sandbox, require};

#[test]
fn a_filter_that_refuses_clone3_is_told() {
    require!(Root, UserNamespaces);
    for errno in ["enosys", "eperm"] {
        for sandbox in Sandbox::for_each_caller() {
            let sandbox = sandbox.with(&format!("{errno}=clone3"));
            let outcome = sandbox.run(["probe", "echo", "ran"]);
            outcome.code(125).stdout("").stderr_has("forbidden by the seccomp filter of an outer");
            outcome
                .stderr_has("\nhint: start the outer container with a seccomp profile that allows");
            sandbox.assert_clean();
            let doctor = sandbox.nsinit(["doctor", "probe"]);
            doctor
                .code(1)
                .stdout_has("PROBLEM  namespaces ")
                .stdout_has("seccomp filter of an outer");
        }
    }
}

#[test]
fn the_defences_hold_without_openat2_and_mount_setattr() {
    require!(Root);
    for errno in ["enosys", "eperm"] {
        let sandbox = Sandbox::new().with(&format!("{errno}=openat2,mount_setattr"));
        sandbox.nsinit(["doctor"]).stdout_lacks("openat2").stdout_lacks("mount_setattr");
        let sandbox = sandbox.config(r#"{"user": "www"}"#);
        let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        sandbox.run(["probe", "id"]).code(0).stdout_has("uid=33 gid=34 ");
        first.finish().code(0);
    }
    // What openat2 and mount_setattr do is in these; the walk and the remounts do it now.
    let mut command = Command::new(std::env::var_os("NSINIT_TEST_PROBE").expect("xtask"));
    command.args(["with", "enosys=openat2,mount_setattr", "--"]);
    command.arg(std::env::current_exe().expect("the test program"));
    let output = command.args(["hostile::", "mounts::", "--skip=descriptor"]).output();
    let output = output.expect("the probe starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !text.contains(" 0 passed"), "{text}");
}
