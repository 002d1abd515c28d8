//! Parent: JSON as a tree that keeps positions, for texts that are faulty.
//!
//! It reads on after what it can make sense of, so that all faults are told at
//! once; whatever a fault was in is marked as dropped.

mod number;
mod parse;
mod position;
mod string;

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use number::is_number;
pub(crate) use parse::{parse, parse_along};
pub(crate) use position::{Lines, Position};

use crate::key_path::{KeyPath, Segment};

/// Deepest nesting that is read.
pub(crate) const MOST_LEVELS: usize = 64;

/// A value and the bytes of the text that it was read from.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value<'a>,
    /// Faulty: to be treated as if it were not there.
    pub(crate) dropped: bool,
}

#[derive(Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<Member<'a>>),
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node<'a>,
}

/// Something wrong at a place in the text.
#[derive(Debug)]
pub(crate) struct TextFault {
    pub(crate) path: KeyPath,
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

impl<'a> Node<'a> {
    /// Marks the node at these positions as dropped.
    pub(crate) fn drop_at(&mut self, positions: &[usize]) {
        match (positions.split_first(), &mut self.value) {
            (Some((&position, rest)), Value::Array(nodes)) if position < nodes.len() => {
                nodes[position].drop_at(rest);
            }
            (Some((&position, rest)), Value::Object(members)) if position < members.len() => {
                members[position].node.drop_at(rest);
            }
            _ => self.dropped = true,
        }
    }

    /// Gives the member at these positions another key.
    pub(crate) fn rename(&mut self, positions: &[usize], key: &'a str) {
        match (positions, &mut self.value) {
            (&[last], Value::Object(members)) if last < members.len() => {
                members[last].key = Cow::Borrowed(key);
            }
            (&[first, ref rest @ ..], Value::Object(members)) if first < members.len() => {
                members[first].node.rename(rest, key);
            }
            (&[first, ref rest @ ..], Value::Array(nodes)) if first < nodes.len() => {
                nodes[first].rename(rest, key);
            }
            _ => {}
        }
    }

    /// The node below this one at these positions, dropped ones counted.
    pub(crate) fn at(&self, positions: &[usize]) -> &Node<'a> {
        let Some((&position, rest)) = positions.split_first() else { return self };
        match &self.value {
            Value::Array(nodes) if position < nodes.len() => nodes[position].at(rest),
            Value::Object(members) if position < members.len() => members[position].node.at(rest),
            _ => self,
        }
    }

    /// True if the value at this path, or part of it, was dropped.
    pub(crate) fn has_lost(&self, path: &KeyPath) -> bool {
        let mut node = self;
        for segment in &path.0 {
            if let (Value::Object(members), Segment::Key(key)) = (&node.value, segment) {
                if members.iter().any(|member| member.node.dropped && member.key == *key) {
                    return true;
                }
            }
            let Some((next, _)) = node.child(segment) else { return false };
            node = next;
        }
        node.has_dropped()
    }

    /// True if anything in this value was dropped.
    fn has_dropped(&self) -> bool {
        self.dropped
            || match &self.value {
                Value::Array(nodes) => nodes.iter().any(Node::has_dropped),
                Value::Object(members) => members.iter().any(|member| member.node.has_dropped()),
                _ => false,
            }
    }

    /// The path of the node at these positions, and the key that leads to it.
    pub(crate) fn path_to(&self, positions: &[usize]) -> (KeyPath, Option<&Member<'a>>) {
        let (mut path, mut node, mut last) = (KeyPath::default(), self, None);
        for &position in positions {
            match &node.value {
                Value::Array(nodes) if position < nodes.len() => {
                    path = path.then(Segment::Index(position));
                    (node, last) = (&nodes[position], None);
                }
                Value::Object(members) if position < members.len() => {
                    let member = &members[position];
                    path = path.then(Segment::key(&member.key));
                    (node, last) = (&member.node, Some(member));
                }
                _ => break,
            }
        }
        (path, last)
    }

    /// The span of the value that a printed path leads to.
    pub(crate) fn named(&self, here: KeyPath, text: &str) -> Option<Range<usize>> {
        let own = here.text();
        if own == text {
            return Some(self.span.clone());
        }
        if !text.starts_with(&own) {
            return None;
        }
        match &self.value {
            Value::Array(nodes) => nodes.iter().enumerate().find_map(|(index, node)| {
                node.named(here.clone().then(Segment::Index(index)), text)
            }),
            Value::Object(members) => members.iter().find_map(|member| {
                member.node.named(here.clone().then(Segment::key(&member.key)), text)
            }),
            _ => None,
        }
    }

    /// Follows a path in the value without the dropped nodes: the node there or
    /// the nearest above it, its path in the text, and whether it is there.
    pub(crate) fn find(&self, path: &KeyPath) -> (&Node<'a>, KeyPath, bool) {
        let (mut node, mut written) = (self, KeyPath::default());
        for (depth, segment) in path.0.iter().enumerate() {
            let Some((next, step)) = node.child(segment) else {
                written.0.extend_from_slice(&path.0[depth..]);
                return (node, written, false);
            };
            (node, written) = (next, written.then(step));
        }
        (node, written, true)
    }

    /// The span of the key at the end of a path in the value.
    pub(crate) fn key_span(&self, path: &KeyPath) -> Option<Range<usize>> {
        let (Segment::Key(last), above) = path.0.split_last()? else { return None };
        let (Node { value: Value::Object(members), .. }, _, true) =
            self.find(&KeyPath(above.to_vec()))
        else {
            return None;
        };
        let member = members.iter().find(|member| member.key == *last && !member.node.dropped)?;
        Some(member.key_span.clone())
    }

    fn child(&self, segment: &Segment) -> Option<(&Node<'a>, Segment)> {
        match (&self.value, segment) {
            (Value::Array(nodes), Segment::Index(wanted)) => {
                let kept = nodes.iter().enumerate().filter(|(_, node)| !node.dropped);
                kept.skip(*wanted).map(|(index, node)| (node, Segment::Index(index))).next()
            }
            (Value::Object(members), Segment::Key(wanted)) => {
                let kept = || members.iter().filter(|member| !member.node.dropped);
                let exact = kept().find(|member| member.key == *wanted);
                let found = exact.or_else(|| kept().find(|member| same_limit(&member.key, wanted)));
                found.map(|member| (&member.node, Segment::key(&member.key)))
            }
            _ => None,
        }
    }
}

/// Resource limits may be written in two ways: `nofile` and `RLIMIT_NOFILE`.
fn same_limit(written: &str, name: &str) -> bool {
    let upper = written.to_ascii_uppercase();
    upper.strip_prefix("RLIMIT_").is_some_and(|rest| rest.eq_ignore_ascii_case(name))
}
