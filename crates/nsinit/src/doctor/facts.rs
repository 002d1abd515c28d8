//! Parent: what the host and the caller are like, as a table.

use std::path::{Path, PathBuf};

use nsinit_cgroups::{Hierarchies, Hierarchy};
use nsinit_namespaces::{Denier, Namespace, SubordinateIds};
use nsinit_security::{CapabilitySet, Module};
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};

use super::Fact;
use crate::diagnosis::read;
use crate::host::Host;

pub(super) fn of(host: &Host) -> Vec<Fact> {
    let hierarchies = Hierarchies::detect();
    vec![
        kernel(),
        caller(host),
        namespaces(),
        user_namespaces(),
        subordinate_ids(),
        cgroups(&hierarchies),
        delegation(&hierarchies),
        modules(host),
        limits(),
        features(host),
    ]
}

fn fact(name: &'static str, words: impl Into<String>, value: Value) -> Fact {
    Fact { name, words: words.into(), value }
}

fn kernel() -> Fact {
    let uname = rustix::system::uname();
    let (release, machine) = (uname.release().to_string_lossy(), uname.machine().to_string_lossy());
    let words = format!("Linux {release} on {machine}");
    fact("kernel", words, json!({ "release": release, "machine": machine }))
}

fn caller(host: &Host) -> Fact {
    let held = CapabilitySet::permitted_of_caller().unwrap_or(CapabilitySet::NONE);
    let capabilities = match held {
        CapabilitySet::NONE => "no capabilities".to_owned(),
        all if all.contains(host.bounding) => "all capabilities of its bounding set".to_owned(),
        some => format!("capabilities {some}"),
    };
    let words = format!("uid {}, gid {}, {capabilities}", host.uid, host.gid);
    let names: Vec<_> = held.iter().map(|name| name.to_string()).collect();
    fact("caller", words, json!({ "uid": host.uid, "gid": host.gid, "capabilities": names }))
}

fn namespaces() -> Fact {
    let there = |kind: &Namespace| Path::new("/proc/self/ns").join(kind.file()).exists();
    let kinds: Vec<_> =
        Namespace::ALL.iter().filter(|kind| there(kind)).map(|kind| kind.to_string()).collect();
    fact("namespaces", kinds.join(" "), json!(kinds))
}

fn user_namespaces() -> Fact {
    let most = read("/proc/sys/user/max_user_namespaces").trim().parse::<u64>().ok();
    let denier = Denier::of_user_namespaces().map(|denier| denier.to_string());
    let words = match (&denier, most) {
        (Some(denier), _) => format!("forbidden by {denier}"),
        (None, Some(most)) => format!("allowed, at most {most}"),
        (None, None) => "the kernel has none".to_owned(),
    };
    fact("user namespaces", words, json!({ "forbidden_by": denier, "max": most }))
}

fn subordinate_ids() -> Fact {
    let ids = match SubordinateIds::of_the_caller() {
        Ok(ids) => ids,
        Err(error) => return fact("subordinate ids", error.to_string(), Value::Null),
    };
    let SubordinateIds { user, uids, gids, mappable } = &ids;
    let not = if *mappable { "" } else { ", which it cannot map: no newuidmap and newgidmap" };
    let words = format!("{user} has {uids} user ids and {gids} group ids{not}");
    let value = json!({ "user": user, "uids": uids, "gids": gids, "mappable": mappable });
    fact("subordinate ids", words, value)
}

fn cgroups(hierarchies: &Hierarchies) -> Fact {
    let v1: Vec<_> = hierarchies.v1().iter().flat_map(|tree| &tree.controllers).collect();
    let v2: Vec<_> = hierarchies.v2().iter().flat_map(|tree| &tree.controllers).collect();
    let list = |names: &[&String]| match names {
        [] => "no controllers".to_owned(),
        names => names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" "),
    };
    let mut parts = vec![hierarchies.mode().to_string()];
    parts.extend((!v1.is_empty()).then(|| format!("v1: {}", list(&v1))));
    parts.extend(hierarchies.v2().map(|_| format!("v2: {}", list(&v2))));
    parts.extend(hierarchies.unusable());
    let value = json!({ "mode": hierarchies.mode().to_string(), "v1": v1, "v2": v2 });
    fact("cgroups", parts.join("; "), value)
}

/// Where this user's cgroups are made, and which controllers they get there.
fn delegation(hierarchies: &Hierarchies) -> Fact {
    let place = |tree: &Hierarchy| tree.place().map(|place| (controllers(tree, &place), place));
    let places: Vec<_> = trees_of(hierarchies).filter_map(place).collect();
    let at_roots =
        trees_of(hierarchies).all(|tree| tree.place().as_ref() == Some(&tree.mount_point));
    let words = match places.as_slice() {
        [] => "this user may make none".to_owned(),
        _ if at_roots => "at the root of every hierarchy".to_owned(),
        places => {
            let line = |(names, place): &(Vec<String>, PathBuf)| {
                format!("below {}: {}", place.display(), names.join(" "))
            };
            places.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    };
    let value = places.iter().map(|(names, place)| json!({ "below": place, "controllers": names }));
    fact("own cgroups", words, value.collect())
}

fn trees_of(hierarchies: &Hierarchies) -> impl Iterator<Item = &Hierarchy> {
    hierarchies.v2().into_iter().chain(hierarchies.v1())
}

fn controllers(tree: &Hierarchy, place: &Path) -> Vec<String> {
    let file = place.join("cgroup.controllers");
    match tree.version {
        nsinit_cgroups::Version::V1 => tree.controllers.clone(),
        nsinit_cgroups::Version::V2 => {
            read(&file.to_string_lossy()).split_whitespace().map(str::to_owned).collect()
        }
    }
}

fn modules(host: &Host) -> Fact {
    let enabled = host.lsm.enabled();
    let word = |module: &Module| match module {
        Module::Selinux if read("/sys/fs/selinux/enforce").trim() == "1" => "SELinux (enforcing)",
        Module::Selinux => "SELinux (permissive)",
        Module::AppArmor => "AppArmor",
    };
    let names: Vec<_> = enabled.iter().map(word).collect();
    let label = read("/proc/self/attr/current");
    let label = label.trim_end_matches(['\0', '\n']);
    let words = match names.as_slice() {
        [] => "none that labels processes".to_owned(),
        names => format!("{}; the caller is {label}", names.join(", ")),
    };
    let label = (!names.is_empty()).then_some(label);
    fact("security modules", words, json!({ "enabled": names, "label": label }))
}

fn limits() -> Fact {
    let soft = |resource| getrlimit(resource).current;
    let (files, processes) = (soft(Resource::Nofile), soft(Resource::Nproc));
    let word = |limit: Option<u64>| limit.map_or("any number".to_owned(), |most| most.to_string());
    let words = format!("{} open files, {} processes", word(files), word(processes));
    fact("limits", words, json!({ "nofile": files, "nproc": processes }))
}

fn features(host: &Host) -> Fact {
    let has = |name: &'static str, is: bool| is.then_some(name);
    let features: Vec<_> = [
        has("openat2", host.rootfs.openat2),
        has("mount_setattr", host.rootfs.mount_setattr),
        has("IPv6", host.ipv6),
        has("seccomp", Path::new("/proc/sys/kernel/seccomp").exists()),
        has("built with systemd", cfg!(feature = "systemd")),
        has("built with libselinux", cfg!(feature = "selinux")),
    ]
    .into_iter()
    .flatten()
    .collect();
    fact("features", features.join(", "), json!(features))
}
