//! The figures for a terminal.

use crate::report::{Comparison, Cost, Outcome, Times};

pub(crate) fn print(outcome: &Outcome) {
    println!("\n({}) {}; times in µs", outcome.letter, outcome.words);
    line(["", "pairs", "median p10–p90 cpu", "nsinit", "its share (95 %)", "KiB", "calls"]);
    for Comparison { rival, pairs, ratio, theirs, nsinit, cost, .. } in &outcome.rivals {
        let share = format!("{:.3} ({:.3}–{:.3})", ratio.median, ratio.low, ratio.high);
        let [memory, calls] = costs(cost);
        line([rival, &pairs.to_string(), &times(theirs), &times(nsinit), &share, &memory, &calls]);
    }
    let [memory, calls] = costs(&outcome.cost);
    line(["nsinit", "", &times(&outcome.nsinit), "", "", &memory, &calls]);
    outcome.missing.iter().for_each(|why| println!("not measured: {why}"));
    for mark in &outcome.marks {
        let verdict = match mark.met {
            None => "not measured",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        let figure = mark.figure.map_or_else(String::new, |figure| format!("{figure}, "));
        println!("mark: {}: {figure}{verdict}", mark.words);
    }
}

fn line([name, pairs, theirs, ours, share, memory, calls]: [&str; 7]) {
    println!("{name:<18} {pairs:>5} {theirs:>26} {ours:>26} {share:>20} {memory:>6} {calls:>6}");
}

fn times(times: &Times) -> String {
    let (wall, cpu) = (times.wall, times.cpu);
    format!("{:.0} {:.0}–{:.0} {:.0}", wall.median, wall.p10, wall.p90, cpu.median)
}

fn costs(cost: &Cost) -> [String; 2] {
    [cost.peak_private_kib, cost.system_calls]
        .map(|value| value.map_or_else(|| "-".to_owned(), |value| value.to_string()))
}
