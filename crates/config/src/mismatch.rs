//! Parent: words for values that cannot be decoded.

use nsinit_namespaces::Namespace;

use crate::decode::{DecodeError, Kind};
use crate::json::{Node, TextFault, Value, is_number};
use crate::key_path::KeyPath;
use crate::keys::OBJECTS;
use crate::suggest::{bytes, clipped, nanoseconds, nearest, quoted};

/// Most words that are listed for want of a near one.
const MOST_WORDS: usize = 16;

/// What others say in one word.
const NETWORK: &str = "\"networks\" lists interfaces; the host's network is that of a container \
                       whose \"namespaces\" lack NEWNET";
const EACH: &str = "name each of them: there is no word for all";

const LATER: &str = "reserved for a later version";

type Words = (String, Option<String>);

/// What is wrong with the node at `positions`.
pub(crate) fn tell(
    root: &Node<'_>,
    positions: &[usize],
    error: &DecodeError,
    text: &str,
) -> TextFault {
    let (path, member) = root.path_to(positions);
    let node = root.at(positions);
    let span = match member {
        Some(member) if error.at_key => member.key_span.clone(),
        _ => node.span.clone(),
    };
    let (message, suggestion) = match &error.kind {
        Kind::UnknownKey { expected } => unknown_key(&path, expected),
        Kind::UnknownWord { word, expected } => unknown_word(&path, word, expected),
        Kind::MissingKey(key) => (format!("missing key \"{key}\""), None),
        Kind::Mismatch(expected) => mismatch(&path, node, expected, text),
        Kind::Other(message) => (message.clone(), None),
    };
    TextFault { path, span, message, suggestion }
}

fn unknown_key(path: &KeyPath, expected: &[&'static str]) -> Words {
    let key = path.last_key().unwrap_or_default();
    if is_reserved(path, key) {
        return (LATER.to_owned(), Some("remove it".to_owned()));
    }
    let what = match path.keys().next() {
        Some("rlimits") if path.0.len() == 2 => "unknown resource limit",
        _ => "unknown key",
    };
    let help = match key {
        "ociVersion" => Some("this is the form of an OCI config.json, not ours".to_owned()),
        "network" | "network_mode" | "net" if path.0.len() == 1 => Some(NETWORK.to_owned()),
        _ => near_key(key, expected).map(did_you_mean).or_else(|| belongs_to(key)),
    };
    (what.to_owned(), help)
}

/// The key that an unknown one was probably meant to be.
pub(crate) fn meant(
    root: &Node<'_>,
    positions: &[usize],
    error: &DecodeError,
) -> Option<&'static str> {
    let Kind::UnknownKey { expected } = error.kind else { return None };
    let (path, _) = root.path_to(positions);
    near_key(path.last_key()?, expected)
}

/// What other tools call a key of ours.
const OTHER_NAMES: [(&str, &str); 24] = [
    ("binds", "mounts"),
    ("cap_add", "capabilities_add"),
    ("cap_drop", "capabilities_mask"),
    ("cmd", "args"),
    ("command", "args"),
    ("cpus", "cpu_quota"),
    ("cpuset", "cpuset_cpus"),
    ("cwd", "working_dir"),
    ("dest", "destination"),
    ("dst", "destination"),
    ("entrypoint", "args"),
    ("env", "environment"),
    ("groups", "additional_groups"),
    ("ip", "address"),
    ("mac", "mac_address"),
    ("pids", "pids_max"),
    ("pids_limit", "pids_max"),
    ("readonly", "readonly_fs"),
    ("resources", "cgroups"),
    ("src", "source"),
    ("terminal", "tty"),
    ("ulimits", "rlimits"),
    ("volumes", "mounts"),
    ("workdir", "working_dir"),
];

fn near_key(key: &str, expected: &[&'static str]) -> Option<&'static str> {
    let other = OTHER_NAMES.iter().find(|(other, ours)| *other == key && expected.contains(ours));
    other.map(|(_, ours)| *ours).or_else(|| near(key, expected))
}

fn unknown_word(path: &KeyPath, word: &str, expected: &[&'static str]) -> Words {
    if is_reserved(path, word) {
        return (format!("{} is {LATER}", quoted(word)), None);
    }
    let what = match (path.keys().next(), path.last_key()) {
        (Some("namespaces"), _) => "namespace",
        (Some("capabilities" | "capabilities_add" | "capabilities_mask"), _) => "capability",
        (_, Some("parent_death_signal")) => "signal",
        (_, Some(key @ ("type" | "propagation" | "driver"))) => key,
        _ => "word",
    };
    let list = || match expected.len() <= MOST_WORDS {
        true => Some(format!("one of {}", expected.join(", "))),
        false => None,
    };
    if what == "capability" && is_all(word) {
        return (format!("unknown capability {}", quoted(word)), Some(EACH.to_owned()));
    }
    let help = namespace_file(word, what).or_else(|| near(word, expected)).map(did_you_mean);
    (format!("unknown {what} {}", quoted(word)), help.or_else(list))
}

fn is_all(word: &str) -> bool {
    word.eq_ignore_ascii_case("all")
}

/// The name of the namespace that others call `net` or `network`.
fn namespace_file(word: &str, what: &str) -> Option<&'static str> {
    let file = match word {
        "network" => "net",
        "mount" => "mnt",
        word => word,
    };
    let named = Namespace::ALL.into_iter().find(|namespace| namespace.file() == file);
    named.filter(|_| what == "namespace").map(Namespace::name)
}

/// The nearest name, whatever the kernel's prefix is.
fn near(word: &str, names: &[&'static str]) -> Option<&'static str> {
    let bare = ["CAP_", "CLONE_", "RLIMIT_", "SIG"].iter().find_map(|p| word.strip_prefix(p));
    nearest(bare.unwrap_or(word), names.iter().copied())
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean \"{name}\"?")
}

/// The object that does have this key.
fn belongs_to(key: &str) -> Option<String> {
    let object = OBJECTS.iter().find(|object| object.keys.contains(&key))?;
    Some(match object.path {
        "" => format!("\"{key}\" belongs to the outermost object"),
        path => format!("\"{key}\" is a key of {path}"),
    })
}

/// `word` is a key, or the `type`, of an object that reserves it.
fn is_reserved(path: &KeyPath, word: &str) -> bool {
    let mut keys = path.keys();
    keys.next_back();
    let above: Vec<&str> = keys.collect();
    let names = |object: &&crate::Object| object.path.replace("[]", "") == above.join(".");
    OBJECTS.iter().find(names).is_some_and(|object| object.reserved.contains(&word))
}

fn mismatch(path: &KeyPath, node: &Node<'_>, expected: &str, text: &str) -> Words {
    if path.text() == "seccomp" && matches!(node.value, Value::Object(_)) {
        let help = "write \"unconfined\" or leave the key out".to_owned();
        return (format!("an object of system call rules is {LATER}"), Some(help));
    }
    let got = got(node, text);
    let message = match (whole_number(expected), &node.value) {
        (Some((0, _)), Value::Signed(_)) => format!("must not be negative, got {got}"),
        (Some((low, high)), Value::Unsigned(_) | Value::Signed(_)) => {
            format!("must be a whole number from {low} to {high}, got {got}")
        }
        (Some(_), Value::Float(number)) if number.abs() > 1e15 => {
            format!("must be a whole number, got {got}, which is out of range")
        }
        _ => format!("must be {}, got {got}", words(expected)),
    };
    (message, suggestion(path, node, words(expected), &got))
}

fn whole_number(expected: &str) -> Option<(i64, u64)> {
    Some(match expected {
        "u32" => (0, u64::from(u32::MAX)),
        "u64" => (0, u64::MAX),
        "i32" => (i64::from(i32::MIN), 0x7fff_ffff),
        "i64" => (i64::MIN, 0x7fff_ffff_ffff_ffff),
        _ => return None,
    })
}

/// Serde's names of types, for people.
fn words(expected: &str) -> &str {
    match expected {
        "u32" | "u64" | "i32" | "i64" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        "a tuple of size 2" => "an array of a key and a value",
        "path string" => "a string",
        other => other,
    }
}

fn got(node: &Node<'_>, text: &str) -> String {
    match &node.value {
        Value::String(value) => quoted(value),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        _ => clipped(text.get(node.span.clone()).unwrap_or_default()),
    }
}

fn suggestion(path: &KeyPath, node: &Node<'_>, expected: &str, got: &str) -> Option<String> {
    match (&node.value, expected) {
        (Value::Null, _) if !path.0.is_empty() => Some("leave the key out".to_owned()),
        (Value::String(word), "true or false") if matches!(word.as_ref(), "true" | "false") => {
            Some(format!("without quotes: {word}"))
        }
        (Value::Unsigned(number @ 0..=1), "true or false") => Some(format!("use {}", *number == 1)),
        (Value::String(text), expected) if expected.contains("number") => number(path, text),
        (Value::String(word), "an array") => Some(match path.keys().next() {
            Some("args") => format!("write {}", command_line(word)),
            Some(key) if key.starts_with("capabilities") && is_all(word) => EACH.to_owned(),
            _ => format!("write [{got}]"),
        }),
        (Value::Object(_), "an array") if path.text() == "environment" => {
            Some("write [\"KEY=value\", … ]".to_owned())
        }
        (Value::Object(_), "an array") => {
            let of_objects = format!("{}[]", path.text());
            let known = OBJECTS.iter().any(|object| object.path == of_objects);
            known.then(|| "write [{ … }]".to_owned())
        }
        (Value::Unsigned(_) | Value::Signed(_), "a string") => Some(format!("write \"{got}\"")),
        (Value::Unsigned(_), "an object") if path.keys().next() == Some("rlimits") => {
            Some(format!("write {{\"soft\": {got}, \"hard\": {got}}}"))
        }
        _ => None,
    }
}

/// The words of a command line as an array; a shell's, where it takes one to tell them apart.
fn command_line(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " /._-+=:,@%".contains(c);
    let words: Vec<&str> = match text.chars().all(plain) {
        true => text.split_whitespace().collect(),
        false => vec!["sh", "-c", text],
    };
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    format!("[{}]", words.join(", "))
}

/// What a string should be where a number is expected.
fn number(path: &KeyPath, text: &str) -> Option<String> {
    let plain = text.trim();
    let (section, key) = (path.keys().next()?, path.last_key()?);
    if matches!(key, "umask" | "mode") {
        return None; // without quotes it would be another
    }
    let signed =
        section == "time_offsets" || matches!(key, "cpu_quota" | "memory_swap" | "oom_score_adj");
    if is_number(plain) && plain.parse::<i64>().is_ok_and(|number| signed || number >= 0) {
        return Some(format!("without quotes: {plain}"));
    }
    let number = match (section, key) {
        (_, "cpu_quota" | "cpu_period") => nanoseconds(text).map(|time| time / 1000),
        ("time_offsets", _) => nanoseconds(text),
        ("rlimits", _) => bytes(text),
        (_, key) if key.starts_with("memory") || key == "size" => bytes(text),
        _ => None,
    };
    number.map(|number| format!("use {number}"))
}
