//! Parent: from byte offsets to lines and columns.

use std::fmt;
use std::ops::Range;

use crate::fault::Excerpt;

/// Line and column in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A text whose lines end with a line feed.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a>(pub(crate) &'a str);

impl<'a> Lines<'a> {
    pub(crate) fn position(self, offset: usize) -> Position {
        let (before, line_start) = self.before(offset);
        let line = before.matches('\n').count() + 1;
        Position { line, column: before[line_start..].chars().count() + 1 }
    }

    /// The line of `span`, with the part of `span` that is on it marked.
    pub(crate) fn excerpt(self, span: Range<usize>) -> Excerpt {
        let (before, line_start) = self.before(span.start);
        let rest = &self.0[line_start..];
        let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let start = before[line_start..].chars().count();
        let end = span.end.clamp(span.start, self.0.len());
        let marked = self.0.get(span.start..end).unwrap_or_default();
        let width = marked.split(['\n', '\r']).next().unwrap_or_default().chars().count();
        Excerpt::new(line, start, width)
    }

    /// The text before `offset`, and where the last line in it starts.
    fn before(self, offset: usize) -> (&'a str, usize) {
        let mut end = offset.min(self.0.len());
        while !self.0.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.0[..end];
        (before, before.rfind('\n').map_or(0, |feed| feed + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let lines = Lines("ä€\nxyz");
        assert_eq!(lines.position(0).to_string(), "1:1");
        assert_eq!(lines.position(5).to_string(), "1:3");
        assert_eq!(lines.position(7).to_string(), "2:2");
        assert_eq!(lines.position(99).to_string(), "2:4");
    }
}
