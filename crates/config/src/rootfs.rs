//! Parent: where the root file system comes from.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde::{Deserialize as DeriveDeserialize, Serialize as DeriveSerialize};

use crate::forms;

/// Where the root file system comes from; in JSON a path, or an object with
/// `"type": "tmpfs"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootfsSource {
    /// A directory of the host; a relative one is below the directory of the
    /// `container.json`.
    Directory(PathBuf),
    /// An empty file system that the mounts furnish.
    Tmpfs(TmpfsRoot),
}

/// Limits of a root file system that starts empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TmpfsRoot {
    /// Size in bytes. Default: 64 MiB.
    pub size: Option<u64>,
    /// Number of inodes. Default: 16384.
    pub inodes: Option<u64>,
}

#[derive(DeriveSerialize, DeriveDeserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Tmpfs,
}

#[derive(DeriveSerialize, DeriveDeserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Object {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    inodes: Option<u64>,
}

impl Serialize for RootfsSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            RootfsSource::Directory(path) => forms::path(path, serializer),
            RootfsSource::Tmpfs(TmpfsRoot { size, inodes }) => {
                Object { kind: Kind::Tmpfs, size: *size, inodes: *inodes }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for RootfsSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrObject;
        impl<'de> Visitor<'de> for StringOrObject {
            type Value = RootfsSource;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object")
            }
            fn visit_str<E>(self, path: &str) -> Result<RootfsSource, E> {
                Ok(RootfsSource::Directory(path.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RootfsSource, A::Error> {
                let Object { kind: Kind::Tmpfs, size, inodes } =
                    Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RootfsSource::Tmpfs(TmpfsRoot { size, inodes }))
            }
        }
        deserializer.deserialize_any(StringOrObject)
    }
}
