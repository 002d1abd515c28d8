//! Parent: which security modules the host runs, asked once.

use crate::apparmor::AppArmor;
use crate::error::{Error, Module};
use crate::selinux::Selinux;

/// The answer of the kernel to which security modules are on.
///
/// Ask before any mount namespace is set up: inside a container that hides selinuxfs the answer
/// would be that SELinux is off. Labels can only be made from this value.
#[derive(Debug)]
pub struct Lsm {
    selinux: Selinux,
    apparmor: AppArmor,
}

impl Lsm {
    /// Asks the kernel.
    ///
    /// # Errors
    /// [`Error::Io`] where it answers with an error instead of yes or no.
    pub fn init() -> Result<Lsm, Error> {
        Ok(Lsm { selinux: Selinux::init()?, apparmor: AppArmor::init()? })
    }

    /// SELinux as it was asked. On a host without it, asking for a label is
    /// [`Error::Disabled`] with that label.
    ///
    /// # Errors
    /// None today.
    pub fn selinux(&self) -> Result<&Selinux, Error> {
        Ok(&self.selinux)
    }

    /// AppArmor as it was asked. On a host without it, asking for a profile is
    /// [`Error::Disabled`] with that profile.
    ///
    /// # Errors
    /// None today.
    pub fn apparmor(&self) -> Result<&AppArmor, Error> {
        Ok(&self.apparmor)
    }

    /// The modules that are on.
    #[must_use]
    pub fn enabled(&self) -> Vec<Module> {
        let modules = [
            (Module::Selinux, self.selinux.is_enabled()),
            (Module::AppArmor, self.apparmor.is_enabled()),
        ];
        modules.into_iter().filter(|(_, on)| *on).map(|(module, _)| module).collect()
    }
}
