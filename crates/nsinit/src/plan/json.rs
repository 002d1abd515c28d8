//! Parent: a plan as JSON, for tools: `nsinit plan --format json`.

use nsinit_cgroups::{Limits, Swap};
use nsinit_namespaces::IdMap;
use nsinit_network::{Interface, Veth};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{CgroupPlan, Plan, launcher_lines};

/// The same as the human form says, in the same order.
#[derive(Serialize)]
struct Document {
    launcher: Launcher,
    init: Vec<Numbered>,
    program: Program,
}

#[derive(Serialize)]
struct Launcher {
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<Cgroup>,
    namespaces: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid_mappings: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid_mappings: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<String>,
    interfaces: Vec<Value>,
}

#[derive(Serialize)]
struct Cgroup {
    path: String,
    driver: &'static str,
    limits: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Numbered {
    number: usize,
    step: String,
}

#[derive(Serialize)]
struct Program {
    args: Vec<String>,
    environment: Vec<String>,
    terminal: bool,
}

impl Plan {
    /// The plan as JSON, ending with a line feed. What is no UTF-8 in an argument is
    /// replaced.
    #[must_use]
    pub fn to_json_pretty(&self) -> String {
        let words = |text: &std::ffi::CString| text.to_string_lossy().into_owned();
        let mappings = |lines: &[IdMap]| lines.iter().map(mapping).collect();
        let maps = self.id_maps.as_ref();
        let document = Document {
            launcher: Launcher {
                cgroup: self.cgroup.as_ref().map(cgroup),
                namespaces: self.namespaces.iter().map(|kind| kind.to_string()).collect(),
                uid_mappings: maps.map(|maps| mappings(&maps.uids)),
                gid_mappings: maps.map(|maps| mappings(&maps.gids)),
                steps: launcher_lines(self),
                interfaces: self.interfaces.iter().map(interface).collect(),
            },
            init: self.steps().zip(1..).map(|(step, number)| Numbered { number, step }).collect(),
            program: Program {
                args: self.program.argv.strings().iter().map(words).collect(),
                environment: self.program.envp.strings().iter().map(words).collect(),
                terminal: self.terminal,
            },
        };
        // Only keys that are not strings make this fail.
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }
}

fn cgroup(plan: &CgroupPlan) -> Cgroup {
    let rules = plan.devices.as_ref();
    Cgroup {
        path: plan.path.clone(),
        driver: if plan.scope.is_some() { "systemd" } else { "cgroupfs" },
        limits: limits(&plan.limits),
        devices: rules.map(|rules| rules.iter().map(ToString::to_string).collect()),
    }
}

/// By the keys of `container.json`.
fn limits(limits: &Limits) -> Value {
    let swap = limits.memory_swap.map(|swap| match swap {
        Swap::Total(bytes) => json!(bytes),
        Swap::Unlimited => json!(-1),
    });
    let unified: Map<_, _> =
        limits.unified.iter().map(|(file, value)| (file.clone(), json!(value))).collect();
    let unified = (!unified.is_empty()).then_some(unified);
    given(json!({
        "memory": limits.memory,
        "memory_reservation": limits.memory_reservation,
        "memory_high": limits.memory_high,
        "memory_swap": swap,
        "cpu_shares": limits.cpu_shares,
        "cpu_quota": limits.cpu_quota,
        "cpu_period": limits.cpu_period,
        "cpuset_cpus": limits.cpuset_cpus,
        "cpuset_mems": limits.cpuset_mems,
        "pids_max": limits.pids,
        "oom_group": limits.oom_group,
        "unified": unified,
    }))
}

/// Without the keys that have no value.
fn given(mut object: Value) -> Value {
    if let Value::Object(members) = &mut object {
        members.retain(|_, value| !value.is_null());
    }
    object
}

fn mapping(line: &IdMap) -> Value {
    let IdMap { container_id, host_id, size } = line;
    json!({ "container_id": container_id, "host_id": host_id, "size": size })
}

fn interface(interface: &Interface) -> Value {
    let Interface::Veth(veth) = interface else { return json!({ "type": "loopback" }) };
    let Veth { name, bridge, create_bridge, host_prefix, mtu, .. } = veth;
    let text = |value: Option<String>| json!(value);
    given(json!({
        "type": "veth",
        "name": name,
        "context": { "bridge": bridge, "prefix": host_prefix, "create": create_bridge },
        "mtu": mtu,
        "mac_address": text(veth.mac.map(|mac| mac.to_string())),
        "address": text(veth.address.map(|address| address.to_string())),
        "gateway": text(veth.gateway.map(|gateway| gateway.to_string())),
        "ipv6_address": text(veth.ipv6_address.map(|address| address.to_string())),
        "ipv6_gateway": text(veth.ipv6_gateway.map(|gateway| gateway.to_string())),
        "routes": veth.routes.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}
