//! Parent: numbers, and what is nearly one.

use super::Value;
use super::parse::Parser;
use crate::suggest::{bytes, clipped};

impl<'a> Parser<'a, '_> {
    /// A number, and whether it has to be dropped.
    pub(super) fn number(&mut self) -> (Value<'a>, bool) {
        let rest = &self.text[self.offset..];
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        let text = &rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())];
        let span = self.offset..self.offset + text.len();
        self.offset = span.end;
        if !is_number(text) {
            let (message, help) = not_a_number(text);
            self.fault(span, message, help.as_deref());
            return (Value::Null, true);
        }
        match value(text) {
            Some(value) => (value, false),
            None => {
                self.fault(span, format!("number out of range, got {}", clipped(text)), None);
                (Value::Null, true)
            }
        }
    }
}

/// The value of a well-formed number, as serde_json would have it.
fn value(text: &str) -> Option<Value<'_>> {
    if let Ok(number) = text.parse() {
        return Some(Value::Unsigned(number));
    }
    match text.parse() {
        Ok(number) if number != 0 => return Some(Value::Signed(number)),
        _ => {}
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float)
}

/// RFC 8259, section 6.
pub(crate) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|text| is_digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn not_a_number(text: &str) -> (String, Option<String>) {
    let digits = text.trim_start_matches(['+', '-']);
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        let number = u64::from_str_radix(hexadecimal, 16).ok().filter(|_| digits == text);
        let help = number.map(|number| format!("use {number}"));
        return ("hexadecimal numbers are not JSON".to_owned(), help);
    }
    if is_digits(digits) && digits.starts_with('0') {
        let octal = u32::from_str_radix(digits, 8).is_ok();
        let help = octal.then(|| format!("octal modes are strings: \"{}\"", clipped(digits)));
        return ("numbers have no leading zero".to_owned(), help);
    }
    if text.starts_with('+') && is_number(digits) {
        return ("numbers have no plus sign".to_owned(), Some(format!("use {}", clipped(digits))));
    }
    if matches!(digits, "Infinity" | "NaN") {
        let help = "JSON has only finite numbers".to_owned();
        return (format!("{text} is not a JSON value"), Some(help));
    }
    let help = bytes(text).map(|bytes| format!("use {bytes}"));
    (format!("{} is not a number", clipped(text)), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_numbers_are_numbers() {
        for text in ["0", "-0", "10", "-1.5", "1e5", "0.0E-7", "1E+2"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "+1", "01", ".5", "1.", "1e", "1e+", "0x1", "1_0", "--1", "1.2.3"] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn what_is_nearly_a_number_is_told() {
        let help = |text| not_a_number(text).1.unwrap_or_default();
        assert_eq!(help("0x10"), "use 16");
        assert_eq!(help("0644"), "octal modes are strings: \"0644\"");
        assert_eq!(help("512m"), "use 536870912");
        assert_eq!(help("1_000"), "");
    }
}
