//! Parent: what could make a failed step possible. Runs only after a failure.
//!
//! A hint never contains the words by which engines classify an error (decision 18 of
//! docs/decisions/0003): "permission denied" and the like.

use rustix::io::Errno;

use crate::step::Step;

/// A remedy for a step's failure, where one is known.
pub(crate) fn of_step(step: &Step, errno: Errno) -> Option<String> {
    let text = match (step, errno) {
        (Step::Rootfs(_), Errno::PERM | Errno::ACCESS) if apparmor_restricts() => apparmor_remedy(),
        (Step::Rootfs(step), Errno::PERM) if step.to_string().starts_with("mount proc") => {
            "an outer container masks parts of its /proc, so that the kernel refuses a new one \
             in a user namespace: unmask them, or leave NEWPID out of \"namespaces\""
                .into()
        }
        (Step::Rootfs(step), Errno::PERM) if step.to_string().starts_with("make device") => {
            "the device cgroup of the caller does not allow making this node".into()
        }
        (Step::Rlimit(_), Errno::PERM) => {
            "only CAP_SYS_RESOURCE may raise a hard limit: ask for no more than `ulimit -H` shows"
                .into()
        }
        (Step::VerifyCapabilities(_), Errno::PERM) => {
            "a capability that was asked for is not in the caller's own sets".into()
        }
        (Step::Sysctl(sysctl), Errno::NOENT) => {
            format!("this kernel has no {}", sysctl.key())
        }
        (Step::WorkingDirectory(_), Errno::NOENT) => {
            "working_dir must be there in the root filesystem, or be made by a mount".into()
        }
        (Step::WorkingDirectory(_), Errno::ACCESS) => {
            "the program's user cannot enter it: choose another with --cwd or working_dir".into()
        }
        (Step::OomScoreAdj(_), Errno::ACCESS) => {
            "only CAP_SYS_RESOURCE may go below the caller's own oom_score_adj".into()
        }
        (Step::Loopback, Errno::PERM) => "the network namespace is not the container's own".into(),
        _ => return None,
    };
    Some(text)
}

fn apparmor_restricts() -> bool {
    let path = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    std::fs::read_to_string(path).is_ok_and(|value| value.trim() == "1")
        && !rustix::process::geteuid().is_root()
}

/// Ubuntu's rule: what an unprivileged user namespace may do needs a profile.
fn apparmor_remedy() -> String {
    let executable = std::env::current_exe().unwrap_or_else(|_| "nsinit".into());
    format!(
        "AppArmor restricts user namespaces here; as root, write this to /etc/apparmor.d/nsinit:\n\
         {}\nand load it: apparmor_parser -r /etc/apparmor.d/nsinit",
        nsinit_security::apparmor_profile_for_executable(&executable)
    )
}
