//! SELinux: what a label keeps a program from, and which mounts have one.

use std::fs;
use std::path::Path;

use tests::{Outcome, Sandbox, require};

const PROCESS: &str = "system_u:system_r:container_t:s0:c1,c2";
const FILES: &str = "system_u:object_r:container_file_t:s0:c1,c2";
const FOREIGN: &str = "system_u:object_r:container_file_t:s0:c3";
const SECRET: &str = "system_u:object_r:secret_t:s0:c1,c2";

/// What the program is labelled as, and which files it reaches.
const REACHED: &str = "label , read /data/own , read /data/secret , read /data/foreign";

fn set_label(path: &Path, label: &str) {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::lsetxattr(path, "security.selinux", label.as_bytes(), flags)
        .unwrap_or_else(|errno| panic!("{}: {label}: {errno}", path.display()));
}

fn set_labels(path: &Path, label: &str) {
    set_label(path, label);
    if fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir()) {
        for entry in fs::read_dir(path).expect("own directory").filter_map(Result::ok) {
            set_labels(&entry.path(), label);
        }
    }
}

/// A root filesystem with the container's label, but for two files.
fn labelled(sandbox: Sandbox, json: &str) -> Sandbox {
    let files = ["data/own", "data/secret", "data/foreign"];
    let sandbox = files.into_iter().fold(sandbox, |sandbox, file| sandbox.file(file, "text\n"));
    let sandbox = sandbox.config(&json.replace("PROCESS", PROCESS).replace("FILES", FILES));
    set_labels(&sandbox.root(), FILES);
    set_label(&sandbox.root().join("data/secret"), SECRET);
    set_label(&sandbox.root().join("data/foreign"), FOREIGN);
    sandbox
}

/// `nsinit exec probe FACTS`.
#[track_caller]
fn facts(sandbox: &Sandbox, facts: &str) -> Outcome {
    let words: Vec<_> = ["exec", "--quiet", "probe"].into_iter().chain(facts.split(' ')).collect();
    sandbox.command_line(&words)
}

#[track_caller]
fn confined(outcome: &Outcome) {
    outcome.code(0).stdout(&format!("{PROCESS}\nok\nEACCES\nEACCES\n"));
}

#[test]
fn a_label_keeps_from_files_of_another_type_and_of_another_category() {
    require!(Container, Selinux);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = labelled(sandbox, "{}");
        facts(&sandbox, REACHED).code(0).stdout_has("unconfined_t").stdout_has("\nok\nok\nok\n");
        let sandbox = labelled(sandbox, r#"{"context": {"process_label": "PROCESS"}}"#);
        confined(&facts(&sandbox, REACHED));
        let init = r#"{"init": true, "context": {"process_label": "PROCESS"}}"#;
        confined(&facts(&labelled(sandbox, init), REACHED));
    }
}

#[test]
fn a_joined_program_has_the_label_of_the_first() {
    require!(Container, Selinux);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = labelled(sandbox, r#"{"context": {"process_label": "PROCESS"}}"#);
        let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        confined(&facts(&sandbox, REACHED));
        first.finish().code(0);
    }
}

#[test]
fn a_label_is_applied_where_the_container_has_no_selinuxfs() {
    // The runtime of 2014 asked from inside whether SELinux is on, and left the label out.
    require!(Container, Selinux);
    let absent = r#""mounts": [{"type": "tmpfs", "destination": "/sys"}], "masked_paths": [], "#;
    for mounts in ["", absent] {
        for sandbox in Sandbox::for_each_caller() {
            let context = r#""context": {"process_label": "PROCESS", "mount_label": "FILES"}"#;
            let sandbox = labelled(sandbox, &format!("{{{mounts}{context}}}"));
            let outcome = facts(&sandbox, "stat /sys/fs/selinux/enforce , label");
            outcome.code(0).stdout(&format!("/sys/fs/selinux/enforce ENOENT\n{PROCESS}\n"));
        }
    }
}

#[test]
fn a_label_is_refused_where_the_launcher_has_no_selinuxfs() {
    require!(Root, Selinux);
    for key in ["process_label", "mount_label"] {
        let json = format!(r#"{{"context": {{"{key}": "FILES"}}}}"#);
        let sandbox = labelled(Sandbox::new(), &json).with("tmpfs=/sys/fs/selinux");
        let outcome = facts(&sandbox, "label");
        outcome.code(125).stdout("").stderr_has(key).stderr_has("SELinux is not enabled");
    }
}

#[test]
fn a_label_that_the_policy_has_not_is_told_at_its_place() {
    require!(Container, Selinux);
    let other = "system_u:system_r:nowhere_t:s0";
    for (key, place) in [("process_label", "1:31"), ("mount_label", "1:29")] {
        let sandbox = Sandbox::new().config(&format!(r#"{{"context": {{"{key}": "{other}"}}}}"#));
        let outcome = sandbox.run(["probe", "label"]);
        outcome
            .code(125)
            .stdout("")
            .stderr_has(&format!("container.json:{place}: context.{key}: "));
        outcome.stderr_has(&format!("label \"{other}\": the loaded policy does not have it\n"));
    }
}

#[test]
fn a_label_that_no_new_privileges_forbids_is_told_and_the_flag_stays() {
    require!(Container, Selinux);
    for sandbox in Sandbox::for_each_caller() {
        let label = "system_u:system_r:container_nnp_t:s0:c1,c2";
        let context = format!(r#""context": {{"process_label": "{label}"}}"#);
        let sandbox = labelled(sandbox, &format!("{{{context}}}"));
        let outcome = facts(&sandbox, "label");
        outcome.code(126).stdout("").stderr_has(&format!(
            "nsinit: /bin/probe: may not become {label} with no_new_privs: Operation not permitted\nhint: "
        ));
        outcome.stderr_has("nnp_transition").stderr_has("\"no_new_privileges\": false");
        let sandbox = labelled(sandbox, &format!(r#"{{"no_new_privileges": false, {context}}}"#));
        facts(&sandbox, "label").code(0).stdout(&format!("{label}\n"));
    }
}

#[test]
fn the_mount_label_is_on_dev_and_every_tmpfs_and_on_nothing_else() {
    require!(Container, Selinux);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = labelled(
            sandbox,
            r#"{"mounts": [{"type": "tmpfs", "destination": "/tmp"},
                           {"type": "tmpfs", "destination": "/other", "label": "system_u:object_r:secret_t:s0"},
                           {"type": "file", "destination": "/etc/made", "content": "text"},
                           {"source": "$HOST", "destination": "/usr"}],
                "context": {"process_label": "PROCESS", "mount_label": "FILES"}}"#,
        );
        set_label(&sandbox.host(), "system_u:object_r:container_ro_file_t:s0");
        set_label(&sandbox.root().join("bin"), "system_u:object_r:container_ro_file_t:s0");
        let outcome = facts(
            &sandbox,
            "labels /dev /dev/shm /dev/pts /tmp /etc/made /container.json , create /tmp/x , create /dev/shm/x , create /other/x",
        );
        let own: String = ["/dev", "/dev/shm", "/dev/pts", "/tmp", "/etc/made", "/container.json"]
            .map(|path| format!("{path} {FILES}\n"))
            .concat();
        outcome.code(0).stdout(&format!("{own}ok\nok\nEACCES\n"));
        let outcome = facts(&sandbox, "labels /proc /sys /bin /usr");
        outcome.code(0).stdout("/proc system_u:object_r:proc_t:s0\n/sys system_u:object_r:sysfs_t:s0\n/bin system_u:object_r:container_ro_file_t:s0\n/usr system_u:object_r:container_ro_file_t:s0\n");
    }
}
