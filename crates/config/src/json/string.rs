//! Parent: strings and their escapes.

use std::borrow::Cow;

use super::Value;
use super::parse::{Parser, Stop};

impl<'a> Parser<'a, '_> {
    /// A string in double quotes, and whether it is as it should be.
    pub(super) fn string(&mut self) -> Result<(Cow<'a, str>, bool), Stop> {
        let open = self.offset;
        self.offset += 1;
        // Without an escape it is a part of the text.
        let (mut string, mut sound) = (Cow::Borrowed(""), true);
        loop {
            let rest: &'a str = &self.text[self.offset..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            string += &rest[..plain];
            self.offset += plain;
            let at = self.offset;
            match rest[plain..].chars().next() {
                Some('"') => {
                    self.offset += 1;
                    return Ok((string, sound));
                }
                Some('\\') => match self.escape() {
                    Some(c) => string.to_mut().push(c),
                    None => sound = false,
                },
                Some('\n' | '\r') | None => {
                    return Err(self.stop(open..at, "string is not closed on its line", None));
                }
                Some(c) => {
                    self.offset += 1;
                    sound = false;
                    let (message, help) = control(c);
                    self.fault(at..at + 1, message, Some(&help));
                }
            }
        }
    }

    /// What a backslash begins; `None` after a fault has been noted.
    fn escape(&mut self) -> Option<char> {
        let start = self.offset;
        let letter = self.text[start + 1..].chars().next();
        self.offset += 1 + letter.filter(|&c| c >= ' ').map_or(0, char::len_utf8);
        Some(match letter {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.code_point(start),
            _ => {
                let help = "a backslash is written \\\\";
                self.fault(start..self.offset, "unknown escape", Some(help));
                return None;
            }
        })
    }

    /// The four digits after `\u`, and a second escape after a high surrogate.
    fn code_point(&mut self, start: usize) -> Option<char> {
        let Some(unit) = self.four_digits() else {
            let message = "\\u is not followed by four hexadecimal digits";
            self.fault(start..self.offset, message, None);
            return None;
        };
        let mut code = unit;
        if (0xd800..0xdc00).contains(&unit) && self.text[self.offset..].starts_with("\\u") {
            let before = self.offset;
            self.offset += 2;
            match self.four_digits() {
                Some(low) if (0xdc00..0xe000).contains(&low) => {
                    code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                }
                _ => self.offset = before,
            }
        }
        let c = char::from_u32(code);
        if c.is_none() {
            let message = format!("lone surrogate \\u{unit:04x}");
            let help = "characters above U+FFFF are a pair of escapes, or written as they are";
            self.fault(start..self.offset, message, Some(help));
        }
        c
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.offset..self.offset + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.offset += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    /// A string as other languages write it: a fault, and skipped.
    pub(super) fn single_quotes(&mut self) -> Result<Value<'a>, Stop> {
        let start = self.offset;
        let inside = &self.text[start + 1..];
        match inside.find(['\'', '\n']).filter(|end| inside.as_bytes()[*end] == b'\'') {
            Some(end) => {
                self.offset = start + 1 + end + 1;
                self.fault(start..self.offset, "strings are in double quotes", None);
                Ok(Value::Null)
            }
            None => Err(self.stop(start..start + 1, "strings are in double quotes", None)),
        }
    }
}

fn control(c: char) -> (String, String) {
    match c {
        '\0' => ("NUL byte in a string".to_owned(), "remove it".to_owned()),
        '\t' => ("tab in a string".to_owned(), "write \\t".to_owned()),
        c => {
            let code = u32::from(c);
            (format!("control character U+{code:04X} in a string"), format!("write \\u{code:04x}"))
        }
    }
}
