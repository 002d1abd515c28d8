//! Parent: device rules, on the kernel itself, by both of its ways.

use std::process::Command;

use nsinit_cgroups::{DeviceRule, Limits};

use crate::jobs::{View, job, root};

/// Opens and makes nodes; every word it prints was possible.
const DEVICES: &str = "cd $DIR; exec 2>/dev/null
    (: < /dev/null) && printf 'null '
    (: < /dev/kmsg) && printf 'kmsg '
    (: < $DIR/kmsg) && printf 'node '
    mknod made-null c 1 3 && printf 'mknod-null '
    mknod made-kmsg c 1 11 && printf 'mknod-kmsg '
    mknod made-disk b 8 0 && printf 'mknod-disk '
    exit 0";

fn devices_are_denied(view: View, test: &str) {
    let dir = std::env::temp_dir().join(format!("nsinit-devices-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("directory");
    let made = Command::new("mknod").arg(dir.join("kmsg")).args(["c", "1", "11"]).status();
    assert!(made.expect("mknod").success());
    let run = |rules: Option<Vec<DeviceRule>>, name: &str| {
        let job = job(view, name, &Limits { devices: rules, ..Limits::NONE });
        let mut command = Command::new("sh");
        command.args(["-c", DEVICES]).env("DIR", &dir).stdout(std::process::Stdio::piped());
        let output = job.spawn(&mut command).expect("spawn").wait_with_output().expect("output");
        for node in ["made-null", "made-kmsg", "made-disk"] {
            let _ = std::fs::remove_file(dir.join(node));
        }
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let all = "null kmsg node mknod-null mknod-kmsg mknod-disk";
    assert_eq!(run(None, &format!("{test}-none")), all, "without rules");
    assert_eq!(run(Some(vec![DeviceRule::ALL]), &format!("{test}-all")), all, "all");
    let defaults = DeviceRule::container_defaults(false);
    assert_eq!(run(Some(defaults), &format!("{test}-default")), "null mknod-null");
    assert_eq!(run(Some(Vec::new()), &format!("{test}-nothing")), "");
    let odd = ["c 1:11 m", "c 1:3 r", "b 8:* m"].map(|rule| rule.parse().expect(rule));
    // The shell's own 2>/dev/null wants to write, so that nothing is run at all.
    assert_eq!(run(Some(odd.to_vec()), &format!("{test}-odd")), "");
    let writing = ["c 1:11 m", "c 1:3 rw", "b 8:* m"].map(|rule| rule.parse().expect(rule));
    let expected = "null mknod-kmsg mknod-disk";
    assert_eq!(run(Some(writing.to_vec()), &format!("{test}-odd2")), expected);
    std::fs::remove_dir_all(&dir).expect("clean up");
}

#[test]
fn device_rules_deny_on_v1() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("devices").is_some(), "v1 devices");
    devices_are_denied(View::V1, "devices1");
}

#[test]
fn device_rules_deny_on_v2_by_a_program() {
    require!(root(), "root");
    only_where!(View::V2.exists(), "v2");
    devices_are_denied(View::V2, "devices2");
}

#[test]
fn device_rules_are_v1s_where_v1_has_the_controller() {
    require!(root(), "root");
    only_where!(View::V1.hierarchies().of("devices").is_some(), "v1 devices");
    let rules = vec!["c 1:3 r".parse().expect("rule"), "c 1:3 w".parse().expect("rule")];
    let job = job(View::All, "devlist", &Limits { devices: Some(rules), ..Limits::NONE });
    assert_eq!(job.file("devices", "devices.list"), "c 1:3 rw");
}
