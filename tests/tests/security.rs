//! What the program may not do.

use tests::{Sandbox, require};

const DEFAULT: &str = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT";

fn sets(inheritable: &str, permitted: &str, bounding: &str, ambient: &str) -> String {
    format!(
        "inheritable: {inheritable}\npermitted: {permitted}\neffective: {permitted}\nbounding: {bounding}\nambient: {ambient}\n"
    )
}

#[track_caller]
fn capabilities(json: &str, expected: &str) {
    for sandbox in Sandbox::for_each_caller() {
        sandbox.config(json).run(["probe", "caps"]).code(0).stdout(expected);
    }
}

#[test]
fn root_has_the_default_capabilities() {
    require!(Container);
    capabilities("{}", &sets("", DEFAULT, DEFAULT, ""));
}

#[test]
fn the_mask_takes_from_the_default() {
    require!(Container);
    let rest = DEFAULT.replace("CHOWN ", "").replace(" KILL", "");
    capabilities(
        r#"{"capabilities_mask": ["CHOWN", "CAP_KILL", "SYS_ADMIN"]}"#,
        &sets("", &rest, &rest, ""),
    );
}

#[test]
fn capabilities_can_be_added() {
    require!(Container);
    let more = DEFAULT.replace("NET_BIND_SERVICE", "NET_BIND_SERVICE NET_RAW");
    capabilities(r#"{"capabilities_add": ["net_raw"]}"#, &sets("", &more, &more, ""));
}

#[test]
fn the_set_can_be_given_exactly() {
    require!(Container);
    capabilities(r#"{"capabilities": []}"#, &sets("", "", "", ""));
    capabilities(r#"{"capabilities": ["SYS_CHROOT"]}"#, &sets("", "SYS_CHROOT", "SYS_CHROOT", ""));
}

#[test]
fn another_user_has_no_capabilities() {
    // CVE-2022-24769, CVE-2016-8867: neither inheritable nor ambient ones.
    require!(Root);
    let sandbox = Sandbox::new().config(r#"{"user": "33"}"#);
    let out = sandbox.run(["probe", "caps"]).code(0).out();
    assert!(out.starts_with("inheritable: \npermitted: \neffective: \n"), "{out}");
    assert!(out.ends_with("ambient: \n"), "{out}");
}

#[test]
fn another_user_keeps_the_capabilities_that_are_named() {
    require!(Root);
    let sandbox = Sandbox::new().config(r#"{"user": "33", "capabilities": ["NET_BIND_SERVICE"]}"#);
    let one = "NET_BIND_SERVICE";
    sandbox.run(["probe", "caps"]).code(0).stdout(&sets(one, one, one, one));
}

#[test]
fn no_new_privileges_is_set_unless_it_is_asked_for() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.run(["probe", "status", "NoNewPrivs"]).code(0).stdout("NoNewPrivs: 1\n");
        let sandbox = sandbox.config(r#"{"no_new_privileges": false}"#);
        sandbox.run(["probe", "status", "NoNewPrivs"]).code(0).stdout("NoNewPrivs: 0\n");
    }
}

/// Without a filter of system calls, and with its configuration out of reach.
fn unfiltered(sandbox: Sandbox) -> Sandbox {
    sandbox.config(
        r#"{"seccomp": "unconfined", "rootfs": {"type": "tmpfs"},
            "mounts": [{"source": "$ROOT/bin", "destination": "/bin"}]}"#,
    )
}

#[test]
fn the_callers_keys_are_out_of_reach() {
    require!(Root);
    let sandbox = unfiltered(Sandbox::new()).with("key=$NAME");
    sandbox.run(["probe", "search-key", "$NAME"]).code(0).stdout_lacks("ok");
}

#[test]
fn each_container_has_a_keyring_of_its_own() {
    require!(Container);
    let ring = || unfiltered(Sandbox::new()).run(["probe", "keyring"]).code(0).out();
    assert_ne!(ring(), ring());
}

#[test]
fn the_host_name_cannot_be_changed() {
    require!(Container);
    Sandbox::new().run(["probe", "set-hostname"]).code(0).stdout("EPERM\n");
}

#[test]
fn nothing_can_be_mounted_or_unmounted() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let outcome = sandbox.run([
            "probe",
            "mount",
            "tmpfs",
            "/data",
            ",",
            "mount",
            "proc",
            "/data",
            ",",
            "unmount",
            "/proc/interrupts",
            ",",
            "unmount",
            "/sys",
        ]);
        outcome.code(0).stdout("EPERM\nEPERM\nEPERM\nEPERM\n");
    }
}

#[test]
fn no_device_can_be_made() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox
            .run([
                "probe",
                "mknod",
                "/data/disk",
                "b",
                "8",
                "0",
                ",",
                "mknod",
                "/dev/mem",
                "c",
                "1",
                "1",
            ])
            .stdout("EPERM\nEPERM\n");
    }
}

#[test]
fn a_file_of_the_host_cannot_be_opened_by_its_handle() {
    require!(Root);
    Sandbox::new().run(["probe", "open-by-handle", "/bin/probe"]).code(0).stdout("EPERM\n");
}

#[test]
fn processes_of_the_host_are_not_seen() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.run(["probe", "processes"]).code(0).stdout("1 R probe\n");
    }
}

#[test]
fn a_profile_without_apparmor_is_an_error_that_names_the_key() {
    require!(Container, NoAppArmor);
    let sandbox = Sandbox::new().config(r#"{"context": {"apparmor_profile": "docker-default"}}"#);
    sandbox
        .run(["probe", "id"])
        .code(125)
        .stdout("")
        .stderr_has("context.apparmor_profile")
        .stderr_has("AppArmor");
}

#[test]
fn a_label_without_selinux_is_an_error_that_names_the_key() {
    require!(Container, NoSelinux);
    for key in ["process_label", "mount_label"] {
        let sandbox = Sandbox::new().config(&format!(
            r#"{{"context": {{"{key}": "system_u:system_r:svirt_lxc_net_t:s0"}}}}"#
        ));
        sandbox.run(["probe", "id"]).code(125).stdout("").stderr_has(key).stderr_has("SELinux");
    }
}

#[test]
fn a_setuid_program_gains_nothing() {
    require!(Root);
    let sandbox = Sandbox::new().mode("bin/probe", 0o4755).config(r#"{"user": "33"}"#);
    sandbox
        .run(["probe", "id", ",", "set-uid", "0"])
        .code(0)
        .stdout_has("uid=33 ")
        .stdout_has("EPERM");
}

#[test]
fn sysctls_of_the_containers_namespaces_can_be_set() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"sysctl": {"net.ipv4.ip_forward": "1"}}"#);
        let outcome = sandbox.run(["probe", "cat", "/proc/sys/net/ipv4/ip_forward"]);
        outcome.code(0).stdout("1\n");
    }
}

#[test]
fn so_can_those_of_ipc_but_not_in_an_old_kernels_user_namespace() {
    require!(Container);
    let owner_may = tests::kernel_release() >= (5, 19);
    for sandbox in Sandbox::for_each_caller() {
        let is_root = sandbox.is_for_root();
        let sandbox = sandbox.config(r#"{"sysctl": {"kernel.shmmni": "100"}}"#);
        let outcome = sandbox.run(["probe", "cat", "/proc/sys/kernel/shmmni"]);
        if owner_may || is_root {
            outcome.code(0).stdout("100\n");
        } else {
            outcome.code(125).stdout("").stderr_has("set sysctl kernel.shmmni = 100: Permission");
            outcome.stderr_has("\nhint: Linux lets a user namespace set ");
        }
    }
}

#[test]
fn a_seccomp_policy_is_reserved() {
    Sandbox::new()
        .config(r#"{"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}"#)
        .run(["probe", "id"])
        .code(125)
        .stderr_has("seccomp");
}

const USER_NAMESPACES: [&str; 6] =
    ["probe", "new-user-namespace", ",", "clone-user-namespace", ",", "clone3"];

#[test]
fn a_program_makes_no_user_namespace() {
    // In one it could take off what covers files, and mount cgroups that can be written.
    require!(Container);
    for keys in ["{}", r#"{"init": true}"#, r#"{"no_new_privileges": false}"#, r#"{"user": "7"}"#] {
        for sandbox in Sandbox::for_each_caller() {
            if keys.contains("user") && !sandbox.is_for_root() {
                continue; // has that one id only
            }
            let sandbox = sandbox.config(keys);
            sandbox.run(USER_NAMESPACES).code(0).stdout("EPERM\nEPERM\nENOSYS\n");
            // Nor does one that joins.
            let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
            sandbox.run(USER_NAMESPACES).code(0).stdout("EPERM\nEPERM\nENOSYS\n");
            first.finish().code(0);
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_makes_no_user_namespace_by_calls_of_32_bits() {
    require!(Container);
    let words = ["probe", "new-user-namespace-by-i386"];
    for sandbox in Sandbox::for_each_caller() {
        let outcome = sandbox.run(words);
        // SIGSEGV: no such calls.
        if outcome.code_or_signal() == 128 + 11 {
            return tests::skip("needs system calls of 32 bits (CONFIG_IA32_EMULATION)");
        }
        outcome.code(0).stdout("EPERM\n");
    }
}

#[test]
fn user_namespaces_are_for_who_may_mount_or_has_no_filter() {
    require!(Root);
    let may_mount = Sandbox::new().config(
        r#"{"capabilities_add": ["SYS_ADMIN"], "rootfs": {"type": "tmpfs"},
            "mounts": [{"source": "$ROOT/bin", "destination": "/bin"}]}"#,
    );
    for sandbox in [may_mount, unfiltered(Sandbox::new())] {
        sandbox.run(["probe", "clone-user-namespace", ",", "clone3"]).stdout("ok\nEINVAL\n");
    }
}

#[test]
fn the_users_keyring_is_out_of_reach() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.run(["probe", "user-keyring"]).code(0).stdout("ENOSYS\n");
    }
}
