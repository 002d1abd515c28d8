//! Parent: words for messages: what was probably meant, and what was got.

use std::cmp::Reverse;
use std::fmt::Write as _;

/// Longest piece of input that a message repeats, in characters.
const LONGEST_QUOTE: usize = 60;

/// `text` in quotes on one line: clipped, and without control characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut quote = String::from("\"");
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST_QUOTE {
            quote.push('…');
            break;
        }
        match c {
            '"' | '\\' => quote.extend(['\\', c]),
            '\n' => quote.push_str("\\n"),
            '\t' => quote.push_str("\\t"),
            c if is_printable(c) => quote.push(c),
            c => write!(quote, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default(),
        }
    }
    quote.push('"');
    quote
}

/// `text` without quotes; clipped.
pub(crate) fn clipped(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// `text` on one line, whole.
pub(crate) fn escaped(text: &str) -> String {
    let escape = |c: char| if is_printable(c) { c.into() } else { c.escape_unicode().to_string() };
    text.chars().map(escape).collect()
}

/// False for what would move a terminal's cursor or reverse its text.
pub(crate) fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The nearest of `names`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let limit = match word.len() {
        0..=3 => 1,
        4..=8 => 2,
        _ => 3,
    };
    let near = |name: &'a str| {
        let lower = name.to_ascii_lowercase();
        (distance(&word, &lower), Reverse(shared_ends(&word, &lower)), name)
    };
    let best = names.into_iter().map(near).min_by_key(|near| (near.0, near.1))?;
    (best.0 <= limit && best.0 < word.chars().count()).then_some(best.2)
}

/// Letters that both begin or end with: among equally distant names, one that
/// only lacks a letter is nearer than one with another letter.
fn shared_ends(a: &str, b: &str) -> usize {
    let start = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let end = a.bytes().rev().zip(b.bytes().rev()).take_while(|(x, y)| x == y).count();
    start + end
}

/// Number of letters to insert, delete, replace or swap with their neighbour
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

/// The number of bytes that `"512m"` or `"1.5 GiB"` means to most people.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    scaled(text, |unit| {
        Some(match unit {
            "" | "b" => 1,
            "k" | "kb" | "ki" | "kib" => 1 << 10,
            "m" | "mb" | "mi" | "mib" => 1 << 20,
            "g" | "gb" | "gi" | "gib" => 1 << 30,
            "t" | "tb" | "ti" | "tib" => 1 << 40,
            _ => return None,
        })
    })
}

/// The number of nanoseconds that `"50ms"` or `"1.5 h"` means.
pub(crate) fn nanoseconds(text: &str) -> Option<u64> {
    scaled(text, |unit| {
        Some(match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" | "sec" => 1_000_000_000,
            "m" | "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        })
    })
}

/// A number and a unit, with at most six digits after a point.
fn scaled(text: &str, unit: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let factor = unit(rest.trim())?;
    let Some((whole, fraction)) = number.split_once('.') else {
        return number.parse::<u64>().ok()?.checked_mul(factor);
    };
    let divisor = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    if divisor > 1_000_000 {
        return None;
    }
    Some(format!("{whole}{fraction}").parse::<u64>().ok()?.checked_mul(factor)? / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let names = ["hostname", "domainname", "tty", "user"];
        for word in ["hostnme", "Hostname", "hsotname", "host_name"] {
            assert_eq!(nearest(word, names), Some("hostname"), "{word}");
        }
        for word in ["", "x", "kernel", "hos", &"h".repeat(1000)] {
            assert_eq!(nearest(word, names), None, "{word}");
        }
        assert_eq!(nearest("NEWNT", ["NEWNS", "NEWNET"]), Some("NEWNET"));
    }

    #[test]
    fn sizes_are_understood_as_powers_of_two() {
        assert_eq!(bytes("512m"), Some(536_870_912));
        assert_eq!(bytes("1.5 GiB"), Some(1_610_612_736));
        assert_eq!(bytes("64KB"), Some(65536));
        for text in ["", "m", "1.2.3g", "12 apples", "99999999999999999999t", "99999999999t"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_understood() {
        assert_eq!(nanoseconds("50ms"), Some(50_000_000));
        assert_eq!(nanoseconds("1.5 h"), Some(5_400_000_000_000));
        assert_eq!((nanoseconds("5"), nanoseconds("99999999999h")), (None, None));
    }

    #[test]
    fn quotes_are_one_clean_line() {
        assert_eq!(quoted("a\"b\n\u{1b}[2J\u{202e}"), r#""a\"b\n\u{1b}[2J\u{202e}""#);
        assert_eq!(quoted(&"x".repeat(99)).chars().count(), 63);
    }
}
