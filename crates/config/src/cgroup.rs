//! Parent: control group and limits as written.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::forms;

crate::forms::objects!(Cgroups);

/// The object `cgroups`: where the control group is, and its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Cgroups {
    /// Last part of the path, no slash. Default: `nsinit-` and a hash of the
    /// directory.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Path above it, relative. Default: `nsinit`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,

    /// Who makes the group. Default: the runtime itself, on cgroupfs.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub driver: Option<CgroupDriver>,

    /// Properties of the systemd unit as pairs of key and value; only with the
    /// driver `systemd`, or without a `driver`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unit_properties: Vec<(String, String)>,

    /// Leaves out the device rules. Default: false, all devices but the listed
    /// ones are denied.
    #[serde(default, skip_serializing_if = "forms::is_false")]
    pub device_access: bool,

    /// Memory limit in bytes, at least 4096; also the soft limit on v1.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,

    /// Limit of memory and swap together. Default: twice `memory` where the
    /// kernel accounts swap.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<MemorySwap>,

    /// Soft limit in bytes, at most `memory`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<u64>,

    /// Bytes from which on the group is throttled, at most `memory`; v2 only.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub memory_high: Option<u64>,

    /// Out of memory ends the whole group instead of one process; v2 only.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub oom_group: Option<bool>,

    /// Relative CPU weight, 2 to 262144; the kernel's default is 1024.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,

    /// CPU time per period in microseconds, at least 1000; -1 is no limit.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<i64>,

    /// Period in microseconds, 1000 to 1000000. Default: 100000.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub cpu_period: Option<u64>,

    /// CPUs that may be used, a list of numbers and ranges: `0-3,6`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub cpuset_cpus: Option<String>,

    /// Memory nodes that may be used, a list of numbers and ranges: `0`.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub cpuset_mems: Option<String>,

    /// Number of tasks, at least 1.
    #[serde(default, deserialize_with = "forms::present", skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<u64>,

    /// Control files of v2 and what is written to them, for all that has no key
    /// of its own: `{"memory.low": "1048576"}`.
    #[serde(
        default,
        deserialize_with = "forms::unique_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub unified: BTreeMap<String, String>,
}

/// Who makes the control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupDriver {
    /// The runtime itself, in the cgroup file system.
    Cgroupfs,
    /// systemd, as a transient scope.
    Systemd,
}

/// Limit of memory and swap together; in JSON a number of bytes, or -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemorySwap {
    /// Bytes of memory and swap together, not less than `memory`.
    Total(u64),
    /// No limit of swap; -1 in JSON.
    Unlimited,
}

impl Serialize for MemorySwap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            MemorySwap::Total(bytes) => serializer.serialize_u64(*bytes),
            MemorySwap::Unlimited => serializer.serialize_i64(-1),
        }
    }
}

impl<'de> Deserialize<'de> for MemorySwap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesOrUnlimited;
        impl Visitor<'_> for BytesOrUnlimited {
            type Value = MemorySwap;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or -1 for no limit")
            }
            fn visit_u64<E>(self, bytes: u64) -> Result<MemorySwap, E> {
                Ok(MemorySwap::Total(bytes))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<MemorySwap, E> {
                match number {
                    -1 => Ok(MemorySwap::Unlimited),
                    _ => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(BytesOrUnlimited)
    }
}
