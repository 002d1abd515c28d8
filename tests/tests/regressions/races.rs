//! Launchers that are killed at any point, and commands that meet.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::{Running, Sandbox, require};

const LIVES: [&str; 5] = ["probe", "ready", ",", "sleep", "100"];

/// What who joins is told when the container ends.
const ENDED: &str = "nsinit: the container has ended, as its first program did\n";

/// How long a container takes until its program runs.
fn time_to_start(sandbox: &Sandbox) -> Duration {
    let start = Instant::now();
    let run = sandbox.start(LIVES).until("ready");
    let time = start.elapsed();
    run.signal(Signal::KILL);
    run.finish().killed_by(9);
    sandbox.run(["probe", "exit", "0"]).code(0);
    time
}

/// `count` points of time that cover a duration evenly, in no particular order.
fn points(count: u32, duration: Duration) -> impl Iterator<Item = Duration> {
    (0..count).map(move |index| duration.mul_f64((f64::from(index) * 0.618_034).fract()))
}

/// Waits without giving up the processor: what is aimed at is a fraction of a millisecond.
fn wait(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Kills the launcher; its container ends with it.
#[track_caller]
fn kill(run: Running) {
    run.signal(Signal::KILL);
    run.finish_within(Duration::from_secs(1)).killed_by(9);
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid is positive");
    // It may have ended.
    let _ = kill_process(pid, signal);
}

#[track_caller]
fn works(sandbox: &Sandbox) {
    let next = sandbox.start(["probe", "exit", "0"]);
    next.finish_within(Duration::from_secs(5)).code(0).stderr("");
}

#[test]
fn init_does_not_outlive_a_launcher_that_is_killed_early() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        for delay in points(40, Duration::from_millis(8)) {
            let run = sandbox.start(LIVES);
            wait(delay);
            kill(run);
            sandbox.assert_no_process();
            works(&sandbox);
        }
    }
}

#[test]
fn init_does_not_outlive_a_launcher_that_is_killed_while_it_stands_still() {
    // Stopped as soon as it is there, mostly before it asks to die with the launcher.
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        for _ in 0..40 {
            let run = sandbox.start(LIVES);
            let init = loop {
                if let Some(init) = run.children().first() {
                    break *init;
                }
            };
            signal(init, Signal::STOP);
            run.signal(Signal::KILL);
            signal(init, Signal::CONT);
            run.finish_within(Duration::from_secs(1)).killed_by(9);
            sandbox.assert_no_process();
            works(&sandbox);
        }
    }
}

#[test]
fn a_joining_process_does_not_outlive_its_launcher() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        for delay in points(40, Duration::from_millis(16)) {
            let joining = sandbox.start(LIVES);
            wait(delay);
            kill(joining);
            works(&sandbox);
        }
        first.finish().code(0);
    }
}

#[test]
fn concurrent_commands_never_have_two_containers() {
    require!(Container);
    let sandbox = Sandbox::new();
    let deadline = Instant::now() + Duration::from_secs(4);
    let commander = |number: u32| {
        let mut lives = Vec::new();
        let none_lives = number % 3 == 0;
        while Instant::now() < deadline || !none_lives && lives.len() < 2 {
            lives.extend(one_command(&sandbox, number));
        }
        lives
    };
    let mut lives: Vec<Life> = std::thread::scope(|scope| {
        let commanders: Vec<_> =
            (0..12).map(|number| scope.spawn(move || commander(number))).collect();
        commanders.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    lives.sort_by_key(|life| life.start);
    let mut last: Option<&Life> = None;
    for life in &lives {
        if let Some(last) = last {
            let apart = life.start > last.end || life.namespace == last.namespace;
            assert!(apart, "two containers at the same time: {last:?} {life:?}");
        }
        last = last.filter(|last| last.end > life.end).or(Some(life));
    }
    assert!(lives.len() > 12, "too few programs have run: {lives:?}");
}

/// A program's PID namespace, and its time in it.
#[derive(Debug)]
struct Life {
    namespace: String,
    start: i64,
    end: i64,
}

/// A third of the commands ask for a program that is not there.
#[track_caller]
fn one_command(sandbox: &Sandbox, number: u32) -> Option<Life> {
    if number % 3 == 0 {
        let outcome = sandbox.run(["nowhere"]);
        // A joining process may be in the container already when that ends.
        if outcome.code_or_signal() != 137 {
            outcome.code(127).stderr_has("nowhere: executable file not found");
        }
        return None;
    }
    let seconds = if number % 3 == 1 { "0.001" } else { "0.03" };
    let outcome = sandbox.run(["probe", "alive", seconds]);
    let out = outcome.out();
    let words: Vec<&str> = out.split_whitespace().collect();
    // The container ends with its first program, and all others with it.
    if outcome.code_or_signal() == 137 {
        outcome.stderr(ENDED);
    } else {
        outcome.code(0).stderr("");
    }
    let time = |index: usize| words.get(index).and_then(|text| text.parse().ok());
    let start = time(1)?;
    Some(Life { namespace: words[0].to_owned(), start, end: time(2).unwrap_or(start) })
}

#[test]
fn a_killed_launcher_leaves_no_file_in_a_root_filesystem() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let whole = time_to_start(&sandbox);
        for delay in points(40, whole) {
            let run = sandbox.start(LIVES);
            wait(delay);
            kill(run);
            works(&sandbox);
            for name in ["container.json", "pid"] {
                assert!(!sandbox.root().join(name).exists(), "{name} remains");
            }
        }
        sandbox.assert_clean();
    }
}

#[test]
fn a_killed_launchers_cgroup_is_in_nobodys_way() {
    require!(Root, Cgroups);
    let limited = r#"{"cgroups": {"name": "$NAME", "parent": "nsinit-test", "pids_max": 40}}"#;
    let mut sandbox = Sandbox::new().config(limited);
    let whole = time_to_start(&sandbox);
    for (number, delay) in (0..).zip(points(100, whole)) {
        let run = sandbox.start(LIVES);
        wait(delay);
        kill(run);
        if number % 2 == 0 {
            // Nor is it forgotten by a command that does not come so far.
            sandbox = sandbox.config("{,}");
            sandbox.run(["probe", "exit", "0"]).code(125);
            sandbox = sandbox.config(limited);
        }
        works(&sandbox);
    }
    sandbox.assert_clean();
}

#[test]
fn a_killed_launchers_state_never_ends_another_container() {
    require!(Root, Cgroups);
    let first = Sandbox::new();
    let cgroups = first.fill(r#"{"cgroups": {"name": "$NAME", "parent": "nsinit-test"}}"#);
    let first = first.config(&cgroups);
    let second = Sandbox::new().config(&cgroups);
    let whole = time_to_start(&first);
    for delay in points(10, whole * 2) {
        let run = first.start(LIVES);
        wait(delay);
        kill(run);
        // Whose name it is now, the first to come decides: the other one is refused.
        let other = second.start(["probe", "ready", ",", "copy"]);
        std::thread::sleep(whole * 2);
        let again = first.run(["probe", "exit", "0"]);
        let other = other.finish();
        let pair = (again.code_or_signal(), other.code_or_signal());
        assert!(matches!(pair, (0, 125) | (125, 0) | (0, 0)), "{again:?}\n{other:?}");
        works(&first);
        works(&second);
    }
}

#[test]
fn a_created_bridge_does_not_outlive_killed_launchers() {
    require!(Root, Ip);
    let sandbox = Sandbox::new().own_network().config(
        r#"{"networks": [{"type": "veth", "context": {"bridge": "$LINKb", "prefix": "$LINK", "create": true},
            "address": "10.77.0.2/24", "gateway": "10.77.0.1"}]}"#,
    );
    let whole = time_to_start(&sandbox);
    for delay in points(20, whole) {
        let run = sandbox.start(LIVES);
        wait(delay);
        kill(run);
        works(&sandbox);
        let left = sandbox.on_host(["ip", "-o", "link"]);
        assert_eq!(left.lines().count(), 1, "{left}");
    }
}

#[test]
fn a_command_that_meets_the_end_of_the_container_runs() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let whole = time_to_start(&sandbox);
        for delay in points(60, whole) {
            let mut first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
            let command = sandbox.start(["probe", "echo", "ran"]);
            wait(delay);
            first.close_input();
            let outcome = command.finish();
            // A program that runs already ends with the container.
            if outcome.code_or_signal() == 137 {
                outcome.stderr(ENDED);
            } else {
                outcome.code(0).stdout("ran\n").stderr("");
            }
            first.finish().code(0);
        }
    }
}

#[test]
fn a_command_waits_for_a_container_that_is_slow_to_end() {
    // A container has ended when all of its processes are reaped: here one is not, for
    // its launcher stands still.
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        let joined = sandbox.start(LIVES).until("ready");
        joined.signal(Signal::STOP);
        let directory = format!("/proc/{}/cwd", first.init());
        first.signal_init(Signal::KILL);
        // Before it has heard of that it can be joined; who runs in it ends with it.
        while std::fs::read_link(&directory).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let command = sandbox.start(["probe", "echo", "ran"]);
        std::thread::sleep(Duration::from_secs(1));
        joined.signal(Signal::CONT);
        command.finish().code(0).stdout("ran\n").stderr("");
        first.finish().code(137);
        joined.finish().code(137);
    }
}
