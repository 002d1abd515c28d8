//! Whether it is worth trying KVM.
//!
//! That `/dev/kvm` opens says little: in a virtual machine it may be there and
//! run no kernel, without an error.

use std::fs::{self, OpenOptions};
use std::time::Duration;

use crate::Result;

/// A machine is silent until its first word, which KVM brings in two or three seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a try needs; a try is a machine that says something in time.
pub(super) fn may_be_there() -> Result {
    let device = "/dev/kvm";
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(device)
        .map_err(|error| format!("{device}: {error}"))?;
    let path = "/proc/cpuinfo";
    let facts = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let flags = facts.split_whitespace().any(|word| word == "vmx" || word == "svm");
    if flags { Ok(()) } else { Err("the processor shows neither vmx nor svm".to_owned()) }
}
