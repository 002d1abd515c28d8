//! Part of `cargo xtask tidy`: docs/errors.md has every message that nsinit can print.
//!
//! A section of the page names the files whose messages it explains:
//! `<!-- says: crates/rootfs/src -->`. Every text of several words in these files has to
//! be in it, piece by piece where there are placeholders, and so has every variant of an
//! error. A file of the crates that no section names, and that is not listed here as one
//! that tells no errors, is a breach.

use std::collections::BTreeSet;
use std::fs;

use crate::Result;
use crate::cargo::root;
use crate::source::{RustFile, literals, words};

pub(crate) const PAGE: &str = "docs/errors.md";

/// What these say is help, a plan, a summary or an answer of `nsinit doctor`.
const SILENT: [&str; 9] = [
    "crates/nsinit/src/bin",
    "crates/nsinit/src/builtin",
    "crates/nsinit/src/doctor",
    "crates/nsinit/src/journal.rs",
    "crates/nsinit/src/plan",
    "crates/nsinit/src/trace.rs",
    "crates/nsinit/src/trace/chrome.rs",
    "crates/nsinit/src/trace/summary.rs",
    "crates/network/src/interface.rs",
];
/// What stands before a text that is compared, or for readers of the code.
const NOT_TOLD: [&str; 11] = [
    "reason =",
    "must_use =",
    "expect(",
    "find(",
    "strip_prefix(",
    "journal.done(||",
    "journal.event(format_args!(",
    "EXAMPLES: &str =",
    "GLOBAL: &str =",
    ".split(",
    "CARGO_PKG_VERSION\"),",
];
/// Enums whose variants are errors, or parts of one.
const ENUMS: [&str; 5] = ["Error", "Reason", "Fault", "Naming", "Denier"];

/// What a text begins or ends with between placeholders.
const PAUSES: [char; 5] = [' ', ',', ':', ';', '.'];

/// A section of the page: the files that it is about, and its text in one line.
struct Section {
    files: Vec<String>,
    text: String,
}

/// What is not on the page: file and text.
pub(crate) fn undocumented(files: &[RustFile]) -> Result<BTreeSet<(String, String)>> {
    let page = fs::read_to_string(root().join(PAGE)).map_err(|error| format!("{PAGE}: {error}"))?;
    let sections: Vec<_> = page.split("\n## ").map(section).collect();
    let mut missing = BTreeSet::new();
    for file in files.iter().filter(|file| tells(&file.path)) {
        let own = section_of(&sections, &file.path);
        for piece in pieces(file).chain(variants(file)) {
            if own.is_none_or(|section| !section.text.contains(&piece)) {
                missing.insert((file.path.clone(), piece));
            }
        }
    }
    Ok(missing)
}

/// The sources of a library or of the command, without their tests.
fn tells(path: &str) -> bool {
    let source = path.starts_with("crates/") && path.contains("/src/");
    source && !path.ends_with("tests.rs") && !SILENT.iter().any(|silent| path.starts_with(silent))
}

fn section(text: &str) -> Section {
    let named = text.split("<!-- says: ").nth(1).and_then(|rest| rest.split(" -->").next());
    let files = named.into_iter().flat_map(str::split_whitespace).map(str::to_owned).collect();
    Section { files, text: one_line(&text.replace("\\|", "|")) }
}

/// The section that names the file, or the nearest directory of it.
fn section_of<'a>(sections: &'a [Section], path: &str) -> Option<&'a Section> {
    let longest = |section: &Section| {
        let named = section.files.iter().filter(|name| path.starts_with(*name));
        named.map(String::len).max()
    };
    sections.iter().filter(|section| longest(section).is_some()).max_by_key(|one| longest(one))
}

/// The parts of a file's texts between placeholders that have more than one word.
fn pieces(file: &RustFile) -> impl Iterator<Item = String> {
    let end = file.text.find("#[cfg(test)]\nmod ").unwrap_or(file.text.len());
    let told = literals(&file.text[..end]).into_iter().filter(|(at, _)| {
        let before = file.text[..*at].trim_end();
        !NOT_TOLD.iter().any(|no| before.ends_with(no)) && !is_pattern(&file.code, *at)
    });
    told.flat_map(|(_, text)| {
        let text = text.replace("{{", "(").replace("}}", ")");
        let parts = text.split('{').flat_map(|part| part.split('}').next_back());
        let pieces = parts.map(one_line).filter(|part| is_message(part));
        pieces.map(|part| part.trim_matches(PAUSES).to_owned()).collect::<Vec<_>>()
    })
}

/// Whether the literal there is what something is matched with.
fn is_pattern(code: &str, at: usize) -> bool {
    let after = code[at..].trim_start();
    after.starts_with("=>") || after.starts_with('|')
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Two words, one after the other, and not the first line of a file.
fn is_message(part: &str) -> bool {
    let is_word = |word: &str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_lowercase());
    let words: Vec<_> = part.split(' ').map(|word| word.trim_matches(PAUSES)).collect();
    !part.starts_with("# ") && words.windows(2).any(|pair| pair.iter().all(|word| is_word(word)))
}

/// The variants of the file's errors, as the page names them.
fn variants(file: &RustFile) -> impl Iterator<Item = String> {
    let bodies = ENUMS.iter().filter_map(|name| {
        let start = words(&file.code, name)
            .into_iter()
            .find(|at| file.code[..*at].ends_with("pub enum "))?;
        file.code[start..].split("\n}").next()
    });
    let lines = bodies.flat_map(str::lines).filter_map(|line| line.strip_prefix("    "));
    let named = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    named.map(|line| {
        let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
        format!("`{name}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source;

    fn file(text: &str) -> RustFile {
        RustFile { path: "crates/x/src/y.rs".into(), text: text.into(), code: source::code(text) }
    }

    #[test]
    fn messages_are_found_piece_by_piece() {
        let text = "f(\"{}: is not \\\n   a {kind} of file\"); // \"in a comment\"\n\
                    g(\"memory.max\"); x.expect(\"not told\");\n#[cfg(test)]\nmod t { h(\"a test's text\") }";
        assert_eq!(pieces(&file(text)).collect::<Vec<_>>(), ["is not a", "of file"]);
    }

    #[test]
    fn variants_are_found() {
        let text = "pub enum Error {\n    /// x\n    One(u8),\n    Two {\n        Three: u8,\n    },\n}\nenum Fault {\n    No,\n}\n";
        assert_eq!(variants(&file(text)).collect::<Vec<_>>(), ["`One`", "`Two`"]);
    }

    #[test]
    fn the_nearest_section_explains_a_file() {
        let sections =
            ["a\n<!-- says: crates/x -->", "b\n<!-- says: crates/x/src/y.rs -->"].map(section);
        assert!(
            section_of(&sections, "crates/x/src/y.rs")
                .is_some_and(|found| found.text.starts_with('b'))
        );
        assert!(section_of(&sections, "crates/z/src/y.rs").is_none());
    }
}
