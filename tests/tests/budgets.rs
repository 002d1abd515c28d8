//! System calls of nsinit, counted and compared with `system-calls.txt`: a start that
//! grows dearer shows without a stopwatch. `NSINIT_BLESS=1` writes the file.

use std::fs;
use std::sync::{Mutex, PoisonError};

use tests::{Sandbox, require};

const BUDGETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/system-calls.txt");
/// What a machine may add that has a security module, or longer paths.
const MARGIN: u32 = 10;
/// How often a launcher waits depends on the scheduler: the least of so many counts.
const RUNS: usize = 5;

/// Masks and the like that every kernel has, so that all count the same.
const CONTAINER: &str = r#""hostname": "budget",
    "namespaces": ["NEWNS", "NEWUTS", "NEWIPC", "NEWPID", "NEWNET"],
    "masked_paths": ["/proc/interrupts", "/proc/stat", "/sys/firmware", "/sys/kernel", "/sys/fs"],
    "readonly_paths": ["/proc/fs", "/proc/sys"]"#;

fn container(more: &str) -> Sandbox {
    Sandbox::new().config(&format!("{{{CONTAINER}{more}}}"))
}

#[test]
fn a_launch_stays_within_its_budget() {
    require!(Root, NoSelinux);
    compare("launch", &counted(container("")));
}

#[test]
fn a_join_stays_within_its_budget() {
    require!(Root, NoSelinux);
    let sandbox = container("");
    let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    let sandbox = counted(sandbox);
    compare("join", &sandbox);
    first.finish().code(0);
}

#[test]
fn a_launch_with_veth_stays_within_its_budget() {
    require!(Root, Ip, NoSelinux);
    let sandbox = Sandbox::new().own_network();
    sandbox.on_host(["ip", "link", "add", "$LINKb", "type", "bridge"]);
    let networks = r#", "networks": [{"type": "veth", "address": "10.77.0.2/24",
        "context": {"bridge": "$LINKb", "prefix": "$LINK"}}]"#;
    compare("veth", &counted(sandbox.config(&format!("{{{CONTAINER}{networks}}}"))));
}

/// Every run writes what it counted.
fn counted(sandbox: Sandbox) -> Sandbox {
    sandbox.with("calls=$HOST/calls")
}

/// Counts, and compares with the lines that begin with `name`.
#[track_caller]
#[expect(clippy::print_stdout, reason = "the gate shows what was counted")]
fn compare(name: &str, sandbox: &Sandbox) {
    let counts: Vec<[u32; 2]> = (0..RUNS).map(|_| count(sandbox)).collect();
    let least = |who: usize| counts.iter().map(|count| count[who]).min().expect("runs");
    let counts = [("launcher", least(0)), ("init", least(1))];
    if std::env::var_os("NSINIT_BLESS").is_some() {
        return bless(name, counts);
    }
    let budgets = fs::read_to_string(BUDGETS).expect("it is committed");
    for (who, count) in counts {
        let budget = budgets
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} {who} "))?.parse::<u32>().ok());
        let budget = budget.unwrap_or_else(|| panic!("{BUDGETS}: no line for {name} {who}"));
        println!("BUDGET: {name}: {who}: {count} of at most {budget} system calls");
        assert!(
            count <= budget,
            "{name}: {who}: {count} system calls, at most {budget}: `strace -f nsinit exec true` \
             shows them; if they are worth it: NSINIT_BLESS=1 cargo xtask test -p tests budget"
        );
    }
}

/// Of the launcher and of init in one run.
#[track_caller]
fn count(sandbox: &Sandbox) -> [u32; 2] {
    sandbox.run(["/bin/probe", "exit", "0"]).code(0);
    let said = fs::read_to_string(sandbox.host().join("calls")).expect("the probe wrote it");
    let number = |who: &str| said.lines().find_map(|line| line.strip_prefix(who)?.parse().ok());
    ["launcher ", "init "].map(|who| number(who).unwrap_or_else(|| panic!("no {who}in {said}")))
}

/// Replaces the lines that begin with `name`.
fn bless(name: &str, counts: [(&str, u32); 2]) {
    static FILE: Mutex<()> = Mutex::new(());
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let old = fs::read_to_string(BUDGETS).expect("it is committed");
    let kept = old.lines().filter(|line| !line.starts_with(&format!("{name} ")));
    let (comments, mut budgets): (Vec<_>, Vec<_>) =
        kept.map(str::to_owned).partition(|line| line.starts_with('#'));
    budgets.extend(counts.map(|(who, count)| format!("{name} {who} {}", count + MARGIN)));
    budgets.sort();
    fs::write(
        BUDGETS,
        comments.into_iter().chain(budgets).map(|line| line + "\n").collect::<String>(),
    )
    .expect("the workspace can be written");
}
