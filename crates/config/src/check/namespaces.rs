//! Parent: checks of `namespaces`, host names, id mappings and clock offsets.

use nsinit_namespaces::Namespace;

use super::Findings;
use crate::DEFAULT_NAMESPACES;
use crate::key_path::At;
use crate::suggest::quoted;
use crate::{Container, IdMapping};

/// `__NEW_UTS_LEN` of the kernel.
const LONGEST_HOSTNAME: usize = 64;

/// Most lines of a uid_map (user_namespaces(7)).
const MOST_MAPPINGS: usize = 340;

/// Where a namespace of the container comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    New,
    Joined,
    Host,
}

/// As `namespaces` says, or its default.
pub(super) fn origin(container: &Container, kind: Namespace) -> Origin {
    match &container.namespaces {
        None => match kind {
            Namespace::User | Namespace::Time => Origin::Host,
            _ => Origin::New,
        },
        Some(list) => match list.iter().find(|entry| entry.kind == kind) {
            None => Origin::Host,
            Some(entry) if entry.path.is_some() => Origin::Joined,
            Some(_) => Origin::New,
        },
    }
}

impl Findings {
    /// The thing at `at` changes a namespace, which must be the container's own.
    pub(super) fn needs(&mut self, at: At<'_>, container: &Container, kind: Namespace) {
        let (message, help) = match (origin(container, kind), &container.namespaces) {
            (Origin::New, _) => return,
            (Origin::Joined, _) => (
                format!("needs a {kind} of the container's own, not a joined one"),
                "remove this, or the path there".to_owned(),
            ),
            // A list is the whole list.
            (Origin::Host, None) => {
                let all = DEFAULT_NAMESPACES.map(|kind| format!("\"{kind}\"")).join(", ");
                let help = format!("write \"namespaces\": [{all}, \"{kind}\"], or remove this");
                (format!("needs {kind} in namespaces"), help)
            }
            (Origin::Host, Some(_)) => (
                format!("needs {kind} in namespaces"),
                format!("add \"{kind}\" to namespaces, or remove this"),
            ),
        };
        self.fault(at, message).because(At::Root.key("namespaces")).help(help);
    }
}

pub(super) fn check(found: &mut Findings, container: &Container) {
    let root = At::Root;
    list(found, container);
    for (key, name) in [("hostname", &container.hostname), ("domainname", &container.domainname)] {
        if let Some(name) = name {
            host_name(found, root.key(key), name);
            found.needs(root.key(key), container, Namespace::Uts);
        }
    }
    if container.time_offsets.is_some() {
        found.needs(root.key("time_offsets"), container, Namespace::Time);
    }
    let mappings =
        [("uid_mappings", &container.uid_mappings), ("gid_mappings", &container.gid_mappings)];
    if let Some((key, _)) = mappings.iter().find(|(_, lines)| !lines.is_empty()) {
        found.needs(root.key(key), container, Namespace::User);
    }
    for (key, lines) in mappings {
        id_mappings(found, root.key(key), lines);
    }
    one_sided(found, container);
}

fn list(found: &mut Findings, container: &Container) {
    let Some(entries) = &container.namespaces else { return };
    let all = At::Root.key("namespaces");
    for (index, entry) in entries.iter().enumerate() {
        let (at, kind) = (all.index(index), entry.kind);
        // The first of its kind is one of the first few: there are not many kinds.
        let first = entries.iter().position(|entry| entry.kind == kind);
        if let Some(first) = first.filter(|first| *first < index) {
            found.fault(at, format!("{kind} is already {}", all.index(first).text()));
        }
        let Some(path) = &entry.path else { continue };
        found.host_path(at.key("path"), path);
        if kind == Namespace::Mount {
            let message = "NEWNS cannot be joined: set-up would change its mounts";
            found.fault(at.key("path"), message).help("write \"NEWNS\"");
        }
    }
    if !entries.iter().any(|entry| entry.kind == Namespace::Mount) {
        let message = "must contain NEWNS: without it set-up would change the host's mounts";
        found.fault(all, message).help("add \"NEWNS\"").because(all);
    }
}

fn host_name(found: &mut Findings, at: At<'_>, name: &str) {
    if !found.text(at, name) {
        return;
    }
    if name.len() > LONGEST_HOSTNAME {
        found.fault(at, format!("{} bytes, limit {LONGEST_HOSTNAME}", name.len()));
        return;
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if let Some(c) = name.chars().find(|&c| !allowed(c)) {
        let c = quoted(&c.to_string());
        found.fault(at, format!("must consist of letters, digits, '-', '.' and '_', got {c}"));
    } else if name.starts_with(['-', '.']) {
        found.fault(at, format!("must begin with a letter or digit, got {}", quoted(name)));
    }
}

fn id_mappings(found: &mut Findings, all: At<'_>, lines: &[IdMapping]) {
    if lines.len() > MOST_MAPPINGS {
        let message = format!("has {} entries, the kernel's limit is {MOST_MAPPINGS}", lines.len());
        found.fault(all, message);
        return;
    }
    for (index, line) in lines.iter().enumerate() {
        let at = all.index(index);
        if line.size == 0 {
            found.fault(at.key("size"), "must be at least 1, got 0");
            continue;
        }
        for (key, first) in [("container_id", line.container_id), ("host_id", line.host_id)] {
            // 4294967295 is no id, so the last one is 4294967294.
            if u64::from(first) + u64::from(line.size) > u64::from(u32::MAX) {
                let message = format!("{first} and {} more exceed 4294967294", line.size - 1);
                found.fault(at.key(key), message);
            }
        }
        for (other_index, other) in lines[..index].iter().enumerate() {
            let other_at = all.index(other_index).text();
            if overlap(line.container_id, line.size, other.container_id, other.size) {
                found.fault(at.key("container_id"), format!("overlaps with {other_at}"));
            }
            if overlap(line.host_id, line.size, other.host_id, other.size) {
                found.fault(at.key("host_id"), format!("overlaps with {other_at}"));
            }
        }
    }
}

fn overlap(a: u32, a_size: u32, b: u32, b_size: u32) -> bool {
    let end = |first: u32, size: u32| u64::from(first) + u64::from(size);
    u64::from(a) < end(b, b_size) && u64::from(b) < end(a, a_size)
}

/// Mappings of users without those of groups, or the other way round.
fn one_sided(found: &mut Findings, container: &Container) {
    let (uids, gids) = (At::Root.key("uid_mappings"), At::Root.key("gid_mappings"));
    match (container.uid_mappings.is_empty(), container.gid_mappings.is_empty()) {
        (false, true) => {
            found.fault(uids, "needs gid_mappings too").because(gids);
        }
        (true, false) => {
            found.fault(gids, "needs uid_mappings too").because(uids);
        }
        _ => {}
    }
}
