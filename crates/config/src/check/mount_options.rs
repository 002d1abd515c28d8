//! Parent: checks of `mounts[].options`.

use std::collections::HashMap;

use super::Findings;
use crate::key_path::At;
use crate::suggest::{nearest, quoted};
use crate::{Mount, MountKind};

/// Flags of mount(8) that any file system takes; two in one group contradict
/// each other.
const FLAGS: [&[&str]; 9] = [
    &["ro", "rw"],
    &["nosuid", "suid"],
    &["nodev", "dev"],
    &["noexec", "exec"],
    &["sync", "async"],
    &["noatime", "relatime", "strictatime"],
    &["nodiratime", "diratime"],
    &["nosymfollow", "symfollow"],
    &["dirsync"],
];

/// Words that other runtimes have here and that are keys of their own.
const KEYS: [(&str, &str); 11] = [
    ("bind", "bind is the default type"),
    ("rbind", "bind mounts are recursive unless \"recursive\" is false"),
    ("private", "use the key propagation"),
    ("rprivate", "use the key propagation: \"private\""),
    ("slave", "use the key propagation"),
    ("rslave", "use the key propagation: \"slave\""),
    ("shared", "use the key propagation"),
    ("rshared", "use the key propagation: \"shared\""),
    ("remount", "a mount is made with its final options"),
    ("rro", "read-only is recursive unless \"recursive\" is false"),
    ("defaults", "leave it out"),
];

/// What an option of one file system has after the `=`.
#[derive(Clone, Copy)]
enum Value {
    None,
    /// Bytes, with a suffix of k, m or g, or a share of memory: `50%`.
    Size,
    Number,
    Octal,
    Words(&'static [&'static str]),
    Text,
}

/// Options of one file system (tmpfs(5), proc(5), devpts in mount(8)).
fn options_of(kind: MountKind) -> &'static [(&'static str, Value)] {
    match kind {
        MountKind::Tmpfs => &[
            ("size", Value::Size),
            ("nr_blocks", Value::Size),
            ("nr_inodes", Value::Size),
            ("mode", Value::Octal),
            ("uid", Value::Number),
            ("gid", Value::Number),
            ("huge", Value::Words(&["never", "always", "within_size", "advise"])),
            ("mpol", Value::Text),
            ("noswap", Value::None),
        ],
        MountKind::Devpts => &[
            ("newinstance", Value::None),
            ("ptmxmode", Value::Octal),
            ("mode", Value::Octal),
            ("uid", Value::Number),
            ("gid", Value::Number),
            ("max", Value::Number),
        ],
        MountKind::Proc => &[
            (
                "hidepid",
                Value::Words(&["0", "1", "2", "4", "off", "noaccess", "invisible", "ptraceable"]),
            ),
            ("gid", Value::Number),
            ("subset", Value::Words(&["pid"])),
        ],
        _ => &[],
    }
}

pub(super) fn check(found: &mut Findings, at: At<'_>, mount: &Mount) {
    let all = at.key("options");
    if matches!(mount.kind, MountKind::File | MountKind::Symlink) {
        return;
    }
    let mut seen = HashMap::new();
    for (index, option) in mount.options.iter().enumerate() {
        // Looking for near words takes its time.
        if found.is_full() {
            return;
        }
        let at = all.index(index);
        contradictions(found, at, option, &mut seen);
        match option.split_once('=') {
            _ if !found.no_nul(at, option) => {}
            Some((name, value)) => with_value(found, at, mount.kind, name, value),
            None => flag(found, at, mount.kind, option),
        }
    }
    against_writable(found, all, mount);
}

/// `seen` has the option that was given of each group, by the first name of the group.
fn contradictions<'a>(
    found: &mut Findings,
    at: At<'_>,
    option: &'a str,
    seen: &mut HashMap<&'a str, &'a str>,
) {
    let name = option.split('=').next().unwrap_or_default();
    let group = FLAGS.iter().find(|group| group.contains(&option)).map_or(name, |group| group[0]);
    match seen.insert(group, name) {
        Some(other) if other == name => {
            found.fault(at, format!("{} is given twice", quoted(name)));
        }
        Some(other) => {
            let message = format!("{} contradicts {}", quoted(name), quoted(other));
            found.fault(at, message).help("keep one of the two");
        }
        None => {}
    }
}

fn flag(found: &mut Findings, at: At<'_>, kind: MountKind, option: &str) {
    let own = options_of(kind);
    let is_flag = FLAGS.iter().any(|group| group.contains(&option));
    match own.iter().find(|(name, _)| *name == option) {
        Some((_, Value::None)) => {}
        Some(_) => {
            found.fault(at, format!("{} needs a value", quoted(option)));
        }
        None if is_flag => {}
        None => unknown(found, at, kind, option),
    }
}

fn unknown(found: &mut Findings, at: At<'_>, kind: MountKind, option: &str) {
    let fault = found.fault(at, format!("unknown option {}", quoted(option)));
    if let Some((_, help)) = KEYS.iter().find(|(name, _)| *name == option) {
        fault.help(*help);
        return;
    }
    let flags = FLAGS.iter().copied().flatten().copied();
    let names = flags.chain(options_of(kind).iter().map(|(name, _)| *name));
    if let Some(name) = nearest(option, names) {
        fault.help(format!("did you mean \"{name}\"?"));
    }
}

fn with_value(found: &mut Findings, at: At<'_>, kind: MountKind, name: &str, value: &str) {
    let Some((_, form)) = options_of(kind).iter().find(|(known, _)| *known == name) else {
        return foreign(found, at, kind, name);
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (valid, words) = match form {
        Value::None => (false, "no value".to_owned()),
        Value::Size => (is_size(name, value), "bytes, with k, m or g, or a percentage".to_owned()),
        Value::Number => (digits(value) && value.parse::<u32>().is_ok(), "a number".to_owned()),
        Value::Octal => {
            let mode = u32::from_str_radix(value, 8);
            (digits(value) && mode.is_ok_and(|mode| mode <= 0o7777), "octal digits".to_owned())
        }
        Value::Words(words) => (words.contains(&value), format!("one of {}", words.join(", "))),
        Value::Text => (!value.is_empty() && !value.contains(','), "a word".to_owned()),
    };
    if !valid {
        found.fault(at, format!("{name} takes {words}, got {}", quoted(value)));
    }
}

/// An option with a value that this type does not have.
fn foreign(found: &mut Findings, at: At<'_>, kind: MountKind, name: &str) {
    let others = [MountKind::Tmpfs, MountKind::Devpts, MountKind::Proc];
    let owner = others.into_iter().find(|&other| options_of(other).iter().any(|o| o.0 == name));
    match owner {
        Some(owner) => {
            let (owner, kind) = (owner.name(), kind.name());
            let message = format!("{name} is an option of {owner}, this is a {kind}");
            found.fault(at, message).because(at);
        }
        None if name == "context" => {
            found.fault(at, "labels are no options").help("use the key label");
        }
        None => unknown(found, at, kind, name),
    }
}

/// As the kernel reads one (memparse): digits and a unit, `%` for the size alone.
fn is_size(name: &str, text: &str) -> bool {
    if let Some(share) = text.strip_suffix('%') {
        return name == "size" && share.parse::<u32>().is_ok_and(|share| share > 0);
    }
    let digits = text.strip_suffix(|c: char| "kKmMgGtTpPeE".contains(c)).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn against_writable(found: &mut Findings, all: At<'_>, mount: &Mount) {
    let position = |word: &str| mount.options.iter().position(|option| option == word);
    if let (true, Some(index)) = (mount.writable, position("ro")) {
        let fault = found.fault(all.index(index), "\"ro\" contradicts \"writable\": true");
        fault.help("keep one of the two");
    }
    let bind = mount.kind == MountKind::Bind && position("ro").is_none();
    if let (true, false, Some(index)) = (bind, mount.writable, position("rw")) {
        let fault = found.fault(all.index(index), "\"rw\" contradicts \"writable\": false");
        fault.help("write \"writable\": true").because(all);
    }
}
