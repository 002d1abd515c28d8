//! What the test programs print, read and added up.

use std::collections::BTreeMap;

/// How many tests passed, failed and were skipped, and why.
#[derive(Default)]
pub(crate) struct Report {
    /// What came to its end, skipped or not: the test programs do not tell these apart.
    ended: usize,
    failed: usize,
    ignored: usize,
    /// Reason → the tests that did not run for it.
    skips: BTreeMap<String, Vec<String>>,
}

impl Report {
    /// A run that did not come to its tests.
    pub(crate) fn not_run() -> Report {
        Report { failed: 1, ..Report::default() }
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.failed == 0
    }

    pub(super) fn end(&mut self) {
        self.ended += 1;
    }

    pub(super) fn fail(&mut self) {
        self.failed += 1;
    }

    /// Something that ended has said that it did not run.
    pub(super) fn skip(&mut self, test: &str, reason: &str) {
        self.skips.entry(reason.to_owned()).or_default().push(test.to_owned());
    }

    /// `N passed, N failed, N skipped`.
    pub(crate) fn summary(&self) -> String {
        let skipped: usize = self.skips.values().map(Vec::len).sum();
        let passed = self.ended.saturating_sub(skipped);
        format!("{passed} passed, {} failed, {} skipped", self.failed, skipped + self.ignored)
    }

    pub(super) fn print(&self) {
        println!();
        for (reason, tests) in &self.skips {
            println!("SKIPPED: {reason}: {}", tests.join(", "));
        }
        if self.ignored > 0 {
            println!("SKIPPED: marked as ignored: {}", self.ignored);
        }
        println!("{}", self.summary());
    }
}

/// Reads what the test programs print, and tells what of it a person wants to see: of
/// tests that passed, what they counted.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) report: Report,
    /// Inside the output of tests that passed: read for skips, not shown.
    in_successes: bool,
    /// The test whose output is being read, unless it was counted as skipped.
    current: Option<String>,
}

impl Reader {
    /// Takes in a line; returns whether to show it.
    pub(super) fn line(&mut self, line: &str) -> bool {
        let ends = line.starts_with("running ") || line.starts_with("test result: ");
        if ends || line == "failures:" {
            self.in_successes = false;
        }
        if line == "successes:" {
            self.in_successes = true;
            self.current = None;
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.count(counts);
        }
        if !self.in_successes {
            return true;
        }
        if line.starts_with("BUDGET: ") {
            return true;
        }
        if let Some(name) = line.strip_prefix("---- ") {
            self.current = name.split_whitespace().next().map(str::to_owned);
        } else if let Some((_, reason)) = line.split_once("SKIPPED: ") {
            if let Some(test) = self.current.take() {
                self.report.skip(&test, reason);
            }
        }
        false
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …`
    fn count(&mut self, counts: &str) {
        let words: Vec<&str> = counts.split([' ', ';']).filter(|word| !word.is_empty()).collect();
        let number = |what: &str| {
            let at = words.iter().position(|word| *word == what)?;
            words.get(at.checked_sub(1)?)?.parse::<usize>().ok()
        };
        self.report.ended += number("passed").unwrap_or(0);
        self.report.failed += number("failed").unwrap_or(0);
        self.report.ignored += number("ignored").unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    fn read(text: &str) -> Reader {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        reader
    }

    #[test]
    fn a_skipped_test_is_not_counted_as_passed() {
        let reader = read(
            "running 2 tests\ntest a ... ok\ntest b ... ok\n\nsuccesses:\n\n---- b stdout ----\n\
             SKIPPED: needs root: uid 1000\n\n\nsuccesses:\n    a\n    b\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(reader.report.summary(), "1 passed, 0 failed, 1 skipped");
        assert_eq!(reader.report.skips["needs root: uid 1000"], ["b"]);
    }

    #[test]
    fn failures_and_ignored_tests_are_added_up() {
        let line =
            "test result: FAILED. 1 passed; 2 failed; 3 ignored; 0 measured; 0 filtered out\n";
        let reader = read(&format!("{line}{line}"));
        assert_eq!(reader.report.summary(), "2 passed, 4 failed, 6 skipped");
    }

    #[test]
    fn the_output_of_a_test_that_passed_is_not_shown() {
        let mut reader = Reader::default();
        let lines = ["test a ... ok", "successes:", "a line of a", "failures:", "a line of b"];
        assert_eq!(lines.map(|line| reader.line(line)), [true, false, false, true, true]);
    }

    #[test]
    fn what_was_counted_is_shown() {
        let mut reader = Reader::default();
        let lines = ["successes:", "a line of a", "BUDGET: a: 3 of at most 4"];
        assert_eq!(lines.map(|line| reader.line(line)), [false, false, true]);
    }
}
