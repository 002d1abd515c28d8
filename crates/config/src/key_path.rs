//! Parent: where in a `container.json` something is.

use std::fmt::Write as _;

use crate::suggest::quoted;

/// Most segments that are printed; the format itself needs five.
const DEEPEST: usize = 8;

/// A place in the value, built on the way down without allocating.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Root,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(crate) fn key(&'a self, key: &'a str) -> At<'a> {
        At::Key(self, key)
    }

    pub(crate) fn index(&'a self, index: usize) -> At<'a> {
        At::Index(self, index)
    }

    pub(crate) fn to_path(self) -> KeyPath {
        match self {
            At::Root => KeyPath::default(),
            At::Key(above, key) => above.to_path().then(Segment::key(key)),
            At::Index(above, index) => above.to_path().then(Segment::Index(index)),
        }
    }
}

/// One step from a value to one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

impl Segment {
    pub(crate) fn key(key: &str) -> Segment {
        Segment::Key(key.to_owned())
    }
}

/// A place in the value; printed as `mounts[2].destination`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPath(pub(crate) Vec<Segment>);

impl KeyPath {
    pub(crate) fn then(mut self, segment: Segment) -> KeyPath {
        self.0.push(segment);
        self
    }

    /// The innermost key.
    pub(crate) fn last_key(&self) -> Option<&str> {
        self.keys().next_back()
    }

    /// The keys, without the indices.
    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (depth, segment) in self.0.iter().enumerate() {
            if depth == DEEPEST {
                text.push('…');
                break;
            }
            match segment {
                Segment::Index(index) => write!(text, "[{index}]"),
                Segment::Key(key) if is_plain(key) && text.is_empty() => write!(text, "{key}"),
                Segment::Key(key) if is_plain(key) => write!(text, ".{key}"),
                Segment::Key(key) => write!(text, "[{}]", quoted(key)),
            }
            .unwrap_or_default();
        }
        text
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 40
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_program_text() {
        let root = At::Root;
        let mounts = root.key("mounts");
        let path = mounts.index(2).key("destination").to_path();
        assert_eq!(path.text(), "mounts[2].destination");
        assert_eq!(path.last_key(), Some("destination"));
        let sysctl = root.key("sysctl");
        assert_eq!(sysctl.key("net.core").to_path().text(), r#"sysctl["net.core"]"#);
    }
}
