//! What a test needs of the machine, and the loud word when it is not there.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{ORDINARY, programs};

/// Something that not every machine has.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A container at all: root, or user namespaces for an ordinary user.
    Container,
    /// The tests run as root.
    Root,
    /// The tests' ordinary user may make user namespaces.
    UserNamespaces,
    /// A memory controller in a v1 hierarchy.
    CgroupV1,
    /// A memory controller in the v2 hierarchy.
    CgroupV2,
    /// cgroups of either version that root can use.
    Cgroups,
    /// cgroups of an ordinary user's own; root gives them to one.
    Delegation,
    /// systemd, which makes cgroups for the caller, and nsinit with that feature.
    Systemd,
    /// A static busybox.
    Busybox,
    /// `ip` of iproute2.
    Ip,
    /// No label system: what happens when one is asked for and off.
    NoAppArmor,
    /// As above, for SELinux.
    NoSelinux,
    /// `newuidmap` and `newgidmap`.
    Newuidmap,
    /// 4 GiB of memory, for what takes a hundred thousand of something.
    Memory,
    /// AppArmor, and `apparmor_parser` to load a profile with.
    AppArmor,
    /// SELinux, enforcing.
    Selinux,
    /// AppArmor that restricts user namespaces, as Ubuntu's does.
    AppArmorUserns,
}

impl Need {
    /// Why the machine does not fill the need; `None` when it does.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let lacks = |has: bool, what: &str| (!has).then(|| what.to_owned());
        match self {
            Need::Container if is_root() => None,
            Need::Container | Need::UserNamespaces => user_namespaces(),
            Need::Root => lacks(is_root(), &format!("needs root: this is uid {}", uid())),
            Need::CgroupV1 => lacks(
                controller_v1("memory"),
                "needs cgroup v1: the memory controller has no v1 hierarchy",
            ),
            Need::CgroupV2 => lacks(
                controller_v2("memory"),
                "needs cgroup v2: the memory controller is not in it",
            ),
            Need::Cgroups => lacks(
                controller_v1("memory") || controller_v2("memory"),
                "needs cgroups: no memory controller in either version",
            ),
            Need::Delegation => lacks(
                is_root() || may_make_cgroups(),
                "needs delegated cgroups: this user may make none",
            ),
            Need::Systemd => lacks(
                Path::new("/run/systemd/system").exists() && asks_systemd(),
                "needs systemd, and nsinit with the feature systemd",
            ),
            Need::Busybox => {
                lacks(programs::busybox().is_some(), "needs a static busybox (busybox-static)")
            }
            Need::Ip => lacks(programs::on_host("ip"), "needs ip (iproute2)"),
            Need::NoAppArmor => lacks(!apparmor(), "needs a host without AppArmor"),
            Need::NoSelinux => lacks(
                !Path::new("/sys/fs/selinux/enforce").exists(),
                "needs a host without SELinux",
            ),
            Need::Newuidmap => lacks(
                programs::on_host("newuidmap") && programs::on_host("newgidmap"),
                "needs newuidmap and newgidmap (uidmap)",
            ),
            Need::Memory => lacks(memory() >= 4 << 20, "needs 4 GiB of memory"),
            Need::AppArmor => lacks(
                apparmor() && programs::on_host("apparmor_parser"),
                "needs AppArmor and apparmor_parser",
            ),
            Need::Selinux => lacks(
                fs::read_to_string("/sys/fs/selinux/enforce").is_ok_and(|on| on.trim() == "1"),
                "needs SELinux, enforcing",
            ),
            Need::AppArmorUserns => lacks(
                fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
                    .is_ok_and(|value| value.trim() != "0"),
                "needs AppArmor that restricts user namespaces (Ubuntu)",
            ),
        }
    }
}

/// Says that a test does not run; with `NSINIT_TEST_REQUIRE=1` it fails instead.
///
/// # Panics
///
/// With that variable.
#[track_caller]
pub fn skip(why: &str) {
    assert!(!std::env::var("NSINIT_TEST_REQUIRE").is_ok_and(|value| value == "1"), "{why}");
    eprintln!("SKIPPED: {why}");
}

/// Returns from the test, loudly, unless the machine has all that is named:
/// `require!(Root, Cgroups)`.
#[macro_export]
macro_rules! require {
    ($($need:ident),+ $(,)?) => {
        $(if let Some(why) = $crate::Need::$need.missing() {
            $crate::skip(&why);
            return;
        })+
    };
}

pub(crate) fn is_root() -> bool {
    uid() == 0
}

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Asks the kernel, as the user who will need it.
fn user_namespaces() -> Option<String> {
    let probe = programs::probe();
    let mut command = Command::new(&probe);
    if is_root() {
        command.args(["with", &format!("uid={ORDINARY}"), "--"]).arg(&probe);
    }
    match command.arg("new-user-namespace").output() {
        Ok(output) if output.stdout == b"ok\n" => None,
        Ok(output) => {
            let errno = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Some(format!("needs user namespaces for an ordinary user: {errno}"))
        }
        Err(error) => Some(format!("needs user namespaces: {}: {error}", probe.display())),
    }
}

/// Beside its own, which is where `nsinit` makes them.
fn may_make_cgroups() -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let memory = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let top = match controllers {
            "" if controller_v2("memory") => Path::new("/sys/fs/cgroup"),
            "memory" => Path::new("/sys/fs/cgroup/memory"),
            _ => return None,
        };
        Some(top.join(path.strip_prefix('/')?).parent()?.to_owned())
    });
    let may = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    memory.is_some_and(|above| may(&above))
}

/// The kernel's release, as far as decisions depend on it.
#[must_use]
pub fn kernel_release() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether nsinit can.
fn asks_systemd() -> bool {
    let output = Command::new(programs::nsinit()).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("systemd"))
}

/// In KiB.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

fn apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.starts_with('Y'))
}

/// Whether a hierarchy of version 1 with the controller is mounted.
pub(crate) fn controller_v1(name: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| line.split_once(" - cgroup "))
        .any(|(_, options)| options.split([' ', ',']).any(|option| option == name))
}

fn controller_v2(name: &str) -> bool {
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    controllers.split_whitespace().any(|controller| controller == name)
}
