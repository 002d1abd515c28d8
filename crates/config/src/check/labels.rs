//! Parent: checks of security labels.

use super::Findings;
use crate::key_path::At;
use crate::{Container, Labels};

/// Longest label or profile name in bytes; the kernel takes one page.
const LONGEST_LABEL: usize = 4095;

pub(super) fn check(found: &mut Findings, container: &Container) {
    let Some(Labels { apparmor_profile, process_label, mount_label }) = &container.context else {
        return;
    };
    let at = At::Root.key("context");
    for (key, label) in [
        ("apparmor_profile", apparmor_profile),
        ("process_label", process_label),
        ("mount_label", mount_label),
    ] {
        if let Some(label) = label {
            found.label(at.key(key), label);
        }
    }
}

impl Findings {
    /// A label that stays one word in procfs and in mount options.
    pub(super) fn label(&mut self, at: At<'_>, label: &str) {
        if !self.text(at, label) {
            return;
        }
        if label.len() > LONGEST_LABEL {
            self.fault(at, format!("has {} bytes, the limit is {LONGEST_LABEL}", label.len()));
        }
        if label.contains('\n') {
            self.fault(at, "must not contain a line feed");
        } else if label.chars().any(char::is_control) {
            self.fault(at, "must not contain control characters");
        } else if label.contains('"') {
            self.fault(at, "must not contain a quotation mark");
        }
    }
}
