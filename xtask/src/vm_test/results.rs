//! What a machine says through its port, read as it comes: the guest's own
//! lines, and between them what the test programs print.
//!
//! They run with one thread and without capturing, so that a test's name comes
//! before it starts and its output before its verdict: `test NAME ... OUTPUT ok`.

/// Begins the guest's own lines (`tests/guest/src/port.rs`).
const MARK: char = '\x01';

/// What became of one test.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Passed,
    /// With what it printed.
    Failed(String),
    /// With its reason.
    Skipped(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    /// `root nsinit-rootfs/kernel destinations::a_claim`
    pub(super) name: String,
    pub(super) verdict: Verdict,
}

#[derive(Default)]
pub(super) struct Results {
    /// The kernel and its security modules.
    pub(super) machine: String,
    pub(super) tests: Vec<Test>,
    /// Sentences about programs that did not do what they should.
    pub(super) faults: Vec<String>,
    /// The guest has said that nothing follows.
    pub(super) done: bool,
    line: Vec<u8>,
    program: Option<Program>,
}

/// A test program that is running.
struct Program {
    /// `root nsinit-rootfs/kernel`
    name: String,
    current: Option<(String, String)>,
    announced: Option<usize>,
    ended: usize,
    has_result: bool,
    /// The running test runs a test program, whose output looks like ours.
    in_nested: bool,
}

impl Program {
    fn take_nested(&mut self, line: &str) -> bool {
        let Some((_, output)) = &mut self.current else { return false };
        let begins = line.starts_with("running ") && line.trim_end_matches('s').ends_with(" test");
        let was_nested = self.in_nested;
        self.in_nested = begins || was_nested && !line.starts_with("test result: ");
        if begins || was_nested {
            output.push_str(line);
            output.push('\n');
        }
        begins || was_nested
    }
}

impl Results {
    /// Takes in bytes; returns the tests that are at their end, as `judged`.
    pub(super) fn take(&mut self, bytes: &[u8], judged: impl Fn(Test) -> Test) -> &[Test] {
        let before = self.tests.len();
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                self.take_line(line.trim_end_matches('\r'));
            } else {
                self.line.push(*byte);
            }
        }
        self.take_beginning();
        for test in &mut self.tests[before..] {
            *test = judged(test.clone());
        }
        &self.tests[before..]
    }

    /// The test that was started last and has not ended, with what it printed.
    pub(super) fn unfinished(&self) -> Option<(String, String)> {
        let program = self.program.as_ref()?;
        let (name, output) = program.current.as_ref()?;
        let partial = String::from_utf8_lossy(&self.line);
        Some((format!("{} {name}", program.name), format!("{output}{partial}")))
    }

    /// A test's name comes before the end of its line, and says that the one before it is over.
    fn take_beginning(&mut self) {
        let text = String::from_utf8_lossy(&self.line).into_owned();
        let in_nested = self.program.as_ref().is_none_or(|program| program.in_nested);
        if let (Some((name, rest)), false) = (test_line(&text), in_nested) {
            self.line = rest.as_bytes().to_vec();
            self.start(name, String::new());
        }
    }

    fn start(&mut self, name: &str, output: String) {
        self.judge();
        if let Some(program) = &mut self.program {
            program.current = Some((name.to_owned(), output));
        }
    }

    fn take_line(&mut self, line: &str) {
        if let Some(said) = line.strip_prefix(MARK) {
            let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
            match word {
                "machine" => rest.clone_into(&mut self.machine),
                "begin" => self.begin(rest),
                "end" => self.end(rest),
                _ => self.done |= word == "done",
            }
            return;
        }
        let Some(program) = &mut self.program else { return };
        if program.take_nested(line) {
            return;
        }
        if let Some((name, rest)) = test_line(line) {
            self.start(name, format!("{rest}\n"));
        } else if program.announced.is_none() && line.starts_with("running ") {
            program.announced = line.split(' ').nth(1).and_then(|count| count.parse().ok());
        } else if matches!(line, "failures:" | "successes:") || line.starts_with("test result: ") {
            program.has_result |= line.starts_with("test result: ");
            self.judge();
        } else if let Some((_, output)) = &mut program.current {
            output.push_str(line);
            output.push('\n');
        }
    }

    /// The end of a test is told by its last word, when the next thing begins.
    fn judge(&mut self) {
        let Some(program) = &mut self.program else { return };
        let Some((name, output)) = program.current.take() else { return };
        program.ended += 1;
        let output = output.trim_end();
        let verdict = if let Some(said) = output.strip_suffix("ok") {
            let reason = said.lines().find_map(|line| Some(line.split_once("SKIPPED: ")?.1));
            reason.map_or(Verdict::Passed, |reason| Verdict::Skipped(reason.to_owned()))
        } else if output.ends_with("ignored") {
            Verdict::Skipped("marked as ignored".to_owned())
        } else {
            Verdict::Failed(output.trim_end_matches("FAILED").trim_end().to_owned())
        };
        self.tests.push(Test { name: format!("{} {name}", program.name), verdict });
    }

    fn begin(&mut self, who_and_path: &str) {
        let name = who_and_path.replace(" /tests/", " ");
        self.program = Some(Program {
            name,
            current: None,
            announced: None,
            ended: 0,
            has_result: false,
            in_nested: false,
        });
    }

    fn end(&mut self, status: &str) {
        let unfinished = self
            .unfinished()
            .filter(|_| self.program.as_ref().is_some_and(|program| !program.has_result));
        let Some(program) = self.program.take() else { return };
        let announced = program.announced.unwrap_or(0);
        if let Some((name, output)) = unfinished {
            let missing = announced.saturating_sub(program.ended + 1);
            let verdict = Verdict::Failed(format!("{output}\nthe program ended: {status}"));
            self.tests.push(Test { name, verdict });
            if missing > 0 {
                let name = program.name;
                self.faults.push(format!("{name}: {missing} tests after it have no result"));
            }
        } else if !program.has_result || announced != program.ended {
            let Program { name, ended, .. } = program;
            let text = format!("{name}: {status}: {ended} results of {announced} tests");
            self.faults.push(text);
        }
    }
}

/// `test NAME ... REST`
fn test_line(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    (!name.contains(' ')).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Results {
        let mut results = Results::default();
        results.take(text.as_bytes(), |test| test);
        results
    }

    const HEAD: &str =
        "\n\x01machine Linux 6.1, selinux\n\n\x01begin root /tests/a/b\n\nrunning 3 tests\n";

    #[test]
    fn verdicts_come_after_output() {
        let results = read(&format!(
            "{HEAD}test one ... ok\ntest two ... SKIPPED: needs root: uid 1\nok\n\
             test m::three ... said\nok\nbut FAILED\n\nfailures:\n\nfailures:\n    m::three\n\n\
             test result: FAILED. 2 passed; 1 failed\n\n\x01end exit status: 101\n\n\x01done\n"
        ));
        let verdicts = [
            Verdict::Passed,
            Verdict::Skipped("needs root: uid 1".to_owned()),
            Verdict::Failed("said\nok\nbut".to_owned()),
        ];
        assert!(results.tests.iter().map(|test| &test.verdict).eq(&verdicts));
        assert_eq!(results.tests[2].name, "root a/b m::three");
        assert_eq!(results.faults, [""; 0]);
        assert!(results.done && results.machine == "Linux 6.1, selinux");
    }

    #[test]
    fn a_test_program_inside_a_test_is_its_output() {
        let results = read(&format!(
            "{HEAD}test one ... \nrunning 1 test\ntest one ... FAILED\n\ntest result: FAILED. 0\n\
             ok\n\ntest result: ok. 1 passed\n"
        ));
        assert_eq!(results.tests.len(), 1);
        assert_eq!(results.tests[0].verdict, Verdict::Passed);
    }

    #[test]
    fn a_program_that_dies_is_the_running_tests_failure() {
        let results = read(&format!(
            "{HEAD}test one ... said\n\n\x01end signal: 6 (SIGABRT) (core dumped)\n"
        ));
        let [Test { name, verdict: Verdict::Failed(output) }] = &results.tests[..] else {
            panic!("{:?}", results.tests);
        };
        assert_eq!(name, "root a/b one");
        assert!(output.contains("said") && output.contains("SIGABRT"), "{output}");
        assert_eq!(results.faults, ["root a/b: 2 tests after it have no result"]);
    }

    #[test]
    fn a_hang_names_the_test_that_was_started_last() {
        let results = read(&format!("{HEAD}test one ... ok\ntest two ... par"));
        assert_eq!(results.unfinished(), Some(("root a/b two".to_owned(), "par".to_owned())));
        assert!(!results.done);
    }

    #[test]
    fn fewer_results_than_tests_is_a_fault() {
        let results = read(&format!(
            "{HEAD}test one ... ok\n\ntest result: ok. 1 passed\n\n\x01end exit status: 0\n"
        ));
        assert_eq!(results.faults, ["root a/b: exit status: 0: 1 results of 3 tests"]);
    }
}
