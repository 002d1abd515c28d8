//! Parent: the list of all keys; the documentation and messages are checked
//! against it, and it against the decoder.

/// An object of the format and its keys.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Object {
    /// Where it stands: `mounts[]`; empty for the whole.
    pub path: &'static str,
    /// The keys it may have.
    pub keys: &'static [&'static str],
    /// Keys, and words for `type`, that are refused for now.
    pub reserved: &'static [&'static str],
}

/// All objects of the format.
pub const OBJECTS: &[Object] = &[
    Object {
        path: "",
        keys: &[
            "rootfs",
            "readonly_fs",
            "no_pivot_root",
            "hostname",
            "domainname",
            "args",
            "environment",
            "working_dir",
            "tty",
            "init",
            "user",
            "additional_groups",
            "umask",
            "oom_score_adj",
            "parent_death_signal",
            "namespaces",
            "uid_mappings",
            "gid_mappings",
            "time_offsets",
            "capabilities",
            "capabilities_add",
            "capabilities_mask",
            "no_new_privileges",
            "seccomp",
            "context",
            "rlimits",
            "sysctl",
            "mounts",
            "devices",
            "masked_paths",
            "readonly_paths",
            "networks",
            "cgroups",
        ],
        reserved: &["ports", "hooks"],
    },
    Object { path: "rootfs", keys: &["type", "size", "inodes"], reserved: &[] },
    Object { path: "namespaces[]", keys: &["type", "path"], reserved: &[] },
    Object { path: "uid_mappings[]", keys: ID_MAPPING, reserved: &[] },
    Object { path: "gid_mappings[]", keys: ID_MAPPING, reserved: &[] },
    Object { path: "time_offsets", keys: &["monotonic", "boottime"], reserved: &[] },
    Object {
        path: "context",
        keys: &["apparmor_profile", "process_label", "mount_label"],
        reserved: &[],
    },
    Object { path: "rlimits.*", keys: &["soft", "hard"], reserved: &[] },
    Object {
        path: "mounts[]",
        keys: &[
            "type",
            "source",
            "destination",
            "writable",
            "private",
            "options",
            "recursive",
            "propagation",
            "label",
            "optional",
            "content",
            "mode",
            "target",
        ],
        reserved: &["id_mapped", "overlay"],
    },
    Object {
        path: "devices[]",
        keys: &["path", "type", "major", "minor", "mode", "uid", "gid", "access"],
        reserved: &[],
    },
    Object {
        path: "networks[]",
        keys: &[
            "type",
            "context",
            "name",
            "address",
            "gateway",
            "ipv6_address",
            "ipv6_gateway",
            "mac_address",
            "mtu",
            "routes",
        ],
        reserved: &["macvlan", "ipvlan", "phys"],
    },
    Object { path: "networks[].context", keys: &["bridge", "prefix", "create"], reserved: &[] },
    Object { path: "networks[].routes[]", keys: &["destination", "gateway"], reserved: &[] },
    Object {
        path: "cgroups",
        keys: &[
            "name",
            "parent",
            "driver",
            "unit_properties",
            "device_access",
            "memory",
            "memory_swap",
            "memory_reservation",
            "memory_high",
            "oom_group",
            "cpu_shares",
            "cpu_quota",
            "cpu_period",
            "cpuset_cpus",
            "cpuset_mems",
            "pids_max",
            "unified",
        ],
        reserved: &["io", "hugetlb", "cpu_burst", "cpu_idle"],
    },
];

const ID_MAPPING: &[&str] = &["container_id", "host_id", "size"];

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Container;
    use crate::decode::{Kind, NodeDeserializer};
    use crate::json;

    /// A container.json with `member` in the object at `path`.
    fn text_with(path: &str, member: &str) -> String {
        let text = format!("{{{member}}}");
        path.split('.').rev().filter(|part| !part.is_empty()).fold(text, |inner, part| {
            match (part, part.strip_suffix("[]")) {
                ("*", _) => format!("{{\"nofile\":{inner}}}"),
                (_, Some(key)) => format!("{{\"{key}\":[{inner}]}}"),
                (key, None) => format!("{{\"{key}\":{inner}}}"),
            }
        })
    }

    fn keys_of_decoder(path: &str) -> Vec<&'static str> {
        let text = text_with(path, "\"?\":0");
        let (root, _) = json::parse(&text);
        let root = NodeDeserializer(root.as_ref().unwrap());
        let error = <Container as Deserialize>::deserialize(root).unwrap_err();
        match error.kind {
            Kind::UnknownKey { expected } => expected.to_vec(),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn the_list_has_the_keys_of_the_decoder() {
        for object in OBJECTS {
            let (mut listed, mut decoded) = (object.keys.to_vec(), keys_of_decoder(object.path));
            listed.sort_unstable();
            decoded.sort_unstable();
            assert_eq!(listed, decoded, "{}", object.path);
        }
    }

    #[test]
    fn reserved_words_are_told_as_such() {
        for object in OBJECTS {
            for word in object.reserved {
                let member = match *word {
                    "overlay" | "macvlan" | "ipvlan" | "phys" => format!("\"type\":\"{word}\""),
                    key => format!("\"{key}\":0"),
                };
                let text = text_with(object.path, &member);
                let faults = Container::from_str(&text, "c").unwrap_err();
                let told = faults.iter().any(|fault| fault.message.contains("reserved"));
                assert!(told, "{text}: {faults}");
            }
        }
    }

    #[test]
    fn every_key_is_in_the_documentation() {
        let document = include_str!("../../../docs/container-json.md");
        for object in OBJECTS {
            for key in object.keys.iter().chain(object.reserved) {
                assert!(document.contains(&format!("`{key}`")), "{}: {key}", object.path);
            }
        }
    }
}
