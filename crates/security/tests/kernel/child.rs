//! Both: runs the body of a test in a process of its own, which it may confine for good.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

const CHILD: &str = "NSINIT_SECURITY_TEST_CHILD";
pub(crate) const NOBODY: u32 = 65534;

/// Whether this is the child of [`run`] or [`run_as_nobody`].
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the test of this name again, as a child, and fails if it does.
pub(crate) fn run(test: &str) {
    finish(test, &mut again(test));
}

/// The same as uid 65534 without any group of the caller.
pub(crate) fn run_as_nobody(test: &str) {
    let mut command = again(test);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    finish(test, &mut command);
}

fn again(test: &str) -> Command {
    // Reached by descriptor: nobody may not search the directories above.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    command
}

fn finish(test: &str, command: &mut Command) {
    let output = command.current_dir("/").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test}: {}\n{text}\n{errors}", output.status);
    assert!(text.contains("1 passed"), "{test} did not run:\n{text}");
}

/// Ends the test where it needs root and is not.
macro_rules! require_root {
    ($reason:literal) => {
        if !rustix::process::geteuid().is_root() {
            let reason = concat!("needs root: ", $reason);
            let required = std::env::var_os("NSINIT_TEST_REQUIRE").is_some_and(|v| v == "1");
            assert!(!required, "{reason}");
            eprintln!("SKIPPED: {reason}");
            return;
        }
    };
}

pub(crate) use require_root;

/// A field of `/proc/thread-self/status`.
pub(crate) fn status(field: &str) -> String {
    value(&std::fs::read_to_string("/proc/thread-self/status").unwrap(), field)
}

/// The status of a program that this thread executes.
pub(crate) fn status_of_program() -> String {
    let Output { status, stdout, stderr } =
        Command::new("cat").arg("/proc/self/status").output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// A field of such a status.
pub(crate) fn value(status: &str, field: &str) -> String {
    let line = status.lines().find(|line| line.split(':').next() == Some(field));
    line.unwrap().split_once(':').unwrap().1.trim().replace('\t', " ")
}
