//! Parent: namespaces, id mappings and clock offsets as written.

use std::fmt;
use std::path::PathBuf;

use nsinit_namespaces::Namespace;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde::{Deserialize as DeriveDeserialize, Serialize as DeriveSerialize};

use crate::forms;

crate::forms::objects!(IdMapping, TimeOffsets);

/// The namespaces that a container has whose configuration lists none; who is not root
/// gets one of users, too.
pub const DEFAULT_NAMESPACES: [Namespace; 6] = [
    Namespace::Mount,
    Namespace::Uts,
    Namespace::Ipc,
    Namespace::Pid,
    Namespace::Net,
    Namespace::Cgroup,
];

/// One entry of `namespaces`; in JSON a name (`"NEWNET"`), or an object with
/// `type` and `path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceEntry {
    /// Which namespace.
    pub kind: Namespace,
    /// Absolute path of an existing namespace to join (`/run/netns/x`); `None`
    /// makes a new one.
    pub path: Option<PathBuf>,
}

impl NamespaceEntry {
    /// A new namespace of this kind.
    pub fn new(kind: Namespace) -> NamespaceEntry {
        NamespaceEntry { kind, path: None }
    }

    /// The existing namespace that the file at `path` stands for.
    pub fn join(kind: Namespace, path: impl Into<PathBuf>) -> NamespaceEntry {
        NamespaceEntry { kind, path: Some(path.into()) }
    }
}

impl From<Namespace> for NamespaceEntry {
    fn from(kind: Namespace) -> NamespaceEntry {
        NamespaceEntry::new(kind)
    }
}

#[derive(DeriveSerialize, DeriveDeserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Object {
    #[serde(
        rename = "type",
        deserialize_with = "forms::namespace",
        serialize_with = "forms::write_name"
    )]
    kind: Namespace,
    #[serde(
        default,
        deserialize_with = "forms::present",
        serialize_with = "forms::optional_path",
        skip_serializing_if = "Option::is_none"
    )]
    path: Option<PathBuf>,
}

impl Serialize for NamespaceEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.path {
            None => serializer.collect_str(&self.kind),
            path => Object { kind: self.kind, path: path.clone() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for NamespaceEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrObject;
        impl<'de> Visitor<'de> for StringOrObject {
            type Value = NamespaceEntry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<NamespaceEntry, E> {
                forms::parse_namespace(name).map(NamespaceEntry::new)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NamespaceEntry, A::Error> {
                let Object { kind, path } = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(NamespaceEntry { kind, path })
            }
        }
        deserializer.deserialize_any(StringOrObject)
    }
}

/// One line of `/proc/PID/uid_map` or `gid_map` (user_namespaces(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, DeriveSerialize, DeriveDeserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct IdMapping {
    /// First id in the container.
    pub container_id: u32,
    /// The id on the host that it stands for.
    pub host_id: u32,
    /// How many ids, at least 1.
    pub size: u32,
}

/// What the clocks of a new time namespace are ahead of the host's, in
/// nanoseconds (time_namespaces(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, DeriveSerialize, DeriveDeserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct TimeOffsets {
    /// Offset of `CLOCK_MONOTONIC`. Default: 0.
    pub monotonic: i64,
    /// Offset of `CLOCK_BOOTTIME`. Default: 0.
    pub boottime: i64,
}
