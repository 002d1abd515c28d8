//! Parent: which denier is found, on hosts that are directories.

use super::*;

/// A host that is a directory with these files.
struct Host(Facts);

impl Host {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("nsinit-denial-{name}-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let kinds = Namespace::ALL.map(|kind| (format!("/proc/self/ns/{}", kind.file()), ""));
        let kinds = kinds.iter().map(|(path, text)| (path.as_str(), *text));
        for (path, text) in kinds.chain(files.iter().copied()) {
            let path = root.join(&path[1..]);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(Facts {
            root,
            admin: false,
            filtered: false,
            init: false,
            process: "/proc/self".to_owned(),
            release: (6, 8),
        })
    }

    fn explain(&self, kinds: Kinds, errno: Errno) -> Error {
        explain(&CloneRequest { kinds, ..CloneRequest::default() }, errno, &self.0)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0.root).unwrap();
    }
}

fn denier(error: &Error) -> Denier {
    match error {
        Error::Denied { by, remedy, .. } => {
            assert!(remedy.is_some(), "{error}");
            by.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_missing_clone3_is_the_outer_filter_or_an_old_kernel() {
    let mut host = Host::new("nosys", &[]);
    assert_eq!(denier(&host.explain(Kinds::USER, Errno::NOSYS)), Denier::OuterFilter);
    host.0.release = (5, 4);
    let error = host.explain(Kinds::NONE, Errno::NOSYS);
    assert_eq!(error.to_string(), "new process: needs Linux 5.10: Function not implemented");
}

#[test]
fn each_switch_for_user_namespaces_is_named() {
    let debian = Host::new("debian", &[(USERNS_CLONE, "0\n")]);
    let error = debian.explain(Kinds::USER | Kinds::NET, Errno::PERM);
    assert_eq!(
        error.to_string(),
        "new user and net namespaces: forbidden by \
         /proc/sys/kernel/unprivileged_userns_clone: Operation not permitted"
    );
    assert_eq!(error.hint().unwrap(), "as root: sysctl -w kernel.unprivileged_userns_clone=1");
    let ubuntu = Host::new("ubuntu", &[(USERNS_CLONE, "1\n"), (APPARMOR, "1\n")]);
    assert_eq!(denier(&ubuntu.explain(Kinds::USER, Errno::ACCESS)), Denier::AppArmor);
    assert_eq!(of_user_namespaces(&ubuntu.0), Some(Denier::AppArmor));
    let on = (APPARMOR_ENABLED, "Y\n");
    let own = [on, (APPARMOR, "1\n"), ("/proc/self/attr/current", "nsinit (unconfined)\n")];
    assert_eq!(of_user_namespaces(&Host::new("profile", &own).0), None);
    let none = [on, (APPARMOR, "1\n"), ("/proc/self/attr/current", "unconfined\n")];
    assert_eq!(of_user_namespaces(&Host::new("none", &none).0), Some(Denier::AppArmor));
    let free = Host::new("free", &[(USERNS_CLONE, "1\n"), (APPARMOR, "0\n")]);
    assert_eq!(denier(&free.explain(Kinds::USER, Errno::PERM)), Denier::Kernel);
}

#[test]
fn the_own_profile_is_named_but_not_for_what_a_filter_forbids() {
    let label = "box (enforce)";
    let own = [(APPARMOR_ENABLED, "Y\n"), ("/proc/self/attr/current", "box (enforce)\n")];
    let mut host = Host::new("own-profile", &own);
    for errno in [Errno::PERM, Errno::ACCESS] {
        assert_eq!(denier(&host.explain(Kinds::USER, errno)), Denier::Profile(label.to_owned()));
    }
    host.0.filtered = true;
    assert_eq!(denier(&host.explain(Kinds::USER, Errno::PERM)), Denier::OuterFilter);
    let selinux = [(APPARMOR_ENABLED, "N\n"), ("/proc/self/attr/current", "u:r:t:s0\0")];
    let host = Host::new("selinux", &selinux);
    assert_eq!(denier(&host.explain(Kinds::USER, Errno::PERM)), Denier::Kernel);
}

#[test]
fn the_switches_are_not_blamed_for_root() {
    let mut host = Host::new("root", &[(USERNS_CLONE, "0"), (APPARMOR, "1")]);
    host.0.admin = true;
    host.0.filtered = true;
    assert_eq!(denier(&host.explain(Kinds::USER, Errno::PERM)), Denier::OuterFilter);
}

#[test]
fn without_a_user_namespace_the_capability_is_named() {
    let host = Host::new("admin", &[]);
    let error = host.explain(Kinds::NET, Errno::PERM);
    assert_eq!(denier(&error), Denier::Kernel);
    assert!(error.hint().unwrap().contains("CAP_SYS_ADMIN"), "{error}");
}

#[test]
fn a_limit_at_zero_is_a_prohibition() {
    let net = "/proc/sys/user/max_net_namespaces";
    let user = "/proc/sys/user/max_user_namespaces";
    let closed = Host::new("closed", &[(net, "0"), (user, "100")]);
    let kinds = Kinds::USER | Kinds::NET;
    assert_eq!(denier(&closed.explain(kinds, Errno::NOSPC)), Denier::Sysctl(net.into()));
    let full = Host::new("full", &[(net, "300"), (user, "100")]);
    let limit = Denier::Limit { file: user.into(), value: Some(100) };
    assert_eq!(limit.to_string(), "/proc/sys/user/max_user_namespaces = 100");
    assert_eq!(denier(&full.explain(kinds, Errno::NOSPC)), limit);
    assert_eq!(denier(&full.explain(kinds, Errno::USERS)), limit);
}

#[test]
fn the_limit_of_processes_is_found() {
    let full = Host::new(
        "pids",
        &[
            ("/proc/self/cgroup", "8:pids:/a/b\n0::/\n"),
            ("/sys/fs/cgroup/pids/a/b/pids.max", "max"),
            ("/sys/fs/cgroup/pids/a/b/pids.current", "5"),
            ("/sys/fs/cgroup/pids/a/pids.max", "5"),
            ("/sys/fs/cgroup/pids/a/pids.current", "5"),
        ],
    );
    let by = denier(&full.explain(Kinds::NONE, Errno::AGAIN));
    assert_eq!(by.to_string(), "/sys/fs/cgroup/pids/a/pids.max = 5");
    let limits = "Limit  Soft Limit  Hard Limit  Units\nMax processes  7  9  processes\n";
    let user = Host::new("nproc", &[("/proc/self/limits", limits)]);
    let by = denier(&user.explain(Kinds::NONE, Errno::AGAIN));
    assert_eq!(by.to_string(), "RLIMIT_NPROC = 7");
    let machine = Host::new("threads", &[("/proc/sys/kernel/threads-max", "100\n")]);
    let by = denier(&machine.explain(Kinds::NONE, Errno::AGAIN));
    assert_eq!(by.to_string(), "/proc/sys/kernel/threads-max = 100");
}

#[test]
fn a_kind_that_the_kernel_lacks_is_named() {
    let host = Host::new("old", &[]);
    std::fs::remove_file(host.0.root.join("proc/self/ns/time")).unwrap();
    let error = host.explain(Kinds::TIME | Kinds::UTS, Errno::INVAL);
    assert_eq!(
        error.to_string(),
        "new uts and time namespaces: needs a kernel with CONFIG_TIME_NS: Invalid argument"
    );
    let known = host.explain(Kinds::UTS, Errno::INVAL);
    assert_eq!(known.to_string(), "new uts namespace: Invalid argument");
}

#[test]
fn hints_do_not_speak_the_words_that_engines_look_for() {
    let words = ["no such file", "permission denied", "not permitted", "executable file"];
    let deniers = [
        Denier::AppArmor,
        Denier::Profile("box (enforce)".to_owned()),
        Denier::Sysctl(USERNS_CLONE.into()),
        Denier::Limit { file: limit_file(Namespace::Pid), value: None },
        Denier::Limit { file: "/proc/self/limits".into(), value: None },
        Denier::Limit { file: "/proc/sys/kernel/threads-max".into(), value: None },
        Denier::Limit { file: "/sys/fs/cgroup/pids/a/pids.max".into(), value: None },
        Denier::OuterFilter,
    ];
    for denier in deniers {
        let remedy = denier.remedy().unwrap().to_lowercase();
        assert!(!words.iter().any(|word| remedy.contains(word)), "{remedy}");
    }
}

#[test]
fn releases_are_numbers() {
    assert_eq!((release("6.18.44-fc"), release("5.10"), release("")), ((6, 18), (5, 10), (0, 0)));
}
