//! Parent: SELinux by libselinux, the second back end (cargo feature `selinux`).
//!
//! Asked in the parent only. The child writes the label itself: the library would open
//! `/proc/thread-self/attr/exec` by path, and the container's image decides what is at that path.

use std::ffi::CString;

use selinux::{KernelSupport, SecurityContext};

use crate::error::{Error, Module};

/// Whether SELinux is on; the library also wants its configuration in `/etc/selinux/config`.
pub(crate) fn is_enabled() -> Result<bool, Error> {
    Ok(!matches!(selinux::kernel_support(), KernelSupport::Unsupported))
}

/// Refuses a label that the loaded policy does not have.
pub(crate) fn ask_policy(what: &'static str, label: &str) -> Result<(), Error> {
    const RAW: bool = true;
    let text = CString::new(label).map_err(|_| Error::invalid(what, label, "a NUL byte"))?;
    match SecurityContext::from_c_str(&text, RAW).check() {
        Some(true) => Ok(()),
        Some(false) => Err(Error::invalid(what, label, "the loaded policy does not have it")),
        None => Err(Error::Disabled { module: Module::Selinux, asked: label.to_owned() }),
    }
}
