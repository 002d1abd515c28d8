//! The figures for docs/performance.md.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::report::{Cost, Outcome, Report, Spread, Times};

const BEGIN: &str = "<!-- tables: cargo xtask bench --markdown -->\n";
const END: &str = "<!-- end of tables -->";

/// Puts the tables into a page that has the two marks.
pub(crate) fn write(report: &Report, path: &Path) -> Result {
    let error = |error: std::io::Error| format!("{}: {error}", path.display());
    let page = fs::read_to_string(path).map_err(error)?;
    let page = with_tables(&page, report);
    let page = page.ok_or_else(|| format!("{}: no {BEGIN:?} and {END:?}", path.display()))?;
    fs::write(path, page).map_err(error)
}

pub(crate) fn with_tables(page: &str, report: &Report) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", tables(report)))
}

fn tables(report: &Report) -> String {
    let mut text = String::new();
    let dates: BTreeSet<&str> = report.workloads.iter().map(|outcome| &*outcome.date).collect();
    let machine = &report.machine;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "\nMeasured on {}, on {} processors of {} with {} MiB of memory, Linux {}, cgroup {}. \
         Starting the same `true` on the host takes {} and is in every time.\n",
        dates.into_iter().collect::<Vec<_>>().join(", "),
        machine.processors,
        machine.processor,
        machine.memory_mib,
        machine.kernel,
        machine.cgroups,
        time(report.bare.median),
    );
    let rivals = report.workloads.iter().flat_map(|outcome| &outcome.rivals);
    let shown: BTreeSet<&str> = rivals.map(|rival| &*rival.rival).chain(["nsinit"]).collect();
    let versions = report.versions.iter().filter(|(name, _)| shown.contains(name.as_str()));
    let versions = versions.map(|(name, version)| format!("{name}: {version}"));
    let _ = writeln!(text, "{}.", versions.collect::<Vec<_>>().join("; "));
    for outcome in &report.workloads {
        let _ = write!(text, "\n### ({}) {}\n\n{}", outcome.letter, outcome.words, table(outcome));
    }
    text
}

fn table(outcome: &Outcome) -> String {
    let columns = [
        "",
        "median",
        "p10–p90",
        "CPU",
        "private memory",
        "system calls",
        "nsinit in the same pairs",
        "its share",
        "95 %",
    ];
    let own = costs("nsinit", &outcome.nsinit, &outcome.cost);
    let mut lines = vec![
        row(&columns.map(str::to_owned)),
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|".to_owned(),
        row(&[&own[..], &[""; 3].map(str::to_owned)].concat()),
    ];
    lines.extend(outcome.rivals.iter().map(|rival| {
        let ratio = &rival.ratio;
        let beside = [
            time(rival.nsinit.wall.median),
            format!("**{:.2}**", ratio.median),
            format!("{:.2}–{:.2}", ratio.low, ratio.high),
        ];
        row(&[&costs(&rival.rival, &rival.theirs, &rival.cost)[..], &beside].concat())
    }));
    let noted = outcome.rivals.iter().filter(|rival| !rival.note.is_empty());
    let notes = noted.map(|rival| format!("{}: {}", rival.rival, rival.note));
    let notes = notes.chain(outcome.missing.iter().map(|why| format!("not measured: {why}")));
    let notes: Vec<String> = notes.collect();
    format!("{}\n\n{}.\n", lines.join("\n"), notes.join("; "))
}

fn costs(name: &str, times: &Times, cost: &Cost) -> [String; 6] {
    let Spread { median, p10, p90 } = times.wall;
    [
        name.to_owned(),
        time(median),
        format!("{:.2}–{:.2}", p10 / 1000.0, p90 / 1000.0),
        time(times.cpu.median),
        cost.peak_private_kib.map_or_else(String::new, |kib| format!("{kib} KiB")),
        cost.system_calls.map_or_else(String::new, |calls| calls.to_string()),
    ]
}

fn row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

fn time(microseconds: f64) -> String {
    format!("{:.2} ms", microseconds / 1000.0)
}
