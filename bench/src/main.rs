//! The benchmark: nsinit beside other runtimes and beside the floor, in alternating
//! pairs, so that a machine that slows down slows both. `cargo xtask bench` builds what
//! it needs and starts it.
//!
//! Workloads, rivals and what is asked of the figures are data, in `workloads` and
//! `rivals`. Nothing is installed; what is missing is said.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it says is its work")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use measure::Bench;
use options::Options;
use report::{Machine, Report};
use rivals::{RIVALS, SUBJECT};
use workloads::WORKLOADS;

mod guard;
mod markdown;
mod measure;
mod options;
mod order;
mod report;
mod rivals;
mod run;
mod scene;
mod stats;
mod svg;
#[expect(unsafe_code, reason = "system calls that rustix lacks")]
mod sys;
mod table;
mod workloads;

/// What everything returns: a sentence on failure.
type Result<T = ()> = std::result::Result<T, String>;

const ROUNDS: usize = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word] = &arguments[..] {
        if matches!(word.as_str(), "help" | "-h" | "--help") {
            print!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result {
    let options = Options::parse(arguments)?;
    if let Some(stage) = guard::stage() {
        return measured(&stage, options);
    }
    if options.order.is_some() {
        return guard::supervise(arguments, |_| Ok(()));
    }
    let report = match options.from.is_empty() {
        true => guard::supervise(arguments, |stage| Report::read(&[figures(stage)]))?,
        false => {
            let report = Report::read(&options.from)?;
            report.workloads.iter().for_each(table::print);
            report
        }
    };
    if let Some(path) = &options.json {
        report.write(path)?;
    }
    if let Some(path) = &options.svg {
        svg::write(&report, path)?;
    }
    if let Some(path) = &options.markdown {
        markdown::write(&report, path)?;
    }
    Ok(())
}

/// Where the second process leaves what it found.
fn figures(stage: &Path) -> PathBuf {
    stage.join("figures.json")
}

/// In the second process: everything but the files that the caller asked for.
fn measured(stage: &Path, options: Options) -> Result {
    guard::isolate(stage)?;
    let binary = options.binary.ok_or("--binary is missing")?;
    let bench = Bench {
        stage: stage.to_owned(),
        nsinit: absolute(&binary)?,
        floor: absolute(&options.floor.ok_or("--floor is missing")?)?,
        cgroup: guard::cgroup(stage),
        strace: rivals::find("strace"),
        rounds: options.rounds.unwrap_or(ROUNDS),
        rivals: options.rivals,
    };
    if let Some(path) = &options.order {
        return order::write(&bench, path);
    }
    if bench.strace.is_none() {
        println!("not counted: system calls: strace is not installed");
    }
    let bare = bench.bare(&WORKLOADS[0])?;
    println!("`true` on the host, which is in every time: {:.0} µs", bare.median);
    let mut report = Report {
        machine: Machine::this(),
        bare,
        versions: versions(&bench),
        workloads: Vec::new(),
    };
    let chosen = |letter| options.workloads.is_empty() || options.workloads.contains(&letter);
    for workload in WORKLOADS.iter().filter(|workload| chosen(workload.letter)) {
        let bridge = if workload.network { guard::make_bridge() } else { Ok(()) };
        if let Err(why) = bridge {
            println!("\n({}) {}: not measured: {why}", workload.letter, workload.words);
            continue;
        }
        let outcome = bench.measure(workload)?;
        table::print(&outcome);
        report.workloads.push(outcome);
    }
    report.write(&figures(stage))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))
}

fn versions(bench: &Bench) -> BTreeMap<String, String> {
    let all = RIVALS.iter().chain([&SUBJECT]);
    all.filter_map(|rival| Some((rival.name.to_owned(), rival.version(&bench.nsinit)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::{markdown, report::Report, svg};

    fn document(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
    }

    #[test]
    fn the_page_and_its_picture_show_the_figures() {
        let report = Report::read(&[document("performance.json")]).unwrap();
        let page = fs::read_to_string(document("performance.md")).unwrap();
        assert_eq!(markdown::with_tables(&page, &report).as_deref(), Some(&*page));
        let picture = fs::read_to_string(document("performance.svg")).unwrap();
        assert_eq!(svg::draw(&report), picture);
    }
}
