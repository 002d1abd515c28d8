//! Parent: the reader of JSON that goes on after a fault.

use std::borrow::Cow;
use std::ops::Range;

use super::{Lines, MOST_LEVELS, Member, Node, TextFault, Value, same_limit};
use crate::fault::MOST_FAULTS;
use crate::key_path::{KeyPath, Segment};
use crate::suggest::is_printable;

/// The text makes no sense from here on; the fault has been noted.
pub(super) struct Stop;

/// Reads `text`, and tells what is wrong with it as JSON. Without a tree at
/// least one fault is told.
pub(crate) fn parse(text: &str) -> (Option<Node<'_>>, Vec<TextFault>) {
    let mut parser = Parser::new(text);
    let root = parser.document().ok();
    (root, parser.faults)
}

/// Reads `text`, which is sound, as far as these paths lead into it: what they do not lead
/// into is an empty value, at its place.
pub(crate) fn parse_along<'a>(text: &'a str, paths: &[&KeyPath]) -> Option<Node<'a>> {
    let mut parser = Parser { along: Some(paths), ..Parser::new(text) };
    parser.document().ok()
}

/// A segment of the path to what is being read, which becomes a [`Segment`] in a fault only.
enum Step<'a> {
    Key(Cow<'a, str>),
    Index(usize),
}

pub(super) struct Parser<'a, 'p> {
    pub(super) text: &'a str,
    pub(super) offset: usize,
    path: Vec<Step<'a>>,
    /// What is read in a text that is sound; `None` for all of any text.
    along: Option<&'p [&'p KeyPath]>,
    faults: Vec<TextFault>,
    comments: bool,
}

impl<'a> Parser<'a, '_> {
    pub(super) fn new(text: &'a str) -> Parser<'a, 'static> {
        let (path, faults) = (Vec::new(), Vec::new());
        Parser { text, offset: 0, path, along: None, faults, comments: false }
    }

    fn document(&mut self) -> Result<Node<'a>, Stop> {
        const MARK: &str = "\u{feff}";
        if self.text.starts_with(MARK) {
            self.offset = MARK.len();
            self.fault(0..MARK.len(), "starts with a UTF-8 byte-order mark", Some("remove it"));
        }
        self.refuse_other_formats()?;
        let root = self.value(1)?;
        self.skip_space()?;
        match self.peek() {
            None => Ok(root),
            Some(c) => {
                let what = match c {
                    '{' | '[' => "a second value".to_owned(),
                    c => self.unexpected(c),
                };
                let end = self.position(root.span.end);
                let message = format!("{what} after the end of the first value at {end}");
                Err(self.stop(self.offset..self.text.len(), message, None))
            }
        }
    }

    /// Empty files, and text that is something else than JSON.
    fn refuse_other_formats(&mut self) -> Result<(), Stop> {
        let rest = &self.text[self.offset..];
        if rest.trim().is_empty() {
            let what = if rest.is_empty() { "file is empty" } else { "file has only white space" };
            return Err(self.stop(0..0, what, Some("the shortest container.json is {}")));
        }
        let nul = |offset| rest.as_bytes().get(offset) == Some(&0);
        if [0, 1].into_iter().any(|at| nul(at) && nul(at + 2) && !nul(1 - at)) {
            let message = "is UTF-16, must be UTF-8";
            return Err(self.stop(0..2, message, Some("save it as UTF-8")));
        }
        self.skip_space()?;
        let rest = &self.text[self.offset..];
        let line = rest.lines().next().unwrap_or_default();
        let key = line.split_once(':').map(|(key, _)| key).filter(|key| is_word(key));
        if key.is_some() || line.starts_with("---") || line.starts_with("%YAML") {
            let span = self.offset..self.offset + line.len();
            return Err(self.stop(span, "looks like YAML, must be JSON", Some("start with {")));
        }
        Ok(())
    }

    fn value(&mut self, level: usize) -> Result<Node<'a>, Stop> {
        self.skip_space()?;
        let start = self.offset;
        let (value, dropped) = match self.peek() {
            Some('{' | '[') if level > MOST_LEVELS => {
                let message = format!("nested deeper than {MOST_LEVELS}");
                return Err(self.stop(start..start + 1, message, None));
            }
            Some('{' | '[') if !self.is_wanted() => (self.pass_over()?, false),
            Some('{') => (Value::Object(self.object(level)?), false),
            Some('[') => (Value::Array(self.array(level)?), false),
            Some('"') => {
                let (text, sound) = self.string()?;
                (Value::String(text), !sound)
            }
            Some('\'') => (self.single_quotes()?, true),
            Some('-' | '+' | '.' | '0'..='9') => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.word(),
            Some(c) => {
                let message = format!("expected a value, got {}", self.unexpected(c));
                return Err(self.stop(start..start + c.len_utf8(), message, None));
            }
            None => return Err(self.stop(start..start, "expected a value, got the end", None)),
        };
        Ok(Node { span: start..self.offset, value, dropped })
    }

    /// Whether something inside of what comes next is to be read.
    fn is_wanted(&self) -> bool {
        let leads_on = |path: &&KeyPath| {
            let mut both = self.path.iter().zip(&path.0);
            path.0.len() > self.path.len() && both.all(|(step, segment)| step.is(segment))
        };
        self.along.is_none_or(|paths| paths.iter().any(leads_on))
    }

    /// To the end of an object or an array that is sound.
    fn pass_over(&mut self) -> Result<Value<'a>, Stop> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (length, byte) in self.text[self.offset..].bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 1 => {
                    self.offset += length + 1;
                    return Ok(Value::Null);
                }
                b'}' | b']' => depth -= 1,
                _ => {}
            }
        }
        Err(Stop)
    }

    fn array(&mut self, level: usize) -> Result<Vec<Node<'a>>, Stop> {
        let open = self.offset;
        self.offset += 1;
        let mut nodes = Vec::new();
        loop {
            self.skip_space()?;
            if self.peek() == Some(']') && nodes.is_empty() {
                break;
            }
            self.path.push(Step::Index(nodes.len()));
            let node = self.not_at_end(open).and_then(|()| self.value(level + 1));
            self.path.pop();
            nodes.push(node?);
            if !self.another(open, ']')? {
                break;
            }
        }
        self.offset += 1;
        Ok(nodes)
    }

    fn object(&mut self, level: usize) -> Result<Vec<Member<'a>>, Stop> {
        let open = self.offset;
        self.offset += 1;
        let mut members = Vec::new();
        loop {
            self.skip_space()?;
            if self.peek() == Some('}') && members.is_empty() {
                break;
            }
            self.not_at_end(open)?;
            members.push(self.member(level)?);
            if !self.another(open, '}')? {
                break;
            }
        }
        self.offset += 1;
        self.drop_duplicates(&mut members);
        // Of many small objects the spare room would be most of the memory.
        members.shrink_to_fit();
        Ok(members)
    }

    fn member(&mut self, level: usize) -> Result<Member<'a>, Stop> {
        let start = self.offset;
        let (key, sound) = self.key()?;
        let key_span = start..self.offset;
        self.skip_space()?;
        match self.peek() {
            Some(':') => self.offset += 1,
            other => {
                let got = other.map_or("the end".to_owned(), |c| self.unexpected(c));
                let width = other.map_or(0, char::len_utf8);
                let message = format!("expected ':' after the key, got {got}");
                return Err(self.stop(self.offset..self.offset + width, message, None));
            }
        }
        self.path.push(Step::Key(key));
        let node = self.value(level + 1);
        let Some(Step::Key(key)) = self.path.pop() else { return Err(Stop) };
        let mut node = node?;
        node.dropped |= !sound;
        Ok(Member { key, key_span, node })
    }

    fn key(&mut self) -> Result<(Cow<'a, str>, bool), Stop> {
        let start = self.offset;
        match self.peek() {
            Some('"') => return self.string(),
            Some('\'') => drop(self.single_quotes()?),
            Some(c) if c.is_alphabetic() || c == '_' => {
                let rest: &'a str = &self.text[start..];
                let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
                let key: &'a str = &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())];
                self.offset += key.len();
                let help = format!("write \"{key}\"");
                self.fault(start..self.offset, "keys are in double quotes", Some(&help));
                return Ok((key.into(), true));
            }
            other => {
                let got = other.map_or("the end".to_owned(), |c| self.unexpected(c));
                let width = other.map_or(0, char::len_utf8);
                let message = format!("expected a key in double quotes, got {got}");
                return Err(self.stop(start..start + width, message, None));
            }
        }
        Ok((Cow::Borrowed(&self.text[start + 1..self.offset - 1]), false))
    }

    /// After an element: true before another one, false before `close`.
    fn another(&mut self, open: usize, close: char) -> Result<bool, Stop> {
        self.skip_space()?;
        let at = self.offset;
        match self.peek() {
            Some(',') => {
                self.offset += 1;
                self.skip_space()?;
                if self.peek() == Some(close) {
                    self.fault(at..at + 1, "trailing comma", Some("remove it"));
                    return Ok(false);
                }
                Ok(true)
            }
            Some(c) if c == close => Ok(false),
            Some('"' | '{' | '[') => {
                self.fault(at..at + 1, "missing ',' before this", None);
                Ok(true)
            }
            Some(c) => {
                let place = self.position(open);
                let opened = if close == '}' { '{' } else { '[' };
                let got = self.unexpected(c);
                let message = format!(
                    "expected ',' or '{close}' for the {opened} opened at {place}, got {got}"
                );
                Err(self.stop(at..at + c.len_utf8(), message, None))
            }
            None => self.not_at_end(open).map(|()| false),
        }
    }

    fn not_at_end(&mut self, open: usize) -> Result<(), Stop> {
        if self.peek().is_some() {
            return Ok(());
        }
        let message =
            format!("unclosed {} opened at {}", &self.text[open..=open], self.position(open));
        Err(self.stop(self.offset..self.offset, message, None))
    }

    /// Words: `true`, `false`, `null`, and what other languages have.
    fn word(&mut self) -> (Value<'a>, bool) {
        let rest = &self.text[self.offset..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = &rest[..end];
        let span = self.offset..self.offset + end;
        self.offset = span.end;
        let help = match word {
            "true" => return (Value::Bool(true), false),
            "false" => return (Value::Bool(false), false),
            "null" => return (Value::Null, false),
            "NaN" | "nan" | "Infinity" | "inf" => "JSON has only finite numbers".to_owned(),
            "None" | "nil" | "undefined" | "Null" | "NULL" => "leave the key out".to_owned(),
            "True" | "TRUE" | "yes" | "Yes" | "on" => "write true".to_owned(),
            "False" | "FALSE" | "no" | "No" | "off" => "write false".to_owned(),
            word if word.len() <= 40 => format!("write \"{word}\""),
            _ => "strings are in double quotes".to_owned(),
        };
        let message = format!("{} is not a JSON value", crate::suggest::clipped(word));
        self.fault(span, message, Some(&help));
        (Value::Null, true)
    }

    fn drop_duplicates(&mut self, members: &mut [Member<'a>]) {
        // Most objects have few keys, and no key twice.
        let twice = |(index, member): (usize, &Member<'_>)| {
            members[..index].iter().any(|earlier| earlier.key == member.key)
        };
        if members.len() <= 8 && !members.iter().enumerate().any(twice) {
            return;
        }
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|&a, &b| members[a].key.cmp(&members[b].key));
        for pair in order.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            if members[first].key != members[second].key {
                continue;
            }
            members[second].node.dropped = true;
            if self.faults.len() <= MOST_FAULTS {
                let place = self.position(members[first].key_span.start);
                self.path.push(Step::Key(members[second].key.clone()));
                let message = format!("duplicate key, already given at {place}");
                self.fault(members[second].key_span.clone(), message, Some("keep one of them"));
                self.path.pop();
            }
        }
    }

    pub(super) fn skip_space(&mut self) -> Result<(), Stop> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | b'/' | b'#') =
            self.text.as_bytes().get(self.offset)
        {
            let rest = &self.text[self.offset..];
            let spaces = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.offset += spaces;
            let rest = &rest[spaces..];
            let length = if rest.starts_with("//") || rest.starts_with('#') {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                match rest.find("*/") {
                    Some(end) => end + 2,
                    None => {
                        let span = self.offset..self.offset + 2;
                        return Err(self.stop(span, "unclosed comment", None));
                    }
                }
            } else {
                break;
            };
            if !self.comments {
                let span = self.offset..self.offset + length;
                self.fault(span, "comments are not JSON", Some("remove all comments"));
            }
            self.comments = true;
            self.offset += length;
        }
        Ok(())
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.text[self.offset..].chars().next()
    }

    /// Words for the character that is next.
    pub(super) fn unexpected(&self, c: char) -> String {
        match c {
            '\0' => "a NUL byte".to_owned(),
            '"' => "a string".to_owned(),
            c if c.is_whitespace() || !is_printable(c) => format!("U+{:04X}", u32::from(c)),
            c => format!("'{c}'"),
        }
    }

    pub(super) fn position(&self, offset: usize) -> super::Position {
        Lines(self.text).position(offset)
    }

    pub(super) fn fault(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        suggestion: Option<&str>,
    ) {
        if self.faults.len() <= MOST_FAULTS {
            let suggestion = suggestion.map(str::to_owned);
            let path = KeyPath(self.path.iter().map(Step::segment).collect());
            let message = message.into();
            self.faults.push(TextFault { path, span, message, suggestion });
        }
    }

    pub(super) fn stop(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        suggestion: Option<&str>,
    ) -> Stop {
        self.fault(span, message, suggestion);
        Stop
    }
}

impl Step<'_> {
    /// Whether a value has at this segment what the text has here.
    fn is(&self, segment: &Segment) -> bool {
        match (self, segment) {
            (Step::Key(key), Segment::Key(wanted)) => key == wanted || same_limit(key, wanted),
            (Step::Index(index), Segment::Index(wanted)) => index == wanted,
            _ => false,
        }
    }

    fn segment(&self) -> Segment {
        match self {
            Step::Key(key) => Segment::key(key),
            Step::Index(index) => Segment::Index(*index),
        }
    }
}

fn is_word(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_paths_do_not_lead_into_keeps_its_place() {
        let text = r#"{"a": [{"b": "}\"]\\"}, 1], "c": {"d": [2, {"{": "]"}], "e": 3}, "f": 4}"#;
        let path = |keys: &[&str]| KeyPath(keys.iter().map(|key| Segment::key(key)).collect());
        let wanted = path(&["c", "d"]);
        let (whole, along) = (parse(text).0.unwrap(), parse_along(text, &[&wanted]).unwrap());
        for path in [path(&["a"]), path(&["c"]), wanted, path(&["c", "e"]), path(&["f"])] {
            assert_eq!(along.find(&path).0.span, whole.find(&path).0.span, "{path:?}");
            assert_eq!(along.key_span(&path), whole.key_span(&path), "{path:?}");
        }
        assert!(matches!(along.find(&path(&["a"])).0.value, Value::Null));
        assert!(matches!(along.find(&path(&["c"])).0.value, Value::Object(_)));
    }
}
