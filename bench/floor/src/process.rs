//! Child: what the program itself gets.

use std::ffi::CString;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{
    Gid, Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit, setsid, umask,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs, set_thread_groups,
};

use crate::{Failure, Result, at, sys};

const CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL);
const ENVIRONMENT: [&std::ffi::CStr; 4] = [
    c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    c"HOME=/root",
    c"LANG=C.UTF-8",
    c"HOSTNAME=bench",
];

/// A program and its arguments.
pub(crate) struct Program {
    path: CString,
    arguments: sys::CArray,
    environment: sys::CArray,
}

impl Program {
    pub(crate) fn new(words: impl Iterator<Item = CString>) -> Program {
        let words: Vec<CString> = words.collect();
        Program {
            path: words.first().cloned().unwrap_or_default(),
            arguments: sys::CArray::new(words),
            environment: sys::CArray::new(ENVIRONMENT.map(CString::from).to_vec()),
        }
    }

    /// Returns only when it failed.
    pub(crate) fn execute(&self) -> Result<std::convert::Infallible> {
        Err(Failure("execve", sys::execve(&self.path, &self.arguments, &self.environment)))
    }
}

/// Everything but namespaces.
pub(crate) fn confine() -> Result {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(at("death signal"))?;
    setsid().map_err(at("session"))?;
    sys::join_new_session_keyring().map_err(at("keyring"))?;
    limits().map_err(at("limits"))?;
    umask(Mode::from_raw_mode(0o022));
    privileges().map_err(at("privileges"))
}

/// The hard limits stay as they are.
fn limits() -> std::result::Result<(), Errno> {
    for (resource, soft) in [(Resource::Nofile, 1024), (Resource::Core, 0)] {
        let Rlimit { maximum, .. } = rustix::process::getrlimit(resource);
        setrlimit(resource, Rlimit { current: Some(soft), maximum })?;
    }
    Ok(())
}

fn privileges() -> std::result::Result<(), Errno> {
    for bit in (0..u64::BITS).map(|number| CapabilitySet::from_bits_retain(1 << number)) {
        if CAPABILITIES.contains(bit) {
            continue;
        }
        match remove_capability_from_bounding_set(bit) {
            // The kernel knows no more.
            Err(Errno::INVAL) => break,
            outcome => outcome?,
        }
    }
    set_thread_groups(&[Gid::ROOT])?;
    let sets = CapabilitySets {
        effective: CAPABILITIES,
        permitted: CAPABILITIES,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    set_no_new_privs(true)
}
