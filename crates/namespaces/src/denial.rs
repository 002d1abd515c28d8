//! Parent: why the kernel refused a namespace. Nothing is probed before a
//! failure.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::system::uname;
use rustix::thread::{CapabilitySet, capabilities};

use crate::{CloneRequest, Error, Kinds, Namespace, regular_file};

/// Debian's switch for user namespaces of ordinary users.
const USERNS_CLONE: &str = "/proc/sys/kernel/unprivileged_userns_clone";

/// Ubuntu's: 1 = only programs with a profile may use them.
const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";

/// `Y` where AppArmor is on.
const APPARMOR_ENABLED: &str = "/sys/module/apparmor/parameters/enabled";

/// Who forbids something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denier {
    /// AppArmor lets only programs with a profile use a user namespace
    /// (`kernel.apparmor_restrict_unprivileged_userns`).
    AppArmor,
    /// The AppArmor profile that the caller is confined by.
    Profile(String),
    /// The administrator, by this file below `/proc/sys`.
    Sysctl(PathBuf),
    /// A limit that is used up.
    Limit {
        /// Where it is set; `/proc/self/limits` stands for `RLIMIT_NPROC`.
        file: PathBuf,
        /// How high it is, where that is known.
        value: Option<u64>,
    },
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

    /// Which limit keeps that process from making another one (`EAGAIN`): of a cgroup
    /// that it is in, of its user, or of the machine.
    pub fn of_new_process(process: u32) -> Self {
        process_limit(&Facts::of(&format!("/proc/{process}")))
    }

    /// What the administrator can do about it, or the caller.
    pub fn remedy(&self) -> Option<String> {
        let sysctl = |path: &Path, value: &str| {
            let name = path.strip_prefix("/proc/sys").unwrap_or(path).display().to_string();
            format!("as root: sysctl -w {}={value}", name.replace('/', "."))
        };
        match self {
            Self::Sysctl(path) if path.ends_with("unprivileged_userns_clone") => {
                Some(sysctl(path, "1"))
            }
            Self::Sysctl(path) => Some(sysctl(path, "15000")),
            Self::Limit { file, .. } if file.starts_with("/proc/sys/user") => Some(format!(
                "end what uses it up, or {}; at most 32 namespaces can be nested",
                sysctl(file, "NUMBER")
            )),
            Self::Limit { file, .. } if file.starts_with("/proc/sys") => {
                Some(format!("end processes, or {}", sysctl(file, "NUMBER")))
            }
            Self::Limit { file, .. } if file.starts_with("/proc") => {
                Some("end processes of this user, or raise the limit (ulimit -u)".to_owned())
            }
            Self::Limit { .. } => {
                Some("end processes in that cgroup, or write a higher number there".to_owned())
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
            Self::Profile(_) => Some(
                "give that profile the rules `capability sys_admin,` and `userns,`, or start \
                 this program without it"
                    .to_owned(),
            ),
            Self::OuterFilter => Some(
                "start the outer container with a seccomp profile that allows clone3 and new \
                 namespaces, or with none (--security-opt seccomp=unconfined; nsinit: \"seccomp\": \
                 \"unconfined\")"
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
            Self::Profile(name) => write!(f, "the AppArmor profile {}", name.escape_debug()),
            Self::Sysctl(path) => write!(f, "{}", path.display()),
            Self::Limit { file, value } => {
                match file.starts_with("/proc") && !file.starts_with("/proc/sys") {
                    true => f.write_str("RLIMIT_NPROC")?,
                    false => write!(f, "{}", file.display())?,
                }
                value.map_or(Ok(()), |value| write!(f, " = {value}"))
            }
            Self::OuterFilter => f.write_str("the seccomp filter of an outer container"),
            Self::Kernel => f.write_str("the kernel"),
        }
    }
}

impl Error {
    /// Of a process that was refused new namespaces by unshare(2): with the cause, as far as
    /// it can be found out.
    pub fn of_refused(kinds: Kinds, errno: Errno) -> Self {
        of_clone(&CloneRequest { kinds, ..CloneRequest::default() }, errno)
    }

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
    /// The process that is refused: `/proc/self`, or by its id.
    process: String,
    /// Version of the kernel.
    release: (u32, u32),
}

impl Facts {
    fn of_this_host() -> Self {
        Self::of("/proc/self")
    }

    fn of(process: &str) -> Self {
        let status = regular_file::read(Path::new("/proc/thread-self/status"));
        let sets = capabilities(None);
        Self {
            root: "/".into(),
            process: process.to_owned(),
            admin: sets.is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN)),
            filtered: status.is_ok_and(|text| text.contains("\nSeccomp:\t2")),
            init: rustix::process::getpid().is_init(),
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
        Errno::PERM | Errno::ACCESS => match denier_of_clone(request, errno, facts) {
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
        Errno::AGAIN => Error::denied(process_limit(facts), what, errno),
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
    // Whoever has a profile, if only one without rules, does what that says.
    (restricted && profile(facts).is_none()).then_some(Denier::AppArmor)
}

/// The AppArmor profile of the caller.
fn profile(facts: &Facts) -> Option<String> {
    facts.read(Path::new(APPARMOR_ENABLED)).filter(|text| text.starts_with('Y'))?;
    let label = facts.read(Path::new("/proc/self/attr/current"))?;
    Some(label.trim_end().to_owned()).filter(|label| !matches!(&**label, "" | "unconfined"))
}

fn denier_of_clone(request: &CloneRequest<'_>, errno: Errno, facts: &Facts) -> Option<Denier> {
    let kinds = request.kinds;
    let user = kinds.contains(Kinds::USER);
    if user {
        if let Some(by) = of_user_namespaces(facts) {
            return Some(by);
        }
    }
    if errno == Errno::ACCESS {
        // Of a cgroup's file permissions, or a security module's.
        let of_module = user && request.into_cgroup.is_none();
        return profile(facts).filter(|_| of_module).map(Denier::Profile);
    }
    if !user && !facts.admin && !kinds.is_empty() {
        return Some(Denier::Kernel);
    }
    if facts.filtered {
        return Some(Denier::OuterFilter);
    }
    user.then(|| profile(facts).map_or(Denier::Kernel, Denier::Profile))
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
    known.min_by_key(|(value, _)| *value).map(|(value, file)| match value {
        0 => Denier::Sysctl(file),
        value => Denier::Limit { file, value: Some(value) },
    })
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
/// the process is in, the user's, or else the machine's.
fn process_limit(facts: &Facts) -> Denier {
    let own = facts.read(&Path::new(&facts.process).join("cgroup")).unwrap_or_default();
    let full = own.lines().flat_map(pids_directories).find_map(|directory| {
        let number = |file| facts.number(&directory.join(file));
        let (now, max) = number("pids.current").zip(number("pids.max"))?;
        (now >= max).then(|| (directory.join("pids.max"), Some(max)))
    });
    let of_user = || {
        let file = Path::new(&facts.process).join("limits");
        let limit = process_rlimit(&facts.read(&file)?)?;
        Some((file, Some(limit)))
    };
    let of_machine = || {
        let file = PathBuf::from("/proc/sys/kernel/threads-max");
        let value = facts.number(&file);
        (file, value)
    };
    let (file, value) = full.or_else(of_user).unwrap_or_else(of_machine);
    Denier::Limit { file, value }
}

/// The soft `RLIMIT_NPROC` in the text of /proc/PID/limits, if there is one.
fn process_rlimit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max processes"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
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
#[path = "denial_tests.rs"]
mod tests;
