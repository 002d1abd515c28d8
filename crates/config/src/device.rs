//! Parent: device nodes as written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::forms;

crate::forms::objects!(Device);

/// One entry of `devices`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Device {
    /// Absolute path in the container.
    #[serde(serialize_with = "forms::path")]
    pub path: PathBuf,

    /// What kind of node.
    #[serde(rename = "type")]
    pub kind: DeviceKind,

    /// Major number, at most 4095; required for `c` and `b`, forbidden for `p`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,

    /// Minor number, at most 1048575; as `major`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,

    /// Permission bits, at most `0o777`; in JSON a number, or a string of octal
    /// digits. Default: 0666.
    #[serde(default, with = "forms::octal", skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,

    /// Owner, an id in the container. Default: 0.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,

    /// Group, an id in the container. Default: 0.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,

    /// What the device rules of the control group permit: letters of `rwm`.
    /// Default: `rwm`. Not for `p`, which needs no rule.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
}

/// The `type` of a device node (mknod(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceKind {
    /// A character device.
    #[serde(rename = "c")]
    Char,
    /// A block device.
    #[serde(rename = "b")]
    Block,
    /// A named pipe.
    #[serde(rename = "p")]
    Fifo,
}
