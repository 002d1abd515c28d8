//! Parent: the whole of a `container.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nsinit_security::Capability;
use serde::{Deserialize, Serialize};

use crate::{
    Cgroups, ConfigFile, DeathSignal, Device, Error, Faults, IdMapping, Labels, Mount,
    NamespaceEntry, Network, Rlimit, RootfsSource, Seccomp, TimeOffsets, check, explain, forms,
};

crate::forms::objects!(Container);

/// How processes in a container are contained and run: one `container.json`.
///
/// Every key is optional. An absent key is `None`, an empty list or `false`,
/// and is not written back. Defaults named here are applied by whoever turns
/// this into a running container; a `Container` only says what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Container {
    /// Root file system. Default: the directory of the `container.json`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<RootfsSource>,

    /// Mounts the root file system read-only; mount points and `/dev` still work.
    #[serde(default, skip_serializing_if = "forms::is_false")]
    pub readonly_fs: bool,

    /// Enters the root file system by `MS_MOVE` and chroot instead of
    /// `pivot_root`, for a root on a ram disk.
    #[serde(default, skip_serializing_if = "forms::is_false")]
    pub no_pivot_root: bool,

    /// Host name, at most 64 bytes; needs a UTS namespace. Default: the host's.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,

    /// NIS domain name, at most 64 bytes; needs a UTS namespace.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,

    /// Program and its arguments when the command line names none.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,

    /// `KEY=value`, exactly what the program gets. Where a key occurs twice the
    /// last one holds. Default: PATH, HOME, LANG=C.UTF-8, HOSTNAME and, with a
    /// terminal, TERM.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub environment: Option<Vec<String>>,

    /// Absolute path in the container. Default: `/`.
    #[serde(
        default,
        deserialize_with = "forms::present",
        serialize_with = "forms::optional_path",
        skip_serializing_if = "Option::is_none"
    )]
    pub working_dir: Option<PathBuf>,

    /// Allocates a pseudo terminal. Default: when standard input and output
    /// are terminals.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,

    /// Keeps a child of the runtime as PID 1, which reaps, forwards signals and
    /// ends with the program's status. Default: false.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,

    /// `name`, `uid`, `name:group` or `uid:gid`; names are those of the
    /// container's `/etc/passwd` and `/etc/group`, and digits are always an id.
    /// Empty and `root` are 0. Default: 0.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,

    /// Supplementary groups beside those of `user`, by name or id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_groups: Vec<String>,

    /// File mode creation mask, at most `0o777`. In JSON a number, or a string
    /// of octal digits (`"0022"`). Default: 0022.
    #[serde(default, with = "forms::octal", skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,

    /// Written to `oom_score_adj`, -1000 to 1000. Default: the caller's.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,

    /// Signal that ends the container with its launcher. Default: KILL in the
    /// foreground, none when detached.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub parent_death_signal: Option<DeathSignal>,

    /// Exactly these namespaces. Default: mount, UTS, IPC, PID, network and
    /// cgroup.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<NamespaceEntry>>,

    /// User ids of the user namespace. Default: the caller's subordinate ids,
    /// or the caller alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,

    /// Group ids of the user namespace; as `uid_mappings`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,

    /// Offsets of the clocks of a new time namespace.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub time_offsets: Option<TimeOffsets>,

    /// The exact set of capabilities to keep; excludes `capabilities_mask` and
    /// `capabilities_add`.
    #[serde(
        default,
        deserialize_with = "forms::optional_capabilities",
        serialize_with = "forms::write_optional_names",
        skip_serializing_if = "Option::is_none"
    )]
    pub capabilities: Option<Vec<Capability>>,

    /// Capabilities added to the default set.
    #[serde(
        default,
        deserialize_with = "forms::capabilities",
        serialize_with = "forms::write_names",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub capabilities_add: Vec<Capability>,

    /// Capabilities removed from the default set.
    #[serde(
        default,
        deserialize_with = "forms::capabilities",
        serialize_with = "forms::write_names",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub capabilities_mask: Vec<Capability>,

    /// Sets `no_new_privs`: execve gives no privilege. Default: true.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,

    /// System call filter.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,

    /// AppArmor profile and SELinux labels.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub context: Option<Labels>,

    /// Resource limits; in JSON an object by name. Explicit ones are exact or
    /// an error.
    #[serde(default, with = "crate::rlimit::by_name", skip_serializing_if = "Vec::is_empty")]
    pub rlimits: Vec<Rlimit>,

    /// Namespaced kernel parameters and their values.
    #[serde(
        default,
        deserialize_with = "forms::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub sysctl: BTreeMap<String, String>,

    /// Mounts, in this order, after the default ones; an entry on the
    /// destination of a default one replaces it in its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,

    /// Device nodes beside the default ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,

    /// Paths in the container that are covered by something empty; replaces
    /// the default list.
    #[serde(
        default,
        deserialize_with = "forms::present",
        serialize_with = "forms::optional_paths",
        skip_serializing_if = "Option::is_none"
    )]
    pub masked_paths: Option<Vec<PathBuf>>,

    /// Paths in the container that are made read-only; replaces the default
    /// list.
    #[serde(
        default,
        deserialize_with = "forms::present",
        serialize_with = "forms::optional_paths",
        skip_serializing_if = "Option::is_none"
    )]
    pub readonly_paths: Option<Vec<PathBuf>>,

    /// Network interfaces; needs a network namespace. Empty: the loopback only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,

    /// Control group and its limits. Default: no control group.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub cgroups: Option<Cgroups>,
}

impl Container {
    /// Reads, decodes and checks the file at `path`.
    ///
    /// The file is opened once, without blocking, and must be a regular file of
    /// at most [`MAX_FILE_SIZE`](crate::MAX_FILE_SIZE) bytes. Use
    /// [`ConfigFile`] to look at its owner and mode first.
    ///
    /// # Errors
    /// [`Error::Faults`] with everything that is wrong with the text, and the
    /// other variants when there is no text.
    pub fn load(path: impl AsRef<Path>) -> Result<Container, Error> {
        Ok(ConfigFile::open(path)?.parse()?)
    }

    /// Decodes and checks `text`; `source_name` stands for it in messages.
    ///
    /// # Errors
    /// Everything that is wrong with the text, at most twenty faults.
    pub fn from_str(text: &str, source_name: &str) -> Result<Container, Faults> {
        let container = serde_json::from_str::<Container>(text)
            .map_err(|cause| explain::text(text, source_name, &cause))?;
        let findings = check::run(&container);
        if findings.is_empty() {
            return Ok(container);
        }
        drop(container);
        Err(explain::in_text(text, source_name, findings))
    }

    /// Checks all that can be known without the host.
    ///
    /// [`load`](Container::load) and [`from_str`](Container::from_str) have
    /// done this already; it is for values made or changed by a program.
    ///
    /// # Errors
    /// All faults (at most twenty), without positions.
    pub fn validate(&self) -> Result<(), Faults> {
        let findings = check::run(self);
        if findings.is_empty() { Ok(()) } else { Err(explain::findings(findings)) }
    }

    /// The container as JSON, indented by two spaces, with a final newline.
    ///
    /// It loads again to an equal value, if [`validate`](Container::validate)
    /// finds no fault.
    pub fn to_json_pretty(&self) -> String {
        // Only maps with keys that are not strings and failing writers make
        // serde_json fail; there is neither here.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
