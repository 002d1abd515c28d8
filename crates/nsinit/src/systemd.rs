//! Parent: the cgroup that systemd makes, where that is built in.

use nsinit_cgroups::{Cgroup, Limits};
use rustix::process::Pid;

use crate::error::{Error, Result};

#[cfg(feature = "systemd")]
pub use nsinit_cgroups::Scope;

/// A unit of systemd: there is none without the cargo feature `systemd`.
#[cfg(not(feature = "systemd"))]
#[derive(Debug)]
pub enum Scope {}

/// The unit for a path, with properties of the configuration.
#[cfg(feature = "systemd")]
pub(crate) fn scope(path: &str, properties: &[(String, String)]) -> Result<Scope> {
    Scope::new(path, properties).map_err(Error::Cgroup)
}

#[cfg(not(feature = "systemd"))]
pub(crate) fn scope(_path: &str, _properties: &[(String, String)]) -> Result<Scope> {
    Err(Error::Container {
        key: "cgroups.driver".into(),
        message: "\"systemd\" is not built into this nsinit".into(),
        hint: Some("build with the cargo feature systemd, or leave the key out".into()),
    })
}

/// Has systemd make the cgroup and move init into it.
#[cfg(feature = "systemd")]
pub(crate) fn create(scope: &Scope, limits: &Limits, init: Pid) -> Result<Cgroup> {
    Cgroup::create_by_systemd(scope, limits, init).map_err(Error::Cgroup)
}

#[cfg(not(feature = "systemd"))]
pub(crate) fn create(scope: &Scope, _limits: &Limits, _init: Pid) -> Result<Cgroup> {
    match *scope {}
}

/// Has systemd move a process that joins into the cgroup that it made for the container,
/// where only systemd may: between the session of an ordinary user and his manager's units
/// nothing is his.
#[cfg(feature = "systemd")]
pub(crate) fn attach(cgroup: &Cgroup, joining: Pid) -> Result<()> {
    cgroup.attach_by_systemd(joining).map_err(Error::Cgroup)
}

#[cfg(not(feature = "systemd"))]
pub(crate) fn attach(_cgroup: &Cgroup, _joining: Pid) -> Result<()> {
    Err(Error::Container {
        key: "cgroups.driver".into(),
        message: "the container is in a scope of systemd, which this nsinit cannot ask".into(),
        hint: Some("join with an nsinit that has the cargo feature systemd".into()),
    })
}
