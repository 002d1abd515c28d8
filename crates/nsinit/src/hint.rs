//! Parent: what could make a failed step possible. Runs only after a failure.
//!
//! A hint never contains the words by which engines classify an error (decision 18 of
//! docs/decisions/0003): "permission denied" and the like.

use nsinit_namespaces::Denier;
use rustix::io::Errno;

use crate::step::Step;

/// A remedy for a step's failure, where one is known.
pub(crate) fn of_step(step: &Step, errno: Errno) -> Option<String> {
    let refused = matches!(errno, Errno::PERM | Errno::ACCESS);
    // It fires at the first thing that needs a capability, whichever that is.
    if refused && matches!(Denier::of_user_namespaces(), Some(Denier::AppArmor)) {
        return Some(apparmor_remedy());
    }
    let text = match (step, errno) {
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
        _ => return None,
    };
    Some(text)
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
