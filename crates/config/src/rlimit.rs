//! Parent: resource limits as written.

use nsinit_security::Resource;

/// One entry of `rlimits` (getrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// What is limited; in JSON the key.
    pub resource: Resource,
    /// The limit that holds, in the unit of the resource; `None` is no limit,
    /// in JSON `"unlimited"`.
    pub soft: Option<u64>,
    /// How far the program may raise it; `None` is no limit.
    pub hard: Option<u64>,
}

/// An object with a resource per key.
pub(crate) mod by_name {
    use std::fmt;
    use std::sync::LazyLock;

    use nsinit_security::Resource;
    use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Unexpected, Visitor};
    use serde::ser::{SerializeMap, Serializer};
    use serde::{Deserialize, Serialize};

    use super::Rlimit;

    static RESOURCES: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| Resource::ALL.iter().map(|resource| resource.name()).collect());

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "Self", deny_unknown_fields)]
    struct Limits {
        #[serde(with = "limit")]
        soft: Option<u64>,
        #[serde(with = "limit")]
        hard: Option<u64>,
    }

    crate::forms::objects!(Limits);

    pub(crate) fn serialize<S: Serializer>(limits: &[Rlimit], s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(limits.len()))?;
        for Rlimit { resource, soft, hard } in limits {
            map.serialize_entry(resource.name(), &Limits { soft: *soft, hard: *hard })?;
        }
        map.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Rlimit>, D::Error> {
        d.deserialize_map(ByName)
    }

    struct ByName;

    impl<'de> Visitor<'de> for ByName {
        type Value = Vec<Rlimit>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Rlimit>, A::Error> {
            let mut limits: Vec<Rlimit> = Vec::new();
            while let Some(resource) = map.next_key_seed(NewResource(&limits))? {
                let Limits { soft, hard } = map.next_value()?;
                limits.push(Rlimit { resource, soft, hard });
            }
            Ok(limits)
        }
    }

    /// A resource that has no limit yet, in either way of writing it.
    struct NewResource<'a>(&'a [Rlimit]);

    impl<'de> DeserializeSeed<'de> for NewResource<'_> {
        type Value = Resource;
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Resource, D::Error> {
            let resource: Resource = crate::forms::word(deserializer, |name| {
                name.parse().map_err(|_| Error::unknown_field(name, &RESOURCES))
            })?;
            match self.0.iter().any(|limit| limit.resource == resource) {
                true => Err(Error::custom("this resource has a limit already")),
                false => Ok(resource),
            }
        }
    }

    /// A number, or `"unlimited"`.
    mod limit {
        use super::{Deserializer, Error, Serializer, Unexpected, Visitor, fmt};

        pub(super) fn serialize<S: Serializer>(v: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
            match v {
                Some(number) => s.serialize_u64(*number),
                None => s.serialize_str("unlimited"),
            }
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(
            d: D,
        ) -> Result<Option<u64>, D::Error> {
            d.deserialize_any(Limit)
        }

        struct Limit;

        impl Visitor<'_> for Limit {
            type Value = Option<u64>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or \"unlimited\"")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Option<u64>, E> {
                Ok(Some(number))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Option<u64>, E> {
                match text {
                    "unlimited" => Ok(None),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
    }
}
