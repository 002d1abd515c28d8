//! What a cell offers, and so which tests may be skipped in it: a test that says
//! what it lacks, in a cell that has it, has failed.

use super::matrix::{Cell, Cgroups, Init, Linux, Lsm};

/// Who runs the tests of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum As {
    Root,
    User,
}

/// Whether somebody in a cell lacks something.
type Lacks = fn(&Cell, As) -> bool;

/// How the reason of a skipped test begins, and where that is true. The first
/// row that fits decides; a reason without a row is true nowhere.
const REASONS: [(&str, Lacks); 27] = [
    ("needs root and memory", |cell, who| is_user(who) || !has_memory(cell)),
    // A machine has less.
    ("needs 4 GiB of memory", |_, _| true),
    ("needs root", |_, who| is_user(who)),
    ("needs a user without ranges", |_, who| is_user(who)),
    ("needs cgroup v1", |cell, _| !has_memory_v1(cell)),
    ("needs a cgroup v2 tree with", |cell, _| cell.cgroups != Cgroups::V2),
    ("needs cgroup v2", |cell, _| cell.cgroups != Cgroups::V2),
    ("needs cgroups", |cell, _| !has_memory(cell)),
    ("needs a cgroup v2 hierarchy", |cell, _| cell.cgroups == Cgroups::V1),
    ("needs a writable cgroup v2 hierarchy", |cell, _| cell.cgroups == Cgroups::V1),
    ("needs a host without AppArmor", |cell, _| cell.lsm == Lsm::AppArmor),
    ("needs a host without SELinux", |cell, _| cell.lsm == Lsm::Selinux),
    // Ubuntu's own kernels can.
    ("needs AppArmor that restricts", |_, _| true),
    ("needs AppArmor", |cell, _| cell.lsm != Lsm::AppArmor),
    ("needs systemd", |cell, _| cell.init != Init::Systemd),
    // There the user is in a session, and has systemd make his cgroups.
    ("needs delegated cgroups", |cell, _| cell.init == Init::Systemd),
    ("needs SELinux", |cell, _| cell.lsm != Lsm::Selinux),
    ("not a host with v1 memory", |cell, _| !has_memory_v1(cell)),
    ("not a host with v1 cpuset", |cell, _| !has_memory_v1(cell)),
    ("not a host with v1: ", |cell, _| !has_memory_v1(cell)),
    ("not a host with v1", |cell, _| cell.cgroups == Cgroups::V2),
    ("not a host with several v1", |cell, _| cell.cgroups == Cgroups::V2),
    ("not a host with v2 that has the controllers", |cell, _| cell.cgroups != Cgroups::V2),
    ("not a host with v2", |cell, _| cell.cgroups == Cgroups::V1),
    ("not a host with a unified tree without memory", |cell, _| cell.cgroups == Cgroups::V2),
    ("not a host with hybrid", |cell, _| cell.cgroups != Cgroups::Hybrid),
    ("marked as ignored", |_, _| true),
];

/// Whether a test may say so in this cell.
pub(super) fn lacks(cell: &Cell, who: As, reason: &str) -> bool {
    let row = REASONS.iter().find(|(beginning, _)| reason.starts_with(beginning));
    row.is_some_and(|(_, lacks)| lacks(cell, who))
}

fn is_user(who: As) -> bool {
    who == As::User
}

/// In one version or the other.
fn has_memory(cell: &Cell) -> bool {
    cell.cgroups == Cgroups::V2 || has_memory_v1(cell)
}

/// Debian builds new kernels without the memory and cpuset controllers of version 1.
fn has_memory_v1(cell: &Cell) -> bool {
    let new = matches!(cell.kernel, Linux::Debian("linux-6.12" | "linux-newest", _));
    cell.cgroups != Cgroups::V2 && !new
}

#[cfg(test)]
mod tests {
    use super::super::matrix::CELLS;
    use super::*;

    #[test]
    fn a_skip_is_excused_only_where_its_reason_is_true() {
        let cell = |name: &str| CELLS.iter().find(|cell| cell.name == name).unwrap();
        let (v2, v1) = (cell("6.1-v2-selinux"), cell("6.1-v1-apparmor"));
        assert!(lacks(v2, As::User, "needs root: this is uid 1000"));
        assert!(!lacks(v2, As::Root, "needs root: this is uid 0"));
        assert!(lacks(v2, As::Root, "needs cgroup v1: no hierarchy"));
        assert!(!lacks(v1, As::Root, "needs cgroup v1: no hierarchy"));
        assert!(lacks(cell("6.12-v1"), As::Root, "needs cgroup v1: no hierarchy"));
        assert!(!lacks(v1, As::Root, "needs something else"));
    }
}
