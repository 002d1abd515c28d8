//! Parent: who refused a step (EPERM, EACCES).

use nsinit_namespaces::{Denier, Kinds};
use nsinit_rootfs as rootfs;
use nsinit_security::SysctlNamespace;
use rustix::io::Errno;

use super::{Scene, access, lsm, masked, read};
use crate::plan::Plan;
use crate::step::Step;

/// From what is certain to what is likely.
pub(super) fn of_step(plan: &Plan, step: &Step, errno: Errno, scene: &Scene) -> Option<String> {
    own_rule(plan, step, errno)
        .or_else(|| apparmor_restriction(plan))
        .or_else(|| lsm::denial(scene.pid))
}

/// What the kernel's own rules ask for, where the step alone tells.
fn own_rule(plan: &Plan, step: &Step, errno: Errno) -> Option<String> {
    let text = match (step, errno) {
        (Step::Rootfs(step), Errno::PERM) => return of_rootfs(plan, step),
        (Step::Rootfs(step), Errno::ACCESS) => return access::unmade(plan, step.object()),
        (Step::Rlimit(_), Errno::PERM) => {
            "only CAP_SYS_RESOURCE may raise a hard limit: ask for no more than `ulimit -H` shows"
        }
        (Step::VerifyCapabilities(_), Errno::PERM) => {
            "a capability that was asked for is not in the caller's own sets"
        }
        (Step::Sysctl(sysctl), Errno::ACCESS)
            if plan.namespaces.contains(Kinds::USER)
                && sysctl.namespace() == SysctlNamespace::Ipc =>
        {
            "Linux lets a user namespace set the parameters of IPC from 5.19 on: leave the key \
             out, or run as root without NEWUSER"
        }
        (Step::OomScoreAdj(_), Errno::ACCESS) => {
            "only CAP_SYS_RESOURCE may go below the caller's own oom_score_adj"
        }
        _ => return None,
    };
    Some(text.into())
}

fn of_rootfs(plan: &Plan, step: &rootfs::Step) -> Option<String> {
    if matches!(step, rootfs::Step::Device(_)) {
        return Some("the device cgroup of the caller does not allow making this node".into());
    }
    let filesystem = step.filesystem().filter(|name| matches!(*name, "proc" | "sysfs"))?;
    // Before this step the child's mounts are a copy of the caller's.
    let hidden = masked::hidden(&read("/proc/self/mountinfo"), filesystem);
    let hidden = hidden.filter(|_| plan.namespaces.contains(Kinds::USER))?;
    Some(masked::remedy(&hidden, filesystem))
}

/// Ubuntu's rule: what an unprivileged user namespace may do needs a profile. It fires at
/// the first thing that needs a capability, whichever that is.
fn apparmor_restriction(plan: &Plan) -> Option<String> {
    let restricted = plan.namespaces.contains(Kinds::USER)
        && matches!(Denier::of_user_namespaces(), Some(Denier::AppArmor));
    restricted.then(|| {
        let executable = std::env::current_exe().unwrap_or_else(|_| "nsinit".into());
        format!(
            "AppArmor restricts user namespaces here; as root, write this to \
             /etc/apparmor.d/nsinit:\n{}\nand load it: apparmor_parser -r /etc/apparmor.d/nsinit",
            nsinit_security::apparmor_profile_for_executable(&executable)
        )
    })
}
