//! Parent: the object `context`, security labels as written.

use serde::{Deserialize, Serialize};

use crate::forms;

crate::forms::objects!(Labels);

/// AppArmor profile and SELinux labels; asked for on a host without that
/// security module they are an error when the container starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Labels {
    /// Name of a loaded AppArmor profile that the program gets at execve.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub apparmor_profile: Option<String>,

    /// SELinux label that the program gets at execve.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub process_label: Option<String>,

    /// SELinux label of each tmpfs and devpts that is mounted for the container.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub mount_label: Option<String>,
}
