//! Both: what a security module puts on a program or on a mount.

use std::fmt;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::error::Module;
use crate::procfs;

/// A label or profile for the next execve of the calling thread.
///
/// Only [`Selinux::exec_label`](crate::Selinux::exec_label) and
/// [`AppArmor::exec_profile`](crate::AppArmor::exec_profile) make one: without having asked the
/// kernel first there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    module: Module,
    /// What the kernel reads: the label, or `exec PROFILE`.
    command: String,
}

const APPARMOR_COMMAND: &str = "exec ";

impl Label {
    pub(crate) fn selinux(label: &str) -> Label {
        Label { module: Module::Selinux, command: label.to_owned() }
    }

    pub(crate) fn apparmor(profile: &str) -> Label {
        Label { module: Module::AppArmor, command: format!("{APPARMOR_COMMAND}{profile}") }
    }

    /// The module that the label is for.
    #[must_use]
    pub fn module(&self) -> Module {
        self.module
    }

    /// The label or the profile's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self.module {
            Module::Selinux => &self.command,
            Module::AppArmor => self.command.strip_prefix(APPARMOR_COMMAND).unwrap_or(""),
        }
    }

    /// Tells the kernel, below `proc`, a procfs of this pid namespace that nothing can be mounted
    /// over: one made by fsmount(2) and not attached (CVE-2019-16884, CVE-2025-52881).
    ///
    /// # Errors
    /// EINVAL for a label that the policy does not have, ENOENT for a profile that is not loaded,
    /// EACCES where the policy forbids the transition.
    pub fn apply(&self, proc: BorrowedFd<'_>) -> Result<(), Errno> {
        let value = self.command.as_bytes();
        match self.module {
            Module::Selinux => procfs::write_own(proc, c"thread-self/attr/exec", value),
            Module::AppArmor => {
                match procfs::open_own(proc, c"thread-self/attr/apparmor/exec") {
                    // Before Linux 5.8 AppArmor had no directory of its own.
                    Err(Errno::NOENT) => procfs::write_own(proc, c"thread-self/attr/exec", value),
                    file => procfs::write_once(&file?, value),
                }
            }
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A SELinux label for all files of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountLabel(String);

impl MountLabel {
    pub(crate) fn new(label: &str) -> MountLabel {
        MountLabel(label.to_owned())
    }

    /// The label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mount option, `context="…"`: quoted, because a range has commas.
    #[must_use]
    pub fn as_option(&self) -> String {
        format!("context=\"{}\"", self.0)
    }
}

impl fmt::Display for MountLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn a_kernel_without_the_module_refuses_the_label() {
        let proc = File::open("/proc").unwrap();
        for label in [Label::selinux("u:r:nsinit_none"), Label::apparmor("nsinit-none")] {
            assert!(label.apply(proc.as_fd()).is_err(), "{label}");
        }
    }

    #[test]
    fn nothing_but_a_procfs_takes_a_label() {
        let root = File::open("/").unwrap();
        for label in [Label::selinux("u:r:t"), Label::apparmor("p")] {
            assert_eq!(label.apply(root.as_fd()), Err(Errno::XDEV));
        }
    }

    #[test]
    fn what_the_kernel_reads() {
        assert_eq!(Label::selinux("u:r:t:s0").command, "u:r:t:s0");
        assert_eq!(Label::apparmor("p").command, "exec p");
        assert_eq!(Label::apparmor("p").to_string(), "p");
        assert_eq!(MountLabel::new("u:r:t:s0:c1,c2").as_option(), "context=\"u:r:t:s0:c1,c2\"");
    }
}
