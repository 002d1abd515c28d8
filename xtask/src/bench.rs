//! `cargo xtask bench`: our start-up time beside other runtimes', in
//! alternating pairs, so that a machine that slows down slows both.
//!
//! Workloads and rivals are data: a row in [`rivals`] adds one. Nothing is
//! installed; what is missing is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::stats::Sample;
use crate::{Result, dist};

mod rivals;

use rivals::{Program, RIVALS, Rival, Stage, WORKLOAD};

const WARM_UP: usize = 5;
/// What `nsinit` may take of crun's time, and of private memory at its peak.
const GOAL_RATIO: f64 = 0.45;
const GOAL_KIB: u64 = 2048;
/// Marks the process that runs in a mount namespace of its own.
const INSIDE: &str = "NSINIT_BENCH_INSIDE";

struct Options {
    rounds: usize,
    json: Option<PathBuf>,
    binary: Option<PathBuf>,
}

pub(crate) fn run(arguments: &[String]) -> Result {
    let options = parse(arguments)?;
    let Some(binary) = std::env::var_os(INSIDE) else {
        let binary = options.binary.map_or_else(dist::lean, Ok)?;
        return in_own_mount_namespace(&binary, arguments);
    };
    leave_unified_hierarchy();
    mount_run_directory();
    let stage = Stage::new(Path::new(&binary))?;
    let table = measure(&stage, options.rounds)?;
    print(&table, options.rounds);
    match options.json {
        Some(path) => fs::write(&path, json(&table, options.rounds))
            .map_err(|error| format!("{}: {error}", path.display())),
        None => Ok(()),
    }
}

fn parse(arguments: &[String]) -> Result<Options> {
    let mut options = Options { rounds: 100, json: None, binary: None };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} takes a value"));
        match word.as_str() {
            "--rounds" => {
                options.rounds =
                    value()?.parse().map_err(|_| "--rounds takes a number".to_owned())?
            }
            "--json" => options.json = Some(value()?.into()),
            "--binary" => options.binary = Some(value()?.into()),
            _ => return Err(format!("unexpected argument {word:?}")),
        }
    }
    Ok(options)
}

/// Root measures in a mount namespace of its own, because one rival refuses
/// hosts with both cgroup versions, and the unified hierarchy can be hidden there.
fn in_own_mount_namespace(binary: &Path, arguments: &[String]) -> Result {
    let program = std::env::current_exe().map_err(|error| format!("own executable: {error}"))?;
    let binary =
        fs::canonicalize(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    let mut command = Command::new("unshare");
    command.arg("--mount").arg("--").arg(program).arg("bench").args(arguments).env(INSIDE, binary);
    let status = command.status().map_err(|error| format!("unshare (of util-linux): {error}"))?;
    if status.success() { Ok(()) } else { Err("not measured".to_owned()) }
}

/// Where runtimes keep their state, for all of them: a tmpfs, as on a host that was
/// booted by an init system. (Whoever measures on a disk measures its journal.)
fn mount_run_directory() {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("bench: /run stays as it is: state is kept where the host has it");
    }
}

fn leave_unified_hierarchy() {
    let hybrid = Path::new("/sys/fs/cgroup/unified");
    if hybrid.exists() {
        let unmounted = Command::new("umount").arg(hybrid).stderr(Stdio::null()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            println!("bench: {} stays mounted: a rival may refuse this host", hybrid.display());
        }
    }
}

/// One rival beside nsinit: times in microseconds.
struct Row {
    rival: &'static str,
    ours: Sample,
    theirs: Sample,
    ratios: Sample,
    memory: Option<u64>,
}

struct Table {
    rows: Vec<Row>,
    missing: Vec<String>,
    memory: Option<u64>,
}

fn measure(stage: &Stage, rounds: usize) -> Result<Table> {
    let ours = &WORKLOAD.subject;
    once(ours, stage)?;
    let mut table =
        Table { rows: Vec::new(), missing: Vec::new(), memory: peak_memory(ours, stage) };
    for rival in &RIVALS {
        if !rival.is_installed() {
            table.missing.push(format!("{} is not installed", rival.name));
            continue;
        }
        match compare(ours, rival, stage, rounds) {
            Ok(row) => table.rows.push(row),
            Err(error) => table.missing.push(error),
        }
    }
    Ok(table)
}

fn compare(ours: &Rival, rival: &Rival, stage: &Stage, rounds: usize) -> Result<Row> {
    for _ in 0..WARM_UP {
        once(ours, stage)?;
        once(rival, stage)?;
    }
    let (mut a, mut b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let (us, them) = if round % 2 == 0 {
            let us = once(ours, stage)?;
            (us, once(rival, stage)?)
        } else {
            let them = once(rival, stage)?;
            (once(ours, stage)?, them)
        };
        a.push(us);
        b.push(them);
        ratios.push(us / them);
    }
    let memory = peak_memory(rival, stage);
    Ok(Row {
        rival: rival.name,
        ours: Sample::new(a),
        theirs: Sample::new(b),
        ratios: Sample::new(ratios),
        memory,
    })
}

/// One run from start to end, in microseconds.
fn once(rival: &Rival, stage: &Stage) -> Result<f64> {
    let mut command = stage.command(rival, Program::True);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", rival.name))?;
    let status = child.wait().map_err(|error| format!("{}: {error}", rival.name))?;
    let time = start.elapsed();
    if status.success() {
        return Ok(time.as_secs_f64() * 1e6);
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        drop(std::io::Read::read_to_string(&mut stderr, &mut said));
    }
    Err(format!("{}: {status}: {}", rival.name, said.trim()))
}

/// The runtime's private memory at its peak, in KiB: what was resident at
/// most, less the pages of files, while the program runs. `None` where it
/// cannot be read.
fn peak_memory(rival: &Rival, stage: &Stage) -> Option<u64> {
    let mut command = stage.command(rival, Program::Sleep);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    std::thread::sleep(Duration::from_millis(500));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
    child.wait().ok()?;
    let status = status.ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(field("VmHWM:")?.saturating_sub(field("RssFile:")?).saturating_sub(field("RssShmem:")?))
}

fn print(table: &Table, rounds: usize) {
    println!("{}: {}; {rounds} alternating pairs each, µs", WORKLOAD.name, WORKLOAD.words);
    println!(
        "{:<10} {:>9} {:>9} {:>9} {:>9} {:>7} {:>15}",
        "", "median", "p10", "p90", "ours", "ratio", "95 %"
    );
    for Row { rival, ours, theirs, ratios, .. } in &table.rows {
        let (low, high) = ratios.median_interval();
        println!(
            "{rival:<10} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>7.3} {low:>7.3}–{high:.3}",
            theirs.median(),
            theirs.quantile(0.1),
            theirs.quantile(0.9),
            ours.median(),
            ratios.median(),
        );
    }
    table.missing.iter().for_each(|why| println!("not measured: {why}"));
    for (name, memory) in [("nsinit", table.memory)]
        .into_iter()
        .chain(table.rows.iter().map(|row| (row.rival, row.memory)))
    {
        if let Some(kib) = memory {
            println!("private peak memory: {name} {kib} KiB");
        }
    }
    for row in table.rows.iter().filter(|row| row.rival == "crun") {
        let ratio = row.ratios.median();
        println!(
            "goal: at most {GOAL_RATIO} of crun: {ratio:.3}, {}",
            verdict(ratio <= GOAL_RATIO)
        );
    }
    if let Some(kib) = table.memory {
        println!("goal: at most {GOAL_KIB} KiB: {kib} KiB, {}", verdict(kib <= GOAL_KIB));
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn json(table: &Table, rounds: usize) -> String {
    let number = |value: Option<u64>| value.map_or("null".to_owned(), |value| value.to_string());
    let rows = table.rows.iter().map(|row| {
        let (low, high) = row.ratios.median_interval();
        format!(
            "    {{\"rival\": \"{}\", \"ours_us\": {}, \"theirs_us\": {}, \"ratio\": {:.4}, \
             \"ratio_low\": {low:.4}, \"ratio_high\": {high:.4}, \"peak_private_kib\": {}}}",
            row.rival,
            spread(&row.ours),
            spread(&row.theirs),
            row.ratios.median(),
            number(row.memory),
        )
    });
    format!(
        "{{\n  \"workload\": \"{}\",\n  \"rounds\": {rounds},\n  \"peak_private_kib\": {},\n  \"rows\": [\n{}\n  ]\n}}\n",
        WORKLOAD.name,
        number(table.memory),
        rows.collect::<Vec<_>>().join(",\n"),
    )
}

fn spread(sample: &Sample) -> String {
    format!(
        "{{\"median\": {:.1}, \"p10\": {:.1}, \"p90\": {:.1}}}",
        sample.median(),
        sample.quantile(0.1),
        sample.quantile(0.9)
    )
}
