//! Rows of the table of bad input.

use std::time::{Duration, Instant};

use nsinit_config::Container;

/// Number of the input, text, position, key, and words of the message.
pub(crate) type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// True if a text is answered within 100 ms, with some patience for a busy machine.
fn is_quick(text: &str) -> bool {
    (0..20).any(|_| {
        let started = Instant::now();
        Container::from_str(text, "c").is_err_and(|faults| !faults.to_string().is_empty())
            && started.elapsed() < Duration::from_millis(100)
    })
}

/// Loads every text, and compares its first fault.
pub(crate) fn check(rows: &[Row]) {
    for (number, text, position, path, words) in rows {
        let faults = Container::from_str(text, "c").expect_err(number);
        let message = faults.to_string();
        assert!(is_quick(text), "{number} took more than 100 ms");
        let fault = faults.iter().next().expect("a fault");
        let at = format!("{}:{}", fault.line.unwrap_or(0), fault.column.unwrap_or(0));
        assert_eq!((&*at, &*fault.path), (*position, *path), "{number}: {message}");
        for word in words.split('|') {
            assert!(message.contains(word), "{number}: no {word:?} in\n{message}");
        }
        assert_eq!(faults.len(), 1, "{number}: {message}");
    }
}
