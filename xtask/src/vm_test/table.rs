//! What a cell came to, and all of them in a table.

use std::time::Duration;

use super::matrix::Cell;

/// How a cell went.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) cell: String,
    pub(super) state: State,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// The machine ran.
    Ran {
        passed: usize,
        /// Tests, and whatever else went wrong.
        failed: usize,
        skipped: usize,
        /// The names of those tests, and sentences about the rest.
        faults: Vec<String>,
        time: Duration,
    },
    /// There was no machine, and why.
    NotMade(String),
}

impl Outcome {
    pub(super) fn not_made(cell: &Cell, reason: &str) -> Outcome {
        Outcome { cell: cell.name.to_owned(), state: State::NotMade(reason.to_owned()) }
    }
}

/// The table, and the line with the sums.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let width = outcomes.iter().map(|outcome| outcome.cell.len()).max().unwrap_or(0).max(4);
    let mut text = format!(
        "{:<width$}  {:>6} {:>6} {:>7} {:>7}\n",
        "cell", "passed", "failed", "skipped", "time"
    );
    let mut sums = [0; 3];
    for Outcome { cell, state } in outcomes {
        match state {
            State::Ran { passed, failed, skipped, faults, time } => {
                let seconds = time.as_secs_f64();
                text.push_str(&format!(
                    "{cell:<width$}  {passed:>6} {failed:>6} {skipped:>7} {seconds:>5.1} s\n"
                ));
                faults.iter().for_each(|fault| text.push_str(&format!("{:width$}  {fault}\n", "")));
                sums = [sums[0] + passed, sums[1] + failed, sums[2] + skipped];
            }
            State::NotMade(reason) => {
                text.push_str(&format!("{cell:<width$}  SKIPPED: {reason}\n"))
            }
        }
    }
    let [passed, failed, skipped] = sums;
    text.push_str(&format!("{passed} passed, {failed} failed, {skipped} skipped\n"));
    text
}
