//! Parent: `Command`.

use std::os::unix::process::ExitStatusExt;

use nsinit_namespaces::{CloneRequest, Command, Error, IdMap, IdMaps, Kinds};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Signal, WaitOptions, getpid, set_child_subreaper};

use crate::As::{Both, Root};
use crate::scene::{become_user, bind_file, descriptors, host_name, require};
use crate::{NOBODY, Scenario, sys};

pub(crate) const ALL: &[Scenario] = &[
    ("a_program_is_root_in_its_namespaces", Both, root_inside),
    ("a_program_gets_arguments_environment_and_status", Both, like_std),
    ("a_program_starts_with_default_signals", Both, default_signals),
    ("a_missing_program_is_an_error_and_leaves_nothing", Both, missing),
    ("a_program_inherits_no_descriptor_of_ours", Both, no_descriptors),
    ("a_child_whose_parent_dies_first_ends", Root, parent_dies),
    ("mounts_of_a_program_stay_inside", Root, mounts_stay_inside),
];

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-ec", script]);
    command
}

fn root_inside() {
    let before = host_name();
    let mut child = shell(
        r#"test "$(id -u):$(id -g)" = 0:0; test $$ = 1; hostname box; test "$(uname -n)" = box"#,
    )
    .unshare(Kinds::USER | Kinds::UTS)
    .unshare(Kinds::PID)
    .spawn()
    .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(host_name(), before);
}

fn like_std() {
    let before = descriptors();
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(r#"test "$KEY" = value && exit "$1""#)
        .args(["sh", "7"])
        .env("KEY", "value")
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    drop(child);
    let mut child = shell("exec sleep 60").spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill(Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    drop(child);
    assert_eq!(descriptors(), before);
}

fn default_signals() {
    sys::block_sigusr2();
    // The digits of SigIgn before the last seven: 32 and 33 are the C library's,
    // whose posix_spawn ignores them.
    let script = r#"status=$(cat /proc/self/status)
        case $status in *SigBlk:?0000000000000000*SigIgn:??????????0000000*) ;; *) exit 1;; esac"#;
    assert!(shell(script).spawn().unwrap().wait().unwrap().success());
}

fn missing() {
    let before = descriptors();
    for program in ["no-such-program-at-all", "/no/such/program"] {
        let error = Command::new(program).unshare(Kinds::USER).spawn().unwrap_err();
        assert!(matches!(&error, Error::Program { source, .. }
            if source.kind() == std::io::ErrorKind::NotFound));
        assert_eq!(error.to_string(), format!("{program}: No such file or directory"));
    }
    let denied = Command::new("/etc/passwd").spawn().unwrap_err();
    assert_eq!(denied.to_string(), "/etc/passwd: Permission denied");
    let none = rustix::process::wait(WaitOptions::NOHANG);
    assert_eq!(none.unwrap_err(), rustix::io::Errno::CHILD);
    assert_eq!(descriptors(), before);
}

fn mounts_stay_inside() {
    nsinit_namespaces::unshare(Kinds::MOUNT).unwrap();
    // As systemd has it: every mount is told to all copies of the namespace.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(c"/", private).unwrap();
    let directory = std::env::temp_dir().join(format!("nsinit-mount-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    rustix::mount::mount_bind(&directory, &directory).unwrap();
    mount_change(&directory, MountPropagationFlags::SHARED).unwrap();
    let inner = directory.join("inner");
    std::fs::create_dir(&inner).unwrap();
    let mut child = shell(r#"mount -t tmpfs none "$INNER"; touch "$INNER/file""#)
        .env("INNER", &inner)
        .unshare(Kinds::MOUNT)
        .spawn()
        .unwrap();
    let status = child.wait().unwrap();
    let seen = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let seen = seen.contains(inner.to_str().unwrap());
    rustix::mount::unmount(&directory, rustix::mount::UnmountFlags::DETACH).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(status.success() && !seen);
}

fn no_descriptors() {
    let count = "exit $(ls /proc/self/fd | wc -l)";
    let by_std = std::process::Command::new("sh").args(["-c", count]).status().unwrap();
    let ours = shell(count).unshare(Kinds::USER).spawn().unwrap().wait().unwrap();
    assert_eq!(ours.code(), by_std.code());
}

fn parent_dies() {
    let place = "/usr/bin/newgidmap";
    require!(std::path::Path::new(place).exists(), place);
    // The one who is to write the map ends the parent instead, while the
    // child waits for it.
    bind_file(&[place], "#!/bin/sh\nkill -9 $PPID\n", 0o755);
    become_user(NOBODY);
    set_child_subreaper(Some(getpid())).unwrap();
    let middle = sys::child(&CloneRequest::default(), || {
        let lines = vec![IdMap { container_id: 0, host_id: 100_000, size: 10 }];
        let maps = IdMaps { uids: lines.clone(), gids: lines };
        i32::from(shell("exit 0").unshare(Kinds::USER).id_maps(maps).spawn().is_ok())
    });
    assert_eq!(middle.unwrap().wait().unwrap().signal(), Some(9));
    // The program that ended it, and the child.
    for _ in 0..2 {
        rustix::process::wait(WaitOptions::empty()).unwrap().unwrap();
    }
}
