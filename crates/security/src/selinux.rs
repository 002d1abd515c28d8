//! Parent: what SELinux is asked, whichever way.

use std::fs;

use rustix::process::Pid;

use crate::error::{Error, Module};
use crate::label::{Label, MountLabel};
#[cfg(feature = "selinux")]
use crate::libselinux as backend;
#[cfg(not(feature = "selinux"))]
use crate::selinuxfs as backend;

/// What the kernel said about SELinux.
#[derive(Debug)]
pub struct Selinux {
    enabled: bool,
}

impl Selinux {
    pub(crate) fn init() -> Result<Selinux, Error> {
        Ok(Selinux { enabled: backend::is_enabled()? })
    }

    /// Whether SELinux is on, permissive or enforcing, and has a policy.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The label `user:role:type` or `user:role:type:range` for a program, from execve on.
    ///
    /// # Errors
    /// [`Error::Disabled`] on a host without SELinux, [`Error::Invalid`] for a label that is not of
    /// this form or that the loaded policy does not have, [`Error::Io`] where it cannot be asked.
    pub fn exec_label(&self, label: &str) -> Result<Label, Error> {
        self.check("label", label)?;
        Ok(Label::selinux(label))
    }

    /// The label for all files of a mount, of the same form.
    ///
    /// # Errors
    /// As [`Selinux::exec_label`].
    pub fn mount_label(&self, label: &str) -> Result<MountLabel, Error> {
        self.check("mount label", label)?;
        Ok(MountLabel::new(label))
    }

    /// The label that a process has.
    ///
    /// # Errors
    /// [`Error::Disabled`] on a host without SELinux, [`Error::Io`] where there is no such process
    /// or the policy hides it.
    pub fn process_label_of(&self, pid: Pid) -> Result<String, Error> {
        let file = format!("/proc/{pid}/attr/current");
        if !self.is_enabled() {
            let asked = format!("of process {pid}");
            return Err(Error::Disabled { module: Module::Selinux, asked });
        }
        let text = fs::read_to_string(&file).map_err(|source| Error::io(file, source))?;
        Ok(text.trim_end_matches(['\0', '\n']).to_owned())
    }

    fn check(&self, what: &'static str, label: &str) -> Result<(), Error> {
        if !self.enabled {
            return Err(Error::Disabled { module: Module::Selinux, asked: label.to_owned() });
        }
        check_syntax(what, label)?;
        backend::ask_policy(what, label)
    }
}

/// Letters, digits, `_ . -` in the first three parts, also `: ,` in the range: no quote, no NUL and
/// no newline, which a mount option or the kernel would take for its end.
fn check_syntax(what: &'static str, label: &str) -> Result<(), Error> {
    const MAX: usize = 4095;
    if label.len() > MAX {
        return Err(Error::invalid(what, label, "longer than 4095 bytes"));
    }
    let parts: Vec<&str> = label.splitn(4, ':').collect();
    let plain = |part: &&str, more: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let well_formed = parts.len() >= 3
        && parts[..3].iter().all(|part| plain(part, "_.-"))
        && parts[3..].iter().all(|range| plain(range, "_.-:,"));
    if well_formed {
        Ok(())
    } else {
        Err(Error::invalid(what, label, "not of the form user:role:type or user:role:type:range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax() {
        let good = [
            "system_u:system_r:container_t:s0:c1,c2",
            "system_u:system_r:container_t",
            "u:r:t:s0-s0:c0.c1023",
            "user-1.x:r:t_1:SystemLow-SystemHigh",
        ];
        for label in good {
            assert!(check_syntax("label", label).is_ok(), "{label}");
        }
        let long = format!("u:r:{}", "t".repeat(4096));
        let bad = [
            "",
            "u",
            "u:r",
            "u::t",
            "u:r:t:",
            ":r:t",
            "u:r:t\n",
            "u:r:t\0",
            "u:r:t:s0\"",
            "u:r:t o",
            "u:r:t,rw",
            "u:r:t:s0 c1",
            "u:r:t:s0\\",
            "u:r:t:'s0'",
            "u:r:t=x",
            "u:r:é",
            &long,
        ];
        for label in bad {
            assert!(check_syntax("label", label).is_err(), "{label:?}");
        }
    }

    /// Where SELinux is off, asking the policy fails; where it is on, no policy has this.
    #[test]
    fn the_policy_is_asked() {
        let on = Selinux { enabled: true };
        assert!(on.exec_label("nsinit_u:nsinit_r:nsinit_no_such_t").is_err());
        assert!(on.mount_label("nsinit_u:nsinit_r:nsinit_no_such_t").is_err());
        let told = on.mount_label("u:r:t\",exec").unwrap_err().to_string();
        assert!(told.contains("not of the form"), "{told}");
    }

    #[test]
    fn disabled_is_told_with_the_label() {
        let off = Selinux { enabled: false };
        let told = off.exec_label("u:r:t").unwrap_err().to_string();
        assert_eq!(told, "SELinux is not enabled on this host, but label \"u:r:t\" was asked for");
        assert!(off.mount_label("u:r:t").is_err());
        assert!(off.process_label_of(Pid::INIT).is_err());
    }
}
