//! Parent: what is wrong with a `container.json`, and how it is told.

use std::fmt;

use crate::suggest::is_printable;

/// Most faults that are told at once.
pub(crate) const MOST_FAULTS: usize = 20;

/// Longest part of a source line that is shown, in characters.
const WIDTH: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The key: `mounts[2].destination`; empty for the text as a whole.
    pub path: String,
    /// What is wrong: `must be absolute, got "data"`.
    pub message: String,
    /// What would help: `use 536870912`, `did you mean "hostname"?`.
    pub suggestion: Option<String>,
    /// Line in the text, from 1; `None` where there is no text.
    pub line: Option<usize>,
    /// Column in characters, from 1; `None` where there is no text.
    pub column: Option<usize>,
    pub(crate) excerpt: Option<Excerpt>,
}

impl Fault {
    /// A fault without a position.
    pub(crate) fn new(path: String, message: String, suggestion: Option<String>) -> Fault {
        Fault { path, message, suggestion, line: None, column: None, excerpt: None }
    }
}

/// A source line, or a window of a long one, and what is marked in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    text: String,
    /// Characters before the mark.
    indent: usize,
    /// Characters marked, at least 1.
    width: usize,
}

impl Excerpt {
    /// Marks `width` characters of `line` from its character `start` on.
    pub(crate) fn new(line: &str, start: usize, width: usize) -> Excerpt {
        let skip = if start + width.min(WIDTH / 2) > WIDTH { start - WIDTH / 4 } else { 0 };
        let printable = |c| if is_printable(c) { c } else { ' ' };
        let mut text: String = if skip > 0 { "…".to_owned() } else { String::new() };
        let mut rest = line.chars().skip(skip + text.chars().count());
        let room = WIDTH - text.chars().count();
        text.extend(rest.by_ref().take(room).map(printable));
        let text = text.trim_end().to_owned() + if rest.next().is_some() { "…" } else { "" };
        let indent = start - skip;
        let room = text.chars().count().saturating_sub(indent);
        Excerpt { indent, width: width.min(room).max(1), text }
    }
}

/// Everything that is wrong with a `container.json`, in the order of the text.
///
/// Printed like the messages of a compiler: place, key and message of each
/// fault, then its source line with a caret, then what would help. The last
/// line has no line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    source_name: Option<String>,
    faults: Vec<Fault>,
    more: bool,
}

impl Faults {
    /// Keeps the first [`MOST_FAULTS`].
    pub(crate) fn new(source_name: Option<String>, mut faults: Vec<Fault>) -> Faults {
        let more = faults.len() > MOST_FAULTS;
        faults.truncate(MOST_FAULTS);
        Faults { source_name, faults, more }
    }

    /// The faults, never none.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.faults.iter()
    }

    /// How many faults are told, from 1 to 20.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one")]
    pub fn len(&self) -> usize {
        self.faults.len()
    }

    /// True if there are faults beyond those that are told.
    pub fn has_more(&self) -> bool {
        self.more
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.faults.into_iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            self.write_place(f, fault)?;
            fault.fmt(f)?;
        }
        if self.more {
            write!(f, "\nthere are more faults; these are the first {MOST_FAULTS}")?;
        }
        Ok(())
    }
}

impl Faults {
    fn write_place(&self, f: &mut fmt::Formatter<'_>, fault: &Fault) -> fmt::Result {
        if let Some(name) = &self.source_name {
            write!(f, "{name}:")?;
            if let (Some(line), Some(column)) = (fault.line, fault.column) {
                write!(f, "{line}:{column}:")?;
            }
            write!(f, " ")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    /// Path and message, the source line if there is one, and the help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        let number = self.line.map(|line| line.to_string()).unwrap_or_default();
        let margin = number.len();
        if let Some(Excerpt { text, indent, width }) = &self.excerpt {
            write!(f, "\n {number} | {text}")?;
            write!(f, "\n {:margin$} | {:indent$}{}", "", "", "^".repeat(*width))?;
        }
        if let Some(help) = &self.suggestion {
            write!(f, "\n {:margin$} help: {help}", "")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
