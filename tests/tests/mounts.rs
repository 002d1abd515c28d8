//! What the container is furnished with.

use std::fs;

use tests::{Sandbox, require};

#[test]
fn dev_holds_the_default_nodes_and_nothing_else() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let entries = [
            "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
            "stdout", "tty", "urandom", "zero",
        ];
        sandbox.run(["probe", "ls", "/dev"]).code(0).stdout(&format!("{}\n", entries.join("\n")));
    }
}

#[test]
fn the_nodes_are_what_they_are_named() {
    require!(Root);
    Sandbox::new().with("umask=777").run(["probe", "stat", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/tty"]).code(0).stdout(
        "/dev/null char 1:3 0666 0:0\n/dev/zero char 1:5 0666 0:0\n/dev/urandom char 1:9 0666 0:0\n/dev/tty char 5:0 0666 0:0\n",
    );
}

#[test]
fn the_default_mounts_have_their_options() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let out = sandbox.run(["probe", "mounts"]).code(0).out();
        let options = |path: &str| {
            let line = out.lines().find(|line| line.starts_with(&format!("{path} ")));
            line.unwrap_or_else(|| panic!("no mount on {path}: {out}")).to_owned()
        };
        for path in ["/proc", "/sys", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
            let line = options(path);
            assert!(line.contains("nosuid") && line.contains("noexec"), "{line}");
        }
        assert!(options("/sys").contains(" ro,"));
        assert!(options("/dev").contains("nosuid") && !options("/dev").contains("noexec"));
    }
}

#[test]
fn shared_memory_is_limited_and_sticky() {
    require!(Container);
    let sandbox = Sandbox::new();
    sandbox.run(["probe", "filesystem", "/dev/shm"]).code(0).stdout_has("67108864 ");
    sandbox.run(["probe", "stat", "/dev/shm"]).stdout("/dev/shm directory 1777 0:0\n");
}

#[test]
fn nothing_of_the_hosts_mounts_is_left() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let base = sandbox.fill("$NAME");
        sandbox
            .run(["probe", "mounts", ",", "ls", "/"])
            .code(0)
            .stdout_lacks(&base)
            .stdout_lacks(" / shared");
    }
}

#[test]
fn what_tells_about_the_host_is_masked() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let outcome = sandbox.run([
            "probe",
            "cat",
            "/proc/kcore",
            ",",
            "cat",
            "/proc/keys",
            ",",
            "cat",
            "/proc/timer_list",
            ",",
            "cat",
            "/proc/interrupts",
            ",",
            "ls",
            "/sys/firmware",
            ",",
            "ls",
            "/proc/acpi",
        ]);
        assert_eq!(outcome.out(), "", "{}", outcome.err());
    }
}

#[test]
fn a_mask_cannot_be_written_to() {
    require!(Root);
    let sandbox = Sandbox::new();
    // The null device, which takes everything and passes on nothing; some kernels have no trigger.
    let trigger = sandbox.run(["probe", "stat", "/proc/sysrq-trigger"]).code(0).out();
    assert!(trigger.contains(" char 1:3 ") || trigger.contains("ENOENT"), "{trigger}");
    sandbox.run(["probe", "create", "/sys/firmware/x"]).code(0).stdout("EROFS\n");
}

#[test]
fn settings_of_the_kernel_are_read_only() {
    require!(Root);
    let sandbox = Sandbox::new();
    for path in
        ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/fs/file-max"]
    {
        sandbox.run(["probe", "write", path, "x"]).code(0).stdout("EROFS\n");
    }
    sandbox.run(["probe", "write", "/sys/kernel/uevent_helper", "x"]).code(0).stdout_lacks("ok");
}

#[test]
fn nothing_in_proc_and_sys_can_be_written_but_what_is_known() {
    // CVE-2015-3630 and its kin: the surface is a list, and grows by decision only.
    require!(Root);
    // Pressure triggers watch, and need a capability that is not given.
    let known = ["/proc/pressure/"];
    let out =
        Sandbox::new().run(["probe", "writable", "/proc", ",", "writable", "/sys"]).code(0).out();
    let unknown: Vec<&str> =
        out.lines().filter(|path| !known.iter().any(|known| path.starts_with(known))).collect();
    assert!(unknown.is_empty(), "the container can write {unknown:?}");
}

#[test]
fn the_lists_of_masks_can_be_replaced() {
    require!(Root);
    let sandbox =
        Sandbox::new().config(r#"{"masked_paths": ["/proc/version"], "readonly_paths": ["/tmp"]}"#);
    sandbox
        .run(["probe", "cat", "/proc/version", ",", "create", "/tmp/x"])
        .code(0)
        .stdout("EROFS\n");
    sandbox.run(["probe", "cat", "/proc/interrupts"]).code(0).stdout_has("CPU0");
}

#[test]
fn a_bind_is_read_only_unless_it_says_so() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.host_file("data/file", "text").config(
            r#"{"mounts": [{"source": "$HOST/data", "destination": "/data"},
                           {"source": "$HOST/data", "destination": "/rw", "writable": true}]}"#,
        );
        let outcome = sandbox.run([
            "probe",
            "cat",
            "/data/file",
            ",",
            "write",
            "/data/file",
            "x",
            ",",
            "write",
            "/rw/file",
            "new",
        ]);
        outcome.code(0).stdout("textEROFS\nok\n");
        assert_eq!(fs::read_to_string(sandbox.host().join("data/file")).expect("own file"), "newt");
    }
}

#[test]
fn a_read_only_bind_covers_its_submounts() {
    // CVE-2013-6441: a submount stayed writable.
    require!(Root);
    let sandbox =
        Sandbox::new().host_file("data/sub/file", "").with("tmpfs=$HOST/data/sub").config(
            r#"{"mounts": [{"source": "$HOST/data", "destination": "/data", "writable": false}]}"#,
        );
    sandbox
        .run(["probe", "create", "/data/x", ",", "create", "/data/sub/x"])
        .code(0)
        .stdout("EROFS\nEROFS\n");
}

#[test]
fn a_bind_that_is_not_recursive_leaves_submounts_out() {
    require!(Root);
    let sandbox =
        Sandbox::new().host_file("data/sub/below", "").with("tmpfs=$HOST/data/sub").config(
            r#"{"mounts": [{"source": "$HOST/data", "destination": "/data", "recursive": false}]}"#,
        );
    sandbox.run(["probe", "ls", "/data/sub"]).code(0).stdout("below\n");
}

#[test]
fn a_bind_keeps_no_setuid_and_no_devices() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(
            r#"{"mounts": [{"source": "$HOST", "destination": "/data", "writable": true}]}"#,
        );
        sandbox.run(["probe", "mounts", "/data"]).code(0).stdout_has("nosuid").stdout_has("nodev");
    }
}

#[test]
fn a_file_can_be_bound() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox
            .host_file("hosts", "127.0.0.1 here\n")
            .config(r#"{"mounts": [{"source": "$HOST/hosts", "destination": "/etc/hosts"}]}"#);
        sandbox.run(["probe", "cat", "/etc/hosts"]).code(0).stdout("127.0.0.1 here\n");
    }
}

#[test]
fn an_optional_source_may_be_missing() {
    require!(Container);
    let sandbox = Sandbox::new().config(
        r#"{"mounts": [{"source": "$HOST/nowhere", "destination": "/data", "optional": true}]}"#,
    );
    sandbox.run(["probe", "echo", "ran"]).code(0).stdout("ran\n");
}

#[test]
fn files_links_and_tmpfs_need_no_source() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(
            r#"{"mounts": [{"type": "tmpfs", "destination": "/data", "options": ["size=1m", "mode=700"]},
                           {"type": "file", "destination": "/data/motd", "content": "hello\n", "mode": "0640"},
                           {"type": "symlink", "destination": "/data/link", "target": "motd"}]}"#,
        );
        let outcome = sandbox.run([
            "probe",
            "cat",
            "/data/link",
            ",",
            "stat",
            "/data",
            "/data/motd",
            ",",
            "filesystem",
            "/data",
        ]);
        outcome
            .code(0)
            .stdout_has("hello\n/data directory 0700 0:0\n")
            .stdout_has("0640")
            .stdout_has("1048576 ");
    }
}

#[test]
fn a_read_only_root_still_has_its_mount_points() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(
            r#"{"readonly_fs": true, "mounts": [{"type": "tmpfs", "destination": "/new"}]}"#,
        );
        let outcome = sandbox.run([
            "probe",
            "create",
            "/x",
            ",",
            "create",
            "/new/x",
            ",",
            "write",
            "/dev/null",
            "x",
        ]);
        outcome.code(0).stdout("EROFS\nok\nok\n");
    }
}

#[test]
fn a_root_on_a_ram_disk_is_entered_without_pivot_root() {
    require!(Root);
    let sandbox = Sandbox::new().config(r#"{"no_pivot_root": true}"#);
    sandbox
        .run(["probe", "ls", "/bin", ",", "mounts", ",", "cwd"])
        .code(0)
        .stdout_has("probe\n")
        .stdout_lacks(&sandbox.fill("$NAME"));
}

#[test]
fn the_root_can_be_another_directory() {
    require!(Container);
    let sandbox = Sandbox::without_root_filesystem().directory("rootfs/bin");
    fs::copy(
        std::env::var_os("NSINIT_TEST_PROBE").expect("set"),
        sandbox.root().join("rootfs/bin/probe"),
    )
    .expect("the probe");
    let sandbox = sandbox.config(r#"{"rootfs": "rootfs"}"#);
    sandbox.run(["probe", "ls", "/bin"]).code(0).stdout("probe\n");
}

#[test]
fn the_root_can_be_an_empty_tmpfs() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(
            r#"{"rootfs": {"type": "tmpfs", "size": 1048576}, "mounts": [{"source": "$HOST/../root/bin", "destination": "/bin"}]}"#,
        );
        sandbox.run(["probe", "filesystem", "/"]).code(0).stdout_has("1048576 ");
    }
}

#[test]
fn the_containers_own_files_are_covered() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"hostname": "secret"}"#);
        let outcome = sandbox.run([
            "probe",
            "cat",
            "/container.json",
            ",",
            "cat",
            "/pid",
            ",",
            "write",
            "/container.json",
            "x",
            ",",
            "remove",
            "/container.json",
            ",",
            "rename",
            "/container.json",
            "/x",
            ",",
            "remove",
            "/pid",
        ]);
        outcome.code(0).stdout_lacks("ok").stdout_lacks("secret");
    }
}

#[test]
fn mounts_inside_do_not_reach_the_host() {
    require!(Root);
    // SYS_ADMIN is refused where the own configuration lies in the root filesystem.
    let sandbox = Sandbox::new().config(
        r#"{"capabilities_add": ["SYS_ADMIN"], "rootfs": {"type": "tmpfs"}, "mounts": [
            {"source": "$ROOT/bin", "destination": "/bin"},
            {"type": "tmpfs", "destination": "/data"}]}"#,
    );
    let run = sandbox
        .start(["probe", "mount", "tmpfs", "/data", ",", "ready", ",", "copy"])
        .until("ready");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("procfs");
    assert!(!mounts.contains(&sandbox.fill("$NAME")), "{mounts}");
    run.finish().code(0).stdout_has("ok\n");
}

#[test]
fn mount_points_that_are_missing_are_made() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox =
            sandbox.config(r#"{"mounts": [{"source": "$HOST", "destination": "/a/b/c"}]}"#);
        sandbox
            .run(["probe", "stat", "/a", "/a/b"])
            .code(0)
            .stdout("/a directory 0755 0:0\n/a/b directory 0755 0:0\n");
    }
}

#[test]
fn devices_can_be_added() {
    require!(Root);
    let sandbox = Sandbox::new().config(
        r#"{"devices": [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "mode": "0640", "uid": 3, "gid": 4}]}"#,
    );
    sandbox.run(["probe", "stat", "/dev/mine"]).code(0).stdout("/dev/mine char 1:5 0640 3:4\n");
}

#[test]
fn a_second_procfs_is_masked_like_the_first() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox =
            sandbox.config(r#"{"mounts": [{"type": "proc", "destination": "/srv/second"}]}"#);
        let write = |proc: &str| {
            let path = format!("{proc}/sys/kernel/hostname");
            sandbox.run(["probe", "write", &path, "x"]).code(0).stdout_lacks("ok").out()
        };
        assert_eq!(write("/srv/second"), write("/proc"));
        let facts = |proc: &str| {
            let [keys, acpi] = ["keys", "acpi"].map(|name| format!("{proc}/{name}"));
            sandbox.run(["probe", "stat", &keys, &acpi]).code(0).out().replace(proc, "")
        };
        assert_eq!(facts("/srv/second"), facts("/proc"));
    }
}

#[test]
fn a_root_in_memory_can_be_written_unless_it_is_read_only() {
    require!(Container);
    for mut sandbox in Sandbox::for_each_caller() {
        for (keys, outcome) in [("", "ok\n"), (r#""readonly_fs": true,"#, "EROFS\n")] {
            let json = format!(
                r#"{{{keys} "rootfs": {{"type": "tmpfs"}},
                    "mounts": [{{"source": "$ROOT/bin", "destination": "/bin"}}]}}"#
            );
            sandbox = sandbox.config(&json);
            sandbox.run(["probe", "create", "/new"]).code(0).stdout(outcome);
        }
    }
}
