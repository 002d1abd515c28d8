//! Why a launch failed: each cause provoked, and its hint read.

use std::fs;
use std::path::PathBuf;

use tests::{Outcome, Sandbox, require};

/// A user of whom no other test makes use: his quotas and processes are his own.
const LONELY: u32 = 54321;

/// The launch fails with this message and a hint that has these words, and leaves nothing.
#[track_caller]
fn explained(sandbox: &Sandbox, message: &str, words: &[&str]) -> Outcome {
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    outcome.code(125).stdout("").stderr_has(message).stderr_has("\nhint: ");
    // By these words engines tell kinds of errors apart.
    let stderr = outcome.err().to_lowercase();
    let hint = stderr.split_once("\nhint: ").map_or("", |(_, hint)| hint);
    for word in ["no such file", "permission denied", "not permitted", "executable file"] {
        assert!(!hint.contains(word), "{hint}");
    }
    for word in words {
        outcome.stderr_has(word);
    }
    sandbox.assert_clean();
    outcome
}

/// `nsinit doctor` has told it beforehand, in the same words.
#[track_caller]
fn foreseen(sandbox: &Sandbox, words: &[&str]) {
    let outcome = sandbox.nsinit(["doctor", "probe"]);
    outcome.code(1).stdout_has("  PROBLEM  ").stdout_has("it would not run here: one problem");
    for word in words {
        outcome.stdout_has(word);
    }
    sandbox.assert_clean();
}

#[test]
fn a_kind_of_namespace_that_is_switched_off_is_told_with_its_sysctl() {
    require!(Root, UserNamespaces);
    let mapped = r#"{"uid_mappings": [{"container_id": 0, "host_id": 0, "size": 1}],
                     "gid_mappings": [{"container_id": 0, "host_id": 0, "size": 1}],
                     "namespaces": ["NEWNS", "NEWPID", "NEWUSER"]}"#;
    let sandbox = Sandbox::new().config(mapped).with("none=user");
    let message =
        "new mount, user and pid namespaces: forbidden by /proc/sys/user/max_user_namespaces: ";
    explained(&sandbox, message, &["sysctl -w user.max_user_namespaces="]);
    foreseen(&sandbox, &[message, "sysctl -w user.max_user_namespaces="]);
    let sandbox =
        Sandbox::new().config(r#"{"namespaces": ["NEWNS", "NEWPID", "NEWNET"]}"#).with("none=net");
    let message =
        "new mount, pid and net namespaces: forbidden by /proc/sys/user/max_net_namespaces: ";
    explained(&sandbox, message, &["sysctl -w user.max_net_namespaces="]);
    foreseen(&sandbox, &[message, "sysctl -w user.max_net_namespaces="]);
}

#[test]
fn a_proc_that_an_outer_container_masks_is_told() {
    require!(Root, UserNamespaces);
    let sandbox = Sandbox::new().as_user(tests::ORDINARY).with("tmpfs=/proc/irq");
    let sandbox = sandbox.with("tmpfs=/proc/bus");
    let words = ["hint: /proc/bus and /proc/irq are covered here", "unmask=ALL", "NEWPID"];
    explained(&sandbox, "open a detached procfs: Operation not permitted", &words);
    foreseen(&sandbox, &words);
    let sandbox = Sandbox::new().as_user(tests::ORDINARY).with("tmpfs=/sys/kernel/mm");
    explained(
        &sandbox,
        "mount sysfs on /sys",
        &["hint: /sys/kernel/mm is covered here", "leave NEWNET out"],
    );
    foreseen(&sandbox, &["hint: /sys/kernel/mm is covered here", "leave NEWNET out"]);
}

/// A cgroup of the pids controller, removed at the end.
struct PidsCgroup(PathBuf);

impl PidsCgroup {
    fn with_max(name: &str, max: u32) -> PidsCgroup {
        let tops = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(PathBuf::from);
        let top = tops.iter().find(|top| top.join("cgroup.procs").exists()).expect("cgroups");
        drop(fs::write(top.join("cgroup.subtree_control"), "+pids"));
        let path = top.join(name);
        fs::create_dir(&path).expect("root may make a cgroup");
        fs::write(path.join("pids.max"), max.to_string()).expect("the pids controller");
        PidsCgroup(path)
    }
}

impl Drop for PidsCgroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn the_cgroup_whose_limit_of_processes_is_reached_is_told() {
    require!(Root, Cgroups);
    let cgroup = PidsCgroup::with_max(&format!("limit-{}", std::process::id()), 1);
    let file = cgroup.0.join("pids.max");
    let message = format!("forbidden by {} = 1: Resource temporarily unavailable", file.display());
    let sandbox = Sandbox::new().with(&format!("cgroup={}", cgroup.0.display()));
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    outcome.code(125).stderr_has(&message).stderr_has("\nhint: end processes in that cgroup");
    foreseen(&sandbox, &[&message, "hint: end processes in that cgroup"]);
}

#[test]
fn the_containers_own_limit_of_processes_is_told() {
    require!(Root, Cgroups);
    let sandbox = Sandbox::new().config(
        r#"{"init": true, "cgroups": {"name": "$NAME", "parent": "nsinit-test", "pids_max": 1}}"#,
    );
    let words = sandbox.fill("nsinit-test/$NAME/pids.max = 1 is used up: raise cgroups.pids_max");
    explained(&sandbox, "stay as PID 1: Resource temporarily unavailable", &[&words]);
}

#[test]
fn the_users_limit_of_processes_is_told() {
    require!(Root, UserNamespaces);
    let sandbox = Sandbox::new().as_user(LONELY).with("nproc=1");
    let message = "forbidden by RLIMIT_NPROC = 1: Resource temporarily unavailable";
    explained(&sandbox, message, &["ulimit -u"]);
    foreseen(&sandbox, &[message, "ulimit -u"]);
}

#[test]
fn the_limit_of_open_files_is_told() {
    require!(Container);
    for limit in 8..14 {
        let sandbox = Sandbox::new().with(&format!("nofile={limit}"));
        let outcome = sandbox.run(["probe", "echo", "ran"]);
        if outcome.code_or_signal() != 0 {
            let words = format!("Too many open files\nhint: RLIMIT_NOFILE is {limit}: raise it");
            outcome.code(125).stdout("").stderr_has(&words);
        }
    }
    foreseen(&Sandbox::new().with("nofile=24"), &["RLIMIT_NOFILE is 24: raise it"]);
}

#[test]
fn the_limit_of_mounts_is_told() {
    require!(Root, Memory);
    let most = fs::read_to_string("/proc/sys/fs/mount-max").expect("procfs").trim().to_owned();
    let sandbox = Sandbox::new().with(&format!("mounts=$HOST:{most}"));
    let hint = format!("hint: fs.mount-max = {most}, and about ");
    explained(&sandbox, "No space left on device", &[&hint]);
}

#[test]
fn the_quota_of_keys_is_told() {
    require!(Root, UserNamespaces);
    let sandbox = Sandbox::new().as_user(LONELY + 1).with_own("keys=all");
    let words = ["hint: user 54322 has ", "kernel.keys.maxkeys="];
    explained(&sandbox, "join a new session keyring: ", &words);
    // The kernel collects the first one's keys when it likes.
    let another = Sandbox::new().as_user(LONELY + 4).with_own("keys=all");
    foreseen(&another, &["hint: user 54325 has ", words[1]]);
}

#[test]
fn a_read_only_mount_of_the_configuration_that_covers_a_mount_point_is_told() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(
            r#"{"mounts": [{"source": "$HOST", "destination": "/data"},
                           {"source": "$HOST", "destination": "/data/inner"}]}"#,
        );
        let by = sandbox.fill("is mounted read-only, by \"bind $HOST on /data (ro,");
        let message = sandbox.fill("bind $HOST on /data/inner");
        explained(&sandbox, &message, &["hint: /data (", &by, "/data/inner must be there"]);
    }
}

#[test]
fn a_read_only_mount_of_the_host_that_holds_the_root_filesystem_is_told() {
    require!(Root);
    let sandbox = Sandbox::new().with("bind=$ROOT:$ROOT:ro");
    let hint = sandbox.fill("$ROOT (");
    explained(
        &sandbox,
        "/proc: mount point is missing and its filesystem is read-only",
        &[&hint, ") is mounted read-only"],
    );
    foreseen(&sandbox, &[&hint, ") is mounted read-only"]);
}

#[test]
fn a_directory_of_the_host_that_the_caller_may_not_enter_is_told() {
    require!(Root, UserNamespaces);
    let closed = std::env::temp_dir().join(format!("nsinit-closed-{}", std::process::id()));
    fs::create_dir_all(closed.join("inner")).expect("a directory of root's");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&closed, mode).expect("own directory");
    let shown = closed.display();
    let hint = format!("{shown} may not be entered by user 65534 (mode 0700, owner 0:0)");
    let sandbox = Sandbox::new().as_user(tests::ORDINARY).config(&format!(
        r#"{{"mounts": [{{"source": "{shown}/inner", "destination": "/data"}}]}}"#
    ));
    let message = format!("{shown}/inner: permission denied");
    located(&sandbox, "mounts[0].source", &message, &hint);
    let outcome = sandbox.nsinit(["--root", &format!("{shown}/inner"), "exec", "probe"]);
    fs::remove_dir_all(&closed).expect("own directory");
    outcome.code(125).stderr_has(": Permission denied\nhint: ").stderr_has(&hint);
}

#[test]
fn a_mount_point_that_the_caller_may_not_make_is_told_with_whose_the_directory_is() {
    require!(Root, UserNamespaces);
    let image = Sandbox::new().file("container.json", "{}");
    let sandbox = Sandbox::new().as_user(tests::ORDINARY);
    let rootfs = image.root().display().to_string();
    let sandbox = sandbox.config(&format!(r#"{{"rootfs": "{rootfs}"}}"#));
    let hint = format!("hint: /proc is not there, and {rootfs} may not be written by user 65534");
    explained(&sandbox, "mount proc on /proc (nosuid,nodev,noexec): Permission denied", &[&hint]);
    foreseen(&sandbox, &[&hint]);
}

#[test]
fn a_working_directory_that_cannot_be_entered_is_told_with_the_part_that_is_in_the_way() {
    require!(Root);
    let sandbox = Sandbox::new().directory("opt/app").mode("opt", 0o700);
    explained(
        &sandbox.config(r#"{"user": "www", "working_dir": "/opt/app"}"#),
        "change to /opt/app: Permission denied",
        &["hint: /opt may not be entered by user 33 (mode 0700, owner 0:0): choose another"],
    );
    let sandbox = Sandbox::new().directory("srv").config(r#"{"working_dir": "/srv/a/b"}"#);
    let hint = "it must be in the root filesystem, or be made by a mount";
    located(&sandbox, "working_dir", "/srv/a/b: no such file or directory", hint);
}

#[test]
fn a_full_filesystem_of_the_host_is_told() {
    require!(Root, UserNamespaces);
    let sandbox = Sandbox::new().as_user(tests::ORDINARY);
    let run = sandbox.run_directory();
    let above = run.parent().expect("a directory").display().to_string();
    let sandbox = sandbox.with(&format!("tmpfs={above}:nr_inodes=1"));
    explained(&sandbox, "No space left on device", &["has no free inode"]);
    foreseen(&sandbox, &["No space left on device", "has no free inode"]);
}

#[test]
fn a_memory_limit_that_is_too_low_for_a_container_is_told() {
    require!(Root, Cgroups);
    let sandbox = Sandbox::new()
        .config(r#"{"cgroups": {"name": "$NAME", "parent": "nsinit-test", "memory": 4096}}"#);
    explained(
        &sandbox,
        "container init ended before the program was started: signal: 9 (SIGKILL), by the OOM killer",
        &["hint: cgroups.memory is 4096 bytes"],
    );
    foreseen(&sandbox, &["cgroups.memory is 4096 bytes"]);
}

/// The configuration is refused at this key, with this message and help.
#[track_caller]
fn located(sandbox: &Sandbox, key: &str, message: &str, help: &str) {
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    outcome.code(125).stdout("").stderr_has("container.json:1:");
    outcome.stderr_has(&sandbox.fill(&format!(" {key}: {message}\n")));
    outcome.stderr_has("\n   help: ").stderr_has(&sandbox.fill(help));
    sandbox.assert_clean();
    foreseen(sandbox, &[&sandbox.fill(message), &sandbox.fill(help)]);
}

fn on_bridge(address: &str) -> Sandbox {
    let sandbox = Sandbox::new().own_network();
    sandbox.on_host(["ip", "link", "add", "$LINKo", "type", "bridge"]);
    sandbox.on_host(["ip", "address", "add", "10.77.0.1/24", "dev", "$LINKo"]);
    sandbox.config(&format!(
        r#"{{"networks": [{{"type": "loopback"}}, {{"type": "veth", "address": "{address}",
            "context": {{"bridge": "$LINKb", "prefix": "$LINK"}}}}]}}"#
    ))
}

#[test]
fn a_missing_bridge_is_told_with_those_that_there_are() {
    require!(Root, Ip);
    let sandbox = on_bridge("10.77.0.2/24");
    let (key, message) = ("networks[1].context.bridge", "bridge $LINKb: there is none");
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    outcome.code(125).stderr_has("container.json:2:").stderr_has(&sandbox.fill(message));
    outcome.stderr_has(key).stderr_has(&sandbox.fill("this host has $LINKo; as root: ip link add"));
    outcome.stderr_has("\"create\": true");
    foreseen(&sandbox, &[&sandbox.fill(message), &sandbox.fill("this host has $LINKo; as root:")]);
}

#[test]
fn an_address_that_the_bridge_has_is_told() {
    require!(Root, Ip);
    let sandbox = on_bridge("10.77.0.1/24");
    sandbox.on_host(["ip", "link", "set", "$LINKo", "name", "$LINKb"]);
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    let message = "networks[1].address: eth0: address 10.77.0.1: in use by $LINKb";
    outcome.code(125).stderr_has(&sandbox.fill(message)).stderr_has("choose another one");
    foreseen(&sandbox, &["address 10.77.0.1: in use by", "choose another one"]);
}

#[test]
fn a_limit_that_the_kernel_refuses_is_told_at_its_key() {
    require!(Root, Cgroups);
    let sandbox = Sandbox::new().config(
        r#"{"cgroups": {"name": "$NAME", "parent": "nsinit-test", "cpuset_cpus": "4000"}}"#,
    );
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    outcome.code(125).stderr_has("container.json:1:").stderr_has(" cgroups.cpuset_cpus: ");
    sandbox.assert_clean();
    foreseen(&sandbox, &["cpuset_cpus"]);
}

#[test]
fn a_namespace_of_another_kind_is_told_at_its_key() {
    require!(Root);
    let sandbox = Sandbox::new()
        .config(r#"{"namespaces": ["NEWNS", {"type": "NEWNET", "path": "/proc/self/ns/uts"}]}"#);
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    outcome.code(125).stderr_has("container.json:1:").stderr_has(" namespaces[1].path: ");
    foreseen(&sandbox, &["/proc/self/ns/uts: a NEWUTS namespace, not NEWNET"]);
    let sandbox = Sandbox::new()
        .config(r#"{"namespaces": ["NEWNS", {"type": "NEWNET", "path": "/run/nowhere"}]}"#);
    let message = "/run/nowhere: No such file or directory";
    located(&sandbox, "namespaces[1].path", message, "make it first (ip netns add NAME)");
}

#[test]
fn a_hierarchy_without_the_controller_is_told() {
    require!(Root, CgroupV1);
    let sandbox = Sandbox::new()
        .config(r#"{"cgroups": {"name": "$NAME", "parent": "nsinit-test", "memory": 33554432}}"#)
        .with("cgroup2=/sys/fs/cgroup");
    let message = "/sys/fs/cgroup: controller memory is not available here";
    located(&sandbox, "cgroups.memory", message, "no cgroup that can be seen here has it");
}

#[test]
fn an_id_that_is_not_the_callers_is_told_with_the_line_that_gives_it() {
    require!(Root, UserNamespaces, Newuidmap);
    let sandbox = Sandbox::new().as_user(LONELY + 2).config(
        r#"{"uid_mappings": [{"container_id": 0, "host_id": 54323, "size": 1},
                             {"container_id": 1, "host_id": 100000, "size": 10}],
            "gid_mappings": [{"container_id": 0, "host_id": 54323, "size": 1}],
            "namespaces": ["NEWNS", "NEWPID", "NEWIPC", "NEWNET", "NEWUSER"]}"#,
    );
    located(
        &sandbox,
        "uid_mappings",
        "/etc/subuid: user 54323 has no line 54323:100000:10",
        "as root, add the line 54323:100000:10 to /etc/subuid",
    );
    foreseen(&sandbox, &["user 54323 has no line 54323:100000:10", "add the line"]);
}

#[test]
fn a_user_that_is_not_mapped_is_told_with_what_is_missing_for_it() {
    require!(Root, UserNamespaces, Newuidmap);
    let message = "uid 33 is not mapped into the user namespace";
    let with = |binds: &[&str]| {
        let sandbox = Sandbox::new().as_user(tests::ORDINARY).config(r#"{"user": "33"}"#);
        let sandbox = sandbox.host_file("ids", "nobody:3000000:65536\n").host_file("none", "");
        binds.iter().fold(sandbox, |sandbox, bind| sandbox.with(&format!("bind=$HOST/{bind}")))
    };
    let help = "neither /etc/subuid nor /etc/subgid has ids for user nobody: as root: usermod";
    located(&with(&["none:/etc/subuid", "none:/etc/subgid"]), "user", message, help);
    let help = "/etc/subgid has no ids for user nobody";
    located(&with(&["ids:/etc/subuid", "none:/etc/subgid"]), "user", message, help);
    let both = ["ids:/etc/subuid", "ids:/etc/subgid"];
    with(&both).run(["probe", "id"]).code(0).stdout_has("uid=33");
    let without = [both[0], both[1], "none:/usr/bin/newuidmap"];
    located(&with(&without), "user", message, "newuidmap and newgidmap are not installed");
}

#[test]
fn a_cgroup_that_lacks_a_controller_is_told_with_who_has_it() {
    require!(Root, UserNamespaces);
    let Some(tree) = Unified::find() else {
        return tests::skip("needs a cgroup v2 tree with memory, pids or hugetlb");
    };
    let cgroup = tree.top.join(format!("lacks-{}", std::process::id()));
    let (inner, leaf) = (cgroup.join("inner"), cgroup.join("inner/leaf"));
    fs::create_dir_all(&leaf).expect("root may make a cgroup");
    for directory in [&inner, &leaf] {
        for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            let owner = Some(tests::ORDINARY);
            std::os::unix::fs::chown(directory.join(file), owner, owner).expect("root may");
        }
    }
    let sandbox = Sandbox::new()
        .as_user(tests::ORDINARY)
        .config(&format!(r#"{{"cgroups": {{"name": "$NAME", {}}}}}"#, tree.limit))
        .with(&format!("cgroup={}", leaf.display()));
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    for directory in [&leaf, &inner, &cgroup] {
        fs::remove_dir(directory).expect("nobody is left in it");
    }
    let message = format!("controller {} is not available here", tree.controller);
    outcome.code(125).stdout("").stderr_has(&message).stderr_has("container.json:1:");
    outcome.stderr_has(&format!(
        "has to pass it on: echo +{} > {}",
        tree.controller,
        tree.top.display()
    ));
}

#[test]
fn what_selinux_refuses_is_told_with_its_record() {
    require!(Root, Selinux);
    let sandbox = Sandbox::new()
        .config(r#"{"context": {"process_label": "system_u:system_r:container_t:s0"}}"#)
        .executable("bin/secret", "");
    let program = sandbox.root().join("bin/secret");
    fs::copy(sandbox.root().join("bin/probe"), &program).expect("own directory");
    let label = b"system_u:object_r:secret_t:s0";
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&program, "security.selinux", label, flags).expect("a type of the policy");
    let outcome = sandbox.run(["/bin/secret", "echo", "ran"]);
    outcome
        .code(126)
        .stdout("")
        .stderr_has("/bin/secret: a security module refused it: Permission");
    outcome.stderr_has("\nhint: avc:  denied ").stderr_has("secret_t");
}

#[test]
fn a_restriction_of_user_namespaces_by_apparmor_is_told_with_the_profile_that_lifts_it() {
    require!(AppArmorUserns);
    let sandbox = Sandbox::new().as_user(tests::ORDINARY);
    let outcome = sandbox.run(["probe", "echo", "ran"]);
    outcome.code(125).stdout("").stderr_has("\nhint: AppArmor restricts user namespaces here");
    outcome.stderr_has("\nprofile nsinit \"/").stderr_has("  userns,\n");
}

/// A tree of version 2 and a controller of it.
struct Unified {
    top: PathBuf,
    controller: &'static str,
    limit: &'static str,
}

impl Unified {
    fn find() -> Option<Unified> {
        let tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
        let top = tops.into_iter().find(|top| top.join("cgroup.controllers").exists())?;
        let has = fs::read_to_string(top.join("cgroup.controllers")).ok()?;
        let limits = [
            ("memory", r#""memory": 33554432"#),
            ("pids", r#""pids_max": 100"#),
            ("hugetlb", r#""unified": {"hugetlb.2MB.max": "0"}"#),
        ];
        let (controller, limit) =
            limits.into_iter().find(|(name, _)| has.split_whitespace().any(|has| has == *name))?;
        Some(Unified { top, controller, limit })
    }
}
