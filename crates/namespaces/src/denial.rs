//! Parent: why the kernel refused a namespace. Nothing is probed before a
//! failure.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustix::system::uname;
use rustix::thread::{CapabilitySet, capabilities};

use crate::{CloneRequest, Error, Kinds, Namespace, regular_file};

/// Debian's switch for user namespaces of ordinary users.
const USERNS_CLONE: &str = "/proc/sys/kernel/unprivileged_userns_clone";

/// Ubuntu's: 1 = only programs with a profile may use them.
const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";

/// Who forbids something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denier {
    /// AppArmor lets only programs with a profile use a user namespace
    /// (`kernel.apparmor_restrict_unprivileged_userns`).
    AppArmor,
    /// The administrator, by this file below `/proc/sys`.
    Sysctl(PathBuf),
    /// A limit that is used up; the file says how high it is.
    Limit(PathBuf),
    /// The seccomp filter of a container around the caller.
    OuterFilter,
    /// The kernel's own rules: the caller lacks a capability.
    Kernel,
}

impl Denier {
    /// Who keeps the caller from using user namespaces, as far as the host
    /// says: to be asked after something in one was refused (`EPERM`,
    /// `EACCES`). AppArmor refuses only the first use of a privilege, often
    /// long after the clone: setgroups(2), mount(2).
    pub fn of_user_namespaces() -> Option<Self> {
        of_user_namespaces(&Facts::of_this_host())
    }

    fn remedy(&self) -> Option<String> {
        let sysctl = |path: &Path, value: &str| {
            let name = path.strip_prefix("/proc/sys").unwrap_or(path).display().to_string();
            format!("as root: sysctl -w {}={value}", name.replace('/', "."))
        };
        match self {
            Self::Sysctl(path) if path.ends_with("unprivileged_userns_clone") => {
                Some(sysctl(path, "1"))
            }
            Self::Sysctl(path) => Some(sysctl(path, "15000")),
            Self::Limit(path) if path.starts_with("/proc/sys") => Some(format!(
                "end what uses it up, or {}; at most 32 namespaces can be nested",
                sysctl(path, "NUMBER")
            )),
            Self::Limit(path) => {
                Some(format!("end processes, or raise the limit in {}", path.display()))
            }
            Self::AppArmor => {
                let program = std::env::current_exe().unwrap_or_else(|_| "this program".into());
                Some(format!(
                    "load an AppArmor profile with the rule `userns,` for {}, or, for every \
                     program, {}",
                    program.display(),
                    sysctl(Path::new(APPARMOR), "0")
                ))
            }
            Self::OuterFilter => Some(
                "start the outer container with a seccomp profile that allows clone3 and new \
                 namespaces, or with none (--security-opt seccomp=unconfined)"
                    .to_owned(),
            ),
            Self::Kernel => None,
        }
    }
}

impl fmt::Display for Denier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppArmor => f.write_str("AppArmor"),
            Self::Sysctl(path) | Self::Limit(path) => write!(f, "{}", path.display()),
            Self::OuterFilter => f.write_str("the seccomp filter of an outer container"),
            Self::Kernel => f.write_str("the kernel"),
        }
    }
}

impl Error {
    pub(crate) fn denied(by: Denier, what: String, errno: Errno) -> Self {
        let remedy = by.remedy();
        Self::Denied { by, what, source: errno.into(), remedy }
    }
}

/// What is known of the host and the caller.
struct Facts {
    /// "/", except in tests.
    root: PathBuf,
    /// `CAP_SYS_ADMIN` is effective.
    admin: bool,
    /// A seccomp filter is on.
    filtered: bool,
    /// PID 1 of its pid namespace.
    init: bool,
    /// `RLIMIT_NPROC` is finite.
    process_limit: bool,
    /// Version of the kernel.
    release: (u32, u32),
}

impl Facts {
    fn of_this_host() -> Self {
        let status = regular_file::read(Path::new("/proc/thread-self/status"));
        let sets = capabilities(None);
        Self {
            root: "/".into(),
            admin: sets.is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN)),
            filtered: status.is_ok_and(|text| text.contains("\nSeccomp:\t2")),
            init: rustix::process::getpid().is_init(),
            process_limit: getrlimit(Resource::Nproc).current.is_some(),
            release: release(&uname().release().to_string_lossy()),
        }
    }

    fn read(&self, path: &Path) -> Option<String> {
        let below = path.strip_prefix("/").unwrap_or(path);
        regular_file::read(&self.root.join(below)).ok()
    }

    fn number(&self, path: &Path) -> Option<u64> {
        self.read(path)?.trim().parse().ok()
    }

    fn kernel_has(&self, kind: Namespace) -> bool {
        self.root.join("proc/self/ns").join(kind.file()).exists()
    }
}

/// "6.18.44-fc" is (6, 18).
fn release(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The error of a clone3(2) that was refused.
pub(crate) fn of_clone(request: &CloneRequest<'_>, errno: Errno) -> Error {
    explain(request, errno, &Facts::of_this_host())
}

fn explain(request: &CloneRequest<'_>, errno: Errno, facts: &Facts) -> Error {
    let what = request.kinds.phrase("new");
    let other = |what| Error::Clone { what, source: errno.into() };
    match errno {
        Errno::NOSYS if facts.release >= (5, 10) => Error::denied(Denier::OuterFilter, what, errno),
        Errno::NOSYS => unsupported(what, "Linux 5.10", errno),
        Errno::PERM | Errno::ACCESS => match denier_of_clone(request.kinds, errno, facts) {
            Some(Denier::Kernel) => Error::Denied {
                by: Denier::Kernel,
                what,
                source: errno.into(),
                remedy: Some(needed(request.kinds)),
            },
            Some(by) => Error::denied(by, what, errno),
            None => other(what),
        },
        Errno::NOSPC | Errno::USERS => match fullest(request.kinds, facts) {
            Some(by) => Error::denied(by, what, errno),
            None => other(what),
        },
        Errno::AGAIN => Error::denied(Denier::Limit(process_limit(facts)), what, errno),
        Errno::INVAL => match request.kinds.iter().find(|kind| !facts.kernel_has(*kind)) {
            Some(kind) => unsupported(what, kernel_option(kind), errno),
            None if request.sibling && facts.init => Error::Invalid {
                what: "sibling".to_owned(),
                reason: "PID 1 of a pid namespace cannot have one".to_owned(),
            },
            None => other(what),
        },
        Errno::BUSY | Errno::OPNOTSUPP if request.into_cgroup.is_some() => Error::Invalid {
            what: "into_cgroup".to_owned(),
            reason: "the cgroup has controllers for its children, or is no domain: it cannot hold \
                     processes"
                .to_owned(),
        },
        _ => other(what),
    }
}

fn unsupported(what: String, needs: &str, errno: Errno) -> Error {
    Error::Unsupported { what, needs: needs.to_owned(), source: errno.into() }
}

fn of_user_namespaces(facts: &Facts) -> Option<Denier> {
    let limit = limit_file(Namespace::User);
    if facts.number(&limit) == Some(0) {
        return Some(Denier::Sysctl(limit));
    }
    if facts.admin {
        return None;
    }
    if facts.number(Path::new(USERNS_CLONE)) == Some(0) {
        return Some(Denier::Sysctl(USERNS_CLONE.into()));
    }
    let restricted = facts.number(Path::new(APPARMOR)).is_some_and(|value| value != 0);
    restricted.then_some(Denier::AppArmor)
}

fn denier_of_clone(kinds: Kinds, errno: Errno, facts: &Facts) -> Option<Denier> {
    let user = kinds.contains(Kinds::USER);
    if user {
        if let Some(by) = of_user_namespaces(facts) {
            return Some(by);
        }
    }
    if errno == Errno::ACCESS {
        // Of a cgroup's file permissions, or a security module's.
        return None;
    }
    if !user && !facts.admin && !kinds.is_empty() {
        return Some(Denier::Kernel);
    }
    if facts.filtered {
        return Some(Denier::OuterFilter);
    }
    user.then_some(Denier::Kernel)
}

/// What the kernel's own rules ask for.
fn needed(kinds: Kinds) -> String {
    if kinds.contains(Kinds::USER) {
        "a user namespace takes a caller that is not in a chroot and whose own user and group \
         exist in its user namespace"
            .to_owned()
    } else {
        "this takes CAP_SYS_ADMIN, or a new user namespace (NEWUSER) together with the others"
            .to_owned()
    }
}

/// `/proc/sys/user/max_net_namespaces` and its like (namespaces(7)).
fn limit_file(kind: Namespace) -> PathBuf {
    format!("/proc/sys/user/max_{}_namespaces", kind.file()).into()
}

/// The limit that is at 0, or else the lowest: how many there are the kernel
/// does not tell.
fn fullest(kinds: Kinds, facts: &Facts) -> Option<Denier> {
    let limits = kinds.iter().map(limit_file);
    let known = limits.filter_map(|file| Some((facts.number(&file)?, file)));
    known
        .min_by_key(|(value, _)| *value)
        .map(|(value, file)| if value == 0 { Denier::Sysctl(file) } else { Denier::Limit(file) })
}

fn kernel_option(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Mount => "a kernel with mount namespaces",
        Namespace::Uts => "a kernel with CONFIG_UTS_NS",
        Namespace::Ipc => "a kernel with CONFIG_IPC_NS",
        Namespace::User => "a kernel with CONFIG_USER_NS",
        Namespace::Pid => "a kernel with CONFIG_PID_NS",
        Namespace::Net => "a kernel with CONFIG_NET_NS",
        Namespace::Cgroup => "a kernel with CONFIG_CGROUPS",
        Namespace::Time => "a kernel with CONFIG_TIME_NS",
    }
}

/// Which limit of processes is used up: the pids controller's of a cgroup that
/// the caller is in, the user's, or else the machine's.
fn process_limit(facts: &Facts) -> PathBuf {
    let own = facts.read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let full = own.lines().flat_map(pids_directories).find(|directory| {
        let number = |file| facts.number(&directory.join(file));
        number("pids.current").zip(number("pids.max")).is_some_and(|(now, max)| now >= max)
    });
    match full {
        Some(directory) => directory.join("pids.max"),
        None if facts.process_limit => "/proc/self/limits".into(),
        None => "/proc/sys/kernel/threads-max".into(),
    }
}

/// The directories, innermost first, whose `pids.max` holds for a line of
/// /proc/self/cgroup (cgroups(7)).
fn pids_directories(line: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
        return Vec::new();
    };
    let tops: &[&str] = match controllers {
        "" => &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
        "pids" => &["/sys/fs/cgroup/pids"],
        _ => &[],
    };
    let below = |top: &&str| {
        let top = Path::new(top);
        let path = Path::new(path.trim_start_matches('/'));
        path.ancestors().map(|part| top.join(part)).collect::<Vec<_>>()
    };
    tops.iter().flat_map(below).collect()
}

#[cfg(test)]
mod tests {
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
                process_limit: false,
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
        let free = Host::new("free", &[(USERNS_CLONE, "1\n"), (APPARMOR, "0\n")]);
        assert_eq!(denier(&free.explain(Kinds::USER, Errno::PERM)), Denier::Kernel);
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
        assert_eq!(denier(&full.explain(kinds, Errno::NOSPC)), Denier::Limit(user.into()));
        assert_eq!(denier(&full.explain(kinds, Errno::USERS)), Denier::Limit(user.into()));
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
        assert_eq!(by, Denier::Limit("/sys/fs/cgroup/pids/a/pids.max".into()));
        let mut user = Host::new("nproc", &[]);
        user.0.process_limit = true;
        let by = denier(&user.explain(Kinds::NONE, Errno::AGAIN));
        assert_eq!(by, Denier::Limit("/proc/self/limits".into()));
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
            Denier::Sysctl(USERNS_CLONE.into()),
            Denier::Limit(limit_file(Namespace::Pid)),
            Denier::Limit("/proc/self/limits".into()),
            Denier::OuterFilter,
        ];
        for denier in deniers {
            let remedy = denier.remedy().unwrap().to_lowercase();
            assert!(!words.iter().any(|word| remedy.contains(word)), "{remedy}");
        }
    }

    #[test]
    fn releases_are_numbers() {
        assert_eq!(
            (release("6.18.44-fc"), release("5.10"), release("")),
            ((6, 18), (5, 10), (0, 0))
        );
    }
}
