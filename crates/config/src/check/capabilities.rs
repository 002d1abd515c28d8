//! Parent: checks of the three lists of capabilities.

use std::collections::HashSet;

use nsinit_security::Capability;

use super::Findings;
use crate::Container;
use crate::key_path::At;

pub(super) fn check(found: &mut Findings, container: &Container) {
    let (root, exact) = (At::Root, At::Root.key("capabilities"));
    if container.capabilities.is_some() {
        for (key, list) in [
            ("capabilities_mask", &container.capabilities_mask),
            ("capabilities_add", &container.capabilities_add),
        ] {
            if !list.is_empty() {
                let message = "excludes capabilities, which is the exact set";
                found.fault(root.key(key), message).help("keep one of the two").because(exact);
            }
        }
    }
    let masked: HashSet<&Capability> = container.capabilities_mask.iter().collect();
    for (index, capability) in container.capabilities_add.iter().enumerate() {
        if masked.contains(capability) {
            let at = root.key("capabilities_add");
            let message = format!("{capability} is in capabilities_mask too");
            found.fault(at.index(index), message).help("keep one of the two");
        }
    }
}
