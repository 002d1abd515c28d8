//! Parent: what is wrong with a `container.json`, and how it is told.

use std::fmt;

use serde::Serialize;

use crate::suggest::{escaped, is_printable};

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
        Faults { source_name: source_name.map(|name| escaped(&name)), faults, more }
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

impl Faults {
    /// The same text for a terminal that shows colours. Whether there is one, and
    /// whether colours are wanted (`NO_COLOR`), is the caller's to know.
    pub fn coloured(&self) -> impl fmt::Display + '_ {
        Coloured(self)
    }

    /// For tools: an array of objects with `file`, `line`, `column`, `path`,
    /// `message` and `suggestion`; `null` where there is none.
    pub fn to_json(&self) -> String {
        let file = self.source_name.as_deref();
        let record = |fault: &Fault| {
            let Fault { path, message, suggestion, line, column, .. } = fault.clone();
            Record { file, line, column, path, message, suggestion }
        };
        let records: Vec<_> = self.faults.iter().map(record).collect();
        serde_json::to_string_pretty(&records).unwrap_or_default()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, style: &Style) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            if let Some(name) = &self.source_name {
                write!(f, "{}{name}:", style.place)?;
                if let (Some(line), Some(column)) = (fault.line, fault.column) {
                    write!(f, "{line}:{column}:")?;
                }
                write!(f, "{} ", style.end)?;
            }
            fault.write(f, style)?;
        }
        if self.more {
            write!(f, "\nthere are more faults; these are the first {MOST_FAULTS}")?;
        }
        Ok(())
    }
}

/// A fault as tools read it.
#[derive(Serialize)]
struct Record<'a> {
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    path: String,
    message: String,
    suggestion: Option<String>,
}

/// What sets the parts of a message off (ECMA-48, SGR).
struct Style {
    place: &'static str,
    margin: &'static str,
    mark: &'static str,
    help: &'static str,
    end: &'static str,
}

const PLAIN: Style = Style { place: "", margin: "", mark: "", help: "", end: "" };

const COLOURS: Style = Style {
    place: "\u{1b}[1m",
    margin: "\u{1b}[34m",
    mark: "\u{1b}[1;31m",
    help: "\u{1b}[1;36m",
    end: "\u{1b}[0m",
};

struct Coloured<'a>(&'a Faults);

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, &COLOURS)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &PLAIN)
    }
}

impl fmt::Display for Fault {
    /// Path and message, the source line if there is one, and the help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &PLAIN)
    }
}

impl Fault {
    fn write(&self, f: &mut fmt::Formatter<'_>, style: &Style) -> fmt::Result {
        let Style { place, margin, mark, help, end } = style;
        if !self.path.is_empty() {
            write!(f, "{place}{}:{end} ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        let number = self.line.map(|line| line.to_string()).unwrap_or_default();
        let space = " ".repeat(number.len());
        if let Some(Excerpt { text, indent, width }) = &self.excerpt {
            write!(f, "\n {margin}{number} |{end} {text}")?;
            let carets = "^".repeat(*width);
            write!(f, "\n {margin}{space} |{end} {:indent$}{mark}{carets}{end}", "")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "\n {space} {help}help:{end} {suggestion}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
