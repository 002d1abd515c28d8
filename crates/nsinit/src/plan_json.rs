//! Parent: a plan for tools.

use nsinit_namespaces::{IdMap, IdMaps, Namespace};
use serde_json::{Value, json};

use crate::plan::{Plan, limit_lines};

impl Plan {
    /// What `nsinit plan --format json` prints: the text's facts, as one object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let cgroup = self.cgroup.as_ref().map(|cgroup| {
            let rules = cgroup.devices.as_ref();
            let devices: Option<Vec<String>> =
                rules.map(|rules| rules.iter().map(ToString::to_string).collect());
            json!({
                "path": cgroup.path,
                "driver": if cgroup.scope.is_some() { "systemd" } else { "cgroupfs" },
                "limits": limit_lines(&cgroup.limits),
                "devices": devices,
            })
        });
        let joined = self.joined.iter().map(
            |joined| json!({ "type": joined.kind.name(), "path": joined.path.to_string_lossy() }),
        );
        let mapped = |lines: fn(&IdMaps) -> &[IdMap]| {
            self.id_maps.as_ref().map(|maps| lines(maps).iter().map(mapping).collect::<Vec<_>>())
        };
        let words = |word: &std::ffi::CStr| word.to_string_lossy().into_owned();
        let plan = json!({
            "cgroup": cgroup,
            "namespaces": self.namespaces.iter().map(Namespace::name).collect::<Vec<_>>(),
            "joined": joined.collect::<Vec<_>>(),
            "uid_mappings": mapped(|maps| &maps.uids),
            "gid_mappings": mapped(|maps| &maps.gids),
            "interfaces": self.interfaces.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "terminal": self.terminal,
            "steps": self.steps().collect::<Vec<_>>(),
            "program": self.program.arguments().map(words).collect::<Vec<_>>(),
            "environment": self.program.environment().map(words).collect::<Vec<_>>(),
        });
        format!("{plan:#}\n")
    }
}

fn mapping(line: &IdMap) -> Value {
    json!({
        "container_id": line.container_id,
        "host_id": line.host_id,
        "size": line.size,
    })
}
