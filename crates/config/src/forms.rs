//! Parent: how values are read from JSON and written to it, where serde's
//! derived forms are too lax or too clumsy.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use nsinit_namespaces::Namespace;
use nsinit_security::Capability;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};

/// Reads an optional key that is there; `null` is an error, not an absence.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A struct whose derived reader is an inherent function (`remote = "Self"`).
pub(crate) trait FromObject: Sized {
    fn from_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Reads a struct from an object only: serde's derived reader also takes an
/// array, with the values in the order of the fields.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromObject,
{
    struct Object<T>(PhantomData<T>);
    impl<'de, T: FromObject> Visitor<'de> for Object<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::from_object(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Object(PhantomData))
}

/// Makes serde's traits of the inherent functions of `remote = "Self"`.
macro_rules! objects {
    ($($name:ident),*) => {$(
        impl crate::forms::FromObject for $name {
            fn from_object<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                $name::deserialize(d)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                crate::forms::object(d)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }
    )*};
}
pub(crate) use objects;

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

/// A string that `parse` understands.
pub(crate) fn word<'de, D, T, F>(deserializer: D, parse: F) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    F: Fn(&str) -> Result<T, D::Error>,
{
    struct Word<T, F>(F, PhantomData<T>);
    impl<T, E: Error, F: Fn(&str) -> Result<T, E>> Visitor<'_> for Word<Result<T, E>, F> {
        type Value = Result<T, E>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<X>(self, text: &str) -> Result<Result<T, E>, X> {
            Ok((self.0)(text))
        }
    }
    deserializer.deserialize_str(Word(parse, PhantomData::<Result<T, D::Error>>))?
}

static NAMESPACES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| Namespace::ALL.iter().map(|namespace| namespace.name()).collect());

static CAPABILITIES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| Capability::ALL.iter().map(|capability| capability.name()).collect());

pub(crate) fn parse_namespace<E: Error>(name: &str) -> Result<Namespace, E> {
    name.parse().map_err(|_| E::unknown_variant(name, &NAMESPACES))
}

pub(crate) fn namespace<'de, D: Deserializer<'de>>(d: D) -> Result<Namespace, D::Error> {
    word(d, parse_namespace)
}

struct CapabilityName;

impl<'de> DeserializeSeed<'de> for CapabilityName {
    type Value = Capability;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Capability, D::Error> {
        word(deserializer, |name| {
            name.parse().map_err(|_| Error::unknown_variant(name, &CAPABILITIES))
        })
    }
}

pub(crate) fn capabilities<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Capability>, D::Error> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<Capability>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(capability) = names.next_element_seed(CapabilityName)? {
                list.push(capability);
            }
            Ok(list)
        }
    }
    d.deserialize_seq(Names)
}

pub(crate) fn optional_capabilities<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Capability>>, D::Error> {
    capabilities(deserializer).map(Some)
}

pub(crate) fn write_name<S: Serializer, T: fmt::Display>(
    name: &T,
    s: S,
) -> Result<S::Ok, S::Error> {
    s.collect_str(name)
}

pub(crate) fn write_names<S: Serializer>(names: &[Capability], s: S) -> Result<S::Ok, S::Error> {
    let mut list = s.serialize_seq(Some(names.len()))?;
    for capability in names {
        list.serialize_element(capability.name())?;
    }
    list.end()
}

pub(crate) fn write_optional_names<S: Serializer>(
    names: &Option<Vec<Capability>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    write_names(names.as_deref().unwrap_or_default(), serializer)
}

/// JSON has no bytes: what is not UTF-8 is written with replacement characters,
/// and `validate` refuses it.
pub(crate) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

pub(crate) fn optional_path<S: Serializer>(
    value: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path(value.as_deref().unwrap_or(Path::new("")), serializer)
}

pub(crate) fn optional_paths<S: Serializer>(
    paths: &Option<Vec<PathBuf>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().flatten().map(|path| path.to_string_lossy()))
}

/// A map of strings in which no key occurs twice.
pub(crate) fn unique_map<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    struct UniqueKeys;
    impl<'de> Visitor<'de> for UniqueKeys {
        type Value = BTreeMap<String, String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry::<String, String>()? {
                if map.insert(key, value).is_some() {
                    return Err(A::Error::custom("duplicate key"));
                }
            }
            Ok(map)
        }
    }
    deserializer.deserialize_map(UniqueKeys)
}

/// Permission bits: a number that is what it says, or a string of octal digits.
pub(crate) mod octal {
    use std::fmt;

    use serde::de::{Deserializer, Error, Unexpected, Visitor};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(mode: &Option<u32>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{:04o}", mode.unwrap_or_default()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u32>, D::Error> {
        d.deserialize_any(Mode).map(Some)
    }

    /// Usual umasks, written as numbers that are no usual mode.
    const FOR_OCTAL: [u64; 3] = [22, 27, 77];

    struct Mode;

    impl Visitor<'_> for Mode {
        type Value = u32;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string of octal digits or a number")
        }
        fn visit_u64<E: Error>(self, mode: u64) -> Result<u32, E> {
            if FOR_OCTAL.contains(&mode) {
                let message =
                    format!("{mode} is {mode:04o} in octal: write \"{mode:04}\" or \"{mode:04o}\"");
                return Err(E::custom(message));
            }
            u32::try_from(mode).map_err(|_| E::invalid_value(Unexpected::Unsigned(mode), &self))
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<u32, E> {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            let octal = !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
            match u32::from_str_radix(digits, 8) {
                Ok(mode) if octal => Ok(mode),
                _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
            }
        }
    }
}
