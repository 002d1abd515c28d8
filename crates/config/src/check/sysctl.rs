//! Parent: checks of `sysctl`.

use std::collections::BTreeMap;

use nsinit_namespaces::Namespace;
use nsinit_security::{Error, Sysctl, SysctlNamespace};

use super::Findings;
use super::namespaces::{Origin, origin};
use crate::Container;
use crate::key_path::At;
use crate::suggest::quoted;

pub(super) fn check(found: &mut Findings, container: &Container) {
    let all = At::Root.key("sysctl");
    let mut parameters: BTreeMap<String, &str> = BTreeMap::new();
    for (key, value) in &container.sysctl {
        let at = all.key(key);
        if key.is_empty() {
            found.fault(at, "is empty, must be a kernel parameter").on_key();
            continue;
        }
        if let Some(other) = parameters.insert(key.replace('/', "."), key) {
            found.fault(at, format!("is the same parameter as {}", quoted(other))).on_key();
        }
        match Sysctl::new(key, value) {
            Ok(sysctl) => own_namespace(found, at, container, sysctl.namespace()),
            Err(Error::Invalid { what, reason, .. }) => {
                found.fault(at, reason).on_key = what == "sysctl";
            }
            Err(error) => {
                found.fault(at, error.to_string());
            }
        }
    }
}

fn own_namespace(
    found: &mut Findings,
    at: At<'_>,
    container: &Container,
    namespace: SysctlNamespace,
) {
    let kind = match namespace {
        SysctlNamespace::Ipc => Namespace::Ipc,
        SysctlNamespace::Net => Namespace::Net,
        SysctlNamespace::Uts => Namespace::Uts,
        SysctlNamespace::User => Namespace::User,
    };
    let message = match origin(container, kind) {
        Origin::New => return,
        Origin::Host => format!("needs {kind}, it would change the host"),
        Origin::Joined => format!("needs a {kind} of the container's own, not a joined one"),
    };
    let fault = found.fault(at, message).because(At::Root.key("namespaces"));
    fault.help(format!("add \"{kind}\" to namespaces"));
}
