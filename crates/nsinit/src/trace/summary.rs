//! Parent: a trace on one screen.

use std::path::Path;
use std::time::Duration;

use super::{Done, Init, Trace};
use crate::error::printable;

/// A terminal's lines and columns.
const SCREEN: (usize, usize) = (24, 80);

/// Phases of the launcher, and the longest steps of init.
pub(super) fn text(trace: &Trace, file: &Path) -> String {
    let mut lines = vec!["     ms  launcher".to_owned()];
    let mut start = trace.start;
    for (name, end) in trace.launcher.borrow().iter() {
        lines.push(line(end.saturating_sub(start), name));
        start = *end;
    }
    if let Some((_, end)) = trace.failure.get() {
        lines.push(line(end.saturating_sub(start), "fail, and find out why"));
    }
    if let Some(init) = &*trace.init.borrow() {
        of_init(init, &mut lines);
    }
    let lines = lines.iter().map(|line| clipped(line));
    std::iter::once(head(trace, file)).chain(lines).map(|line| line + "\n").collect()
}

fn head(trace: &Trace, file: &Path) -> String {
    let until = |end: Duration| milliseconds(end.saturating_sub(trace.start));
    let what = match (trace.executed.get(), trace.failure.get()) {
        (Some(end), _) => format!("the program ran after {} ms", until(end)),
        (None, Some((_, end))) => format!("failed after {} ms", until(*end)),
        (None, None) => "no program ran".to_owned(),
    };
    printable(&format!("nsinit: {what}; every step is in {}", file.display()))
}

fn of_init(init: &Init, lines: &mut Vec<String>) {
    let steps = init.steps();
    let mut done: Vec<(Duration, &Done<'_>)> = steps
        .iter()
        .filter_map(|step| Some((step.end?.saturating_sub(step.start), step)))
        .collect();
    let total: Duration = done.iter().map(|(spent, _)| *spent).sum();
    let of = match steps.iter().find(|step| step.end.is_none()) {
        Some(Done { number, name, .. }) => format!("step {number} was not done: {name}"),
        None => format!("{} steps, the longest:", done.len()),
    };
    lines.push(line(total, &format!("init: {of}")));
    done.sort_by_key(|(spent, step)| (std::cmp::Reverse(*spent), step.number));
    let room = SCREEN.0.saturating_sub(lines.len() + 2).clamp(3, 8);
    for (spent, Done { number, name, .. }) in done.iter().take(room) {
        lines.push(line(*spent, &format!("{number:3}  {name}")));
    }
}

fn line(spent: Duration, name: &str) -> String {
    format!("{:>7}  {name}", milliseconds(spent))
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

fn clipped(line: &str) -> String {
    let line = printable(line);
    match line.char_indices().nth(SCREEN.1) {
        None => line,
        Some(_) => line.chars().take(SCREEN.1 - 1).chain(['…']).collect(),
    }
}
