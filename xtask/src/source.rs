//! The sources as `tidy` reads them: code without comments and literals.

use std::fs;
use std::process::Command;

use crate::Result;
use crate::cargo::{output, root};

/// One Rust file of the repository.
pub(crate) struct RustFile {
    /// Relative to the workspace, with `/`.
    pub(crate) path: String,
    /// As written.
    pub(crate) text: String,
    /// The same number of lines, with comments and the insides of string
    /// and character literals replaced by spaces.
    pub(crate) code: String,
}

/// A function: its name, the line it starts at (from 1) and how many lines it has.
#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// Every file that is in the repository or would be with `git add`.
pub(crate) fn tracked_files() -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let mut files: Vec<String> = output(&mut command)?.lines().map(str::to_owned).collect();
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// Every Rust file of the repository.
pub(crate) fn rust_files() -> Result<Vec<RustFile>> {
    let read = |path: String| {
        let text =
            fs::read_to_string(root().join(&path)).map_err(|error| format!("{path}: {error}"))?;
        Ok(RustFile { code: code(&text), path, text })
    };
    tracked_files()?.into_iter().filter(|path| path.ends_with(".rs")).map(read).collect()
}

/// The string literals of `text`: where each begins, and what it says.
pub(crate) fn literals(text: &str) -> Vec<(usize, String)> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let length = not_code(&bytes[at..], at > 0 && is_word(bytes[at - 1]));
        if length > 0 {
            found.extend(said(&text[at..at + length]).map(|said| (at, said)));
        }
        at += length.max(1);
    }
    found
}

/// What is between the quotation marks of a literal, its escapes undone.
fn said(literal: &str) -> Option<String> {
    let (start, end) = (literal.find('"')?, literal.rfind('"')?);
    if literal.starts_with(['/', '\'']) || start == end {
        return None;
    }
    let inside = &literal[start + 1..end];
    if literal[..start].contains('r') {
        return Some(inside.to_owned());
    }
    let (mut said, mut rest) = (String::new(), inside);
    while let Some((before, escape)) = rest.split_once('\\') {
        said.push_str(before);
        rest = match escape.chars().next() {
            Some('\n') => escape.trim_start(),
            Some('n' | 't' | 'r') => {
                said.push(' ');
                &escape[1..]
            }
            Some(c) => {
                said.push(c);
                &escape[c.len_utf8()..]
            }
            None => escape,
        };
    }
    Some(said + rest)
}

/// `text` with everything blanked that is not code.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = not_code(&bytes[at..], at > 0 && is_word(bytes[at - 1]));
        if length == 0 {
            kept.push(if bytes[at].is_ascii() { char::from(bytes[at]) } else { ' ' });
            at += 1;
        } else {
            let newline = |byte: &u8| if *byte == b'\n' { '\n' } else { ' ' };
            kept.extend(bytes[at..at + length].iter().map(newline));
            at += length;
        }
    }
    kept
}

/// The length of the comment or literal that `rest` begins with, or 0.
fn not_code(rest: &[u8], in_word: bool) -> usize {
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => quoted(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string(rest),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => 1 + raw_string(&rest[1..]),
        [b'\'', b'\\', ..] => quoted(rest, b'\''),
        [b'\'', _, b'\'', ..] => 3,
        [b'\'', byte, ..] if !byte.is_ascii() => quoted(rest, b'\''),
        _ => 0,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The literal that `quote` opens and closes, with backslashes understood.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`; 0 for a raw identifier such as `r#type`.
fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let body = 2 + hashes;
    let closes = |at: &usize| {
        rest[*at] == b'"'
            && rest[at + 1..].iter().take(hashes).filter(|byte| **byte == b'#').count() == hashes
    };
    (body..rest.len()).find(closes).map_or(rest.len(), |at| at + 1 + hashes)
}

/// The functions in `code`, from the line with `fn` to the closing brace.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let rest = &code[at + 2..];
        let name: String =
            rest.trim_start().bytes().take_while(|byte| is_word(*byte)).map(char::from).collect();
        let Some(length) = body(rest) else { continue };
        let line = 1 + code[..at].matches('\n').count();
        if !name.is_empty() {
            found.push(Function { name, line, lines: 1 + rest[..length].matches('\n').count() });
        }
    }
    found
}

/// The length of a function's text to its closing brace; `None` for a
/// declaration without a body.
fn body(rest: &str) -> Option<usize> {
    let mut depth = 0;
    let mut brackets = 0;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'(' | b'[' if depth == 0 => brackets += 1,
            b')' | b']' if depth == 0 => brackets -= 1,
            b';' if depth == 0 && brackets == 0 => return None,
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at + 1),
            b'}' if depth == 0 => return None,
            b'}' => depth -= 1,
            _ => {}
        }
        if brackets < 0 {
            return None;
        }
    }
    None
}

/// Where `word` stands alone in `code`, as byte offsets.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let alone = |at: &usize| {
        let before = at.checked_sub(1).is_none_or(|before| !is_word(bytes[before]));
        before && bytes.get(at + word.len()).is_none_or(|byte| !is_word(*byte))
    };
    code.match_indices(word).map(|(at, _)| at).filter(alone).collect()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = "a /* b /* c */ */ \"d\\\" // e\" 'f' '\\'' r#\"g\"# 'life // h\ni";
        assert_eq!(code(text).split_whitespace().collect::<Vec<_>>(), ["a", "'life", "i"]);
    }

    #[test]
    fn what_literals_say_is_read() {
        let text = "f(\"a \\\"b\\\" \\\n    c\", 'd', r#\"e\"#); // \"f\"\n";
        let said: Vec<_> = literals(text).into_iter().map(|(_, said)| said).collect();
        assert_eq!(said, ["a \"b\" c", "e"]);
    }

    #[test]
    fn a_function_ends_at_its_closing_brace() {
        let text = "trait T { fn a(&self); }\nfn b<F: Fn(u8) -> u8>(f: F)\n{\n  if x { y }\n}\n";
        assert_eq!(functions(text), [Function { name: "b".into(), line: 2, lines: 4 }]);
    }

    #[test]
    fn a_type_of_functions_is_not_a_function() {
        assert_eq!(functions("struct S { f: fn(u8) -> u8, g: fn() }"), []);
    }

    #[test]
    fn a_word_is_found_alone_only() {
        assert_eq!(words("unsafe_code unsafe { }", "unsafe"), [12]);
    }
}
