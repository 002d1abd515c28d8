//! Parent: the second reading of a faulty text, which tells all that is wrong.

use std::ops::Range;
use std::str::Utf8Error;

use serde::Deserialize;

use crate::Container;
use crate::check::{self, Finding};
use crate::decode::{DecodeError, Kind, NodeDeserializer};
use crate::fault::{Fault, Faults, MOST_FAULTS};
use crate::json::{self, Lines, Node, TextFault, Value};
use crate::key_path::KeyPath;
use crate::mismatch;

/// All faults of `text`; `cause` is what the first reading stumbled over.
pub(crate) fn text(text: &str, name: &str, cause: &serde_json::Error) -> Faults {
    let (root, mut found) = json::parse(text);
    if let Some(mut root) = root {
        if let Some(container) = decode(&mut root, text, &mut found) {
            found.extend(placed(check::run(&container), &root));
        }
    }
    if found.is_empty() {
        found.push(unexplained(text, cause));
    }
    told(text, name, found)
}

/// What was found in a value that was read from `text`.
pub(crate) fn in_text(text: &str, name: &str, list: Vec<Finding>) -> Faults {
    let paths: Vec<&KeyPath> = list.iter().map(|finding| &finding.path).collect();
    match json::parse_along(text, &paths) {
        Some(root) => told(text, name, placed(list, &root).collect()),
        None => findings(list),
    }
}

fn told(text: &str, name: &str, mut found: Vec<TextFault>) -> Faults {
    found.sort_by_key(|fault| fault.span.start);
    let located = |fault: TextFault| locate(text, fault);
    let faults = found.into_iter().take(MOST_FAULTS + 1).map(located).collect();
    Faults::new(Some(name.to_owned()), faults)
}

/// One fault at the value that a path, as [`Fault::path`] prints it, leads to, or at
/// the nearest one above it.
pub(crate) fn at(
    text: &str,
    name: &str,
    path: &str,
    message: String,
    suggestion: Option<String>,
) -> Faults {
    let (root, _) = json::parse(text);
    let mut paths = std::iter::successors(Some(path), |path| {
        path.rfind(['.', '[']).map(|end| path.split_at(end).0)
    });
    let span = root.and_then(|root| paths.find_map(|path| root.named(KeyPath::default(), path)));
    let mut fault = Fault::new(path.to_owned(), message, suggestion);
    if let Some(span) = span {
        fault = located(text, span, fault);
    }
    Faults::new(Some(name.to_owned()), vec![fault])
}

/// Faults of a value that was not read from a text.
pub(crate) fn findings(findings: Vec<Finding>) -> Faults {
    let fault = |f: Finding| Fault::new(f.path.text(), f.message, f.suggestion);
    Faults::new(None, findings.into_iter().map(fault).collect())
}

/// Bytes that are not UTF-8: another encoding, or something broken.
pub(crate) fn not_utf8(content: &[u8], error: Utf8Error, name: &str) -> Faults {
    let offset = error.valid_up_to();
    let utf16 = content.starts_with(&[0xff, 0xfe]) || content.starts_with(&[0xfe, 0xff]);
    let (message, help) = if utf16 {
        ("is UTF-16, must be UTF-8".to_owned(), "save it as UTF-8")
    } else {
        let byte = content.get(offset).copied().unwrap_or_default();
        (format!("invalid UTF-8: byte 0x{byte:02x} at offset {offset}"), "save it as UTF-8")
    };
    let valid = std::str::from_utf8(&content[..offset]).unwrap_or_default();
    let suggestion = Some(help.to_owned());
    let fault = TextFault { path: KeyPath::default(), span: offset..offset, message, suggestion };
    Faults::new(Some(name.to_owned()), vec![locate(valid, fault)])
}

/// Decodes what can be decoded; whatever cannot is told and dropped.
fn decode(root: &mut Node<'_>, text: &str, found: &mut Vec<TextFault>) -> Option<Container> {
    while found.len() <= MOST_FAULTS && !root.dropped {
        let error = match <Container as Deserialize>::deserialize(NodeDeserializer(root)) {
            Ok(container) => return Some(container),
            Err(error) => error,
        };
        let positions: Vec<usize> = error.positions.iter().rev().copied().collect();
        if !follows_from_dropped(root, &positions, &error) {
            found.push(mismatch::tell(root, &positions, &error, text));
        }
        root.drop_at(&positions);
        if let Some(key) = mismatch::meant(root, &positions, &error) {
            // What the key that was meant lacks is no fault of its own.
            root.rename(&positions, key);
        }
    }
    None
}

/// True for a missing key that is only missing because it was dropped.
fn follows_from_dropped(root: &Node<'_>, positions: &[usize], error: &DecodeError) -> bool {
    match (&error.kind, &root.at(positions).value) {
        (Kind::MissingKey(key), Value::Object(members)) => {
            members.iter().any(|member| member.node.dropped && member.key == *key)
        }
        _ => false,
    }
}

/// Findings with their places; those that may follow from something dropped
/// are left out.
fn placed(findings: Vec<Finding>, root: &Node<'_>) -> impl Iterator<Item = TextFault> {
    let kept = findings
        .into_iter()
        .filter(|finding| !finding.because.iter().any(|path| root.has_lost(path)));
    kept.map(|Finding { path, message, suggestion, on_key, .. }| {
        let key = root.key_span(&path).filter(|_| on_key);
        let (node, path, _) = root.find(&path);
        TextFault { path, span: key.unwrap_or(node.span.clone()), message, suggestion }
    })
}

/// What only serde_json found; there should be no such thing.
fn unexplained(text: &str, cause: &serde_json::Error) -> TextFault {
    let starts = text.split_inclusive('\n').map(str::len);
    let line_start: usize = starts.take(cause.line().saturating_sub(1)).sum();
    let offset = line_start + cause.column().saturating_sub(1);
    let message = cause.to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    TextFault { path: KeyPath::default(), span: offset..offset, message, suggestion: None }
}

fn locate(text: &str, fault: TextFault) -> Fault {
    let TextFault { path, span, message, suggestion } = fault;
    located(text, span, Fault::new(path.text(), message, suggestion))
}

fn located(text: &str, span: Range<usize>, fault: Fault) -> Fault {
    let lines = Lines(text);
    let position = lines.position(span.start);
    Fault {
        line: Some(position.line),
        column: Some(position.column),
        excerpt: Some(lines.excerpt(span)),
        ..fault
    }
}
