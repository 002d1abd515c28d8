//! What a launch did, step by step: `--trace`, `--debug` and the log.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Outcome, Sandbox, require};

/// An event of a trace: who, what, and the step's number where it is one.
struct Event {
    pid: i64,
    name: String,
    number: Option<u64>,
    done: Option<bool>,
}

struct Trace(Vec<Event>);

impl Trace {
    /// Reads a trace, and checks what any viewer needs.
    #[track_caller]
    fn read(file: &Path) -> Trace {
        let text = fs::read_to_string(file).expect("a trace");
        assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text}");
        let trace: Value = serde_json::from_str(&text).expect("JSON");
        let events = trace["traceEvents"].as_array().expect("events").iter();
        let complete = events.filter(|event| match event["ph"].as_str() {
            Some("X") => {
                assert!(event["ts"].as_f64() >= Some(0.0), "{event}");
                assert!(event["dur"].as_f64() >= Some(0.0), "{event}");
                assert_eq!(event["tid"], event["pid"], "{event}");
                true
            }
            Some("M") => {
                assert!(event["args"]["name"].is_string(), "{event}");
                false
            }
            _ => panic!("{event}"),
        });
        let read = |event: &Value| Event {
            pid: event["pid"].as_i64().expect("a number"),
            name: event["name"].as_str().expect("a name").to_owned(),
            number: event["args"]["number"].as_u64(),
            done: event["args"]["done"].as_bool(),
        };
        Trace(complete.map(read).collect())
    }

    /// The steps that init has done, as `nsinit plan` prints them.
    fn steps(&self) -> Vec<String> {
        let done = self.0.iter().filter(|event| event.done == Some(true));
        let words = |event: &Event| Some(format!("  {:3}  {}", event.number?, event.name));
        done.filter_map(words).collect()
    }

    /// What the launcher has done.
    fn launcher(&self) -> Vec<&str> {
        let launcher = self.0.first().expect("the launcher's events come first").pid;
        let own = self.0.iter().filter(|event| event.pid == launcher);
        own.map(|event| event.name.as_str()).collect()
    }
}

/// `nsinit exec --trace` of a program that does nothing.
fn traced(sandbox: &Sandbox) -> (Outcome, PathBuf) {
    let file = sandbox.host().join("trace");
    let words = ["exec", "--quiet", "--trace", "$HOST/trace", "probe", "exit", "0"];
    (sandbox.nsinit(words), file)
}

/// One part of a printed plan: its lines.
fn section<'a>(plan: &'a str, name: &str) -> Vec<&'a str> {
    let lines = plan.lines().skip_while(|line| *line != name).skip(1);
    lines.take_while(|line| line.starts_with("  ")).collect()
}

/// Runs a fixture of the plans and compares: what the trace shows is what the plan of the
/// same command line says. The reason when it cannot be run.
fn compare(sandbox: &Sandbox) -> Result<(), String> {
    let planned = sandbox.nsinit(["plan", "probe", "exit", "0"]);
    let (outcome, file) = traced(sandbox);
    if planned.code_or_signal() != 0 {
        outcome.code(125).stdout("").stderr_has(&planned.err());
        assert!(!file.exists() || Trace::read(&file).steps().is_empty(), "{}", outcome.err());
        return Err(planned.err());
    }
    let plan = planned.out();
    let (steps, trace) = (section(&plan, "init"), Trace::read(&file));
    if outcome.code_or_signal() == 125 {
        let done = trace.steps();
        assert_eq!(done, steps[..done.len()], "{}", outcome.err());
        return Err(outcome.err());
    }
    assert_eq!(trace.steps(), steps);
    let said = trace.launcher().join(", ");
    for line in section(&plan, "launcher").iter().filter(|line| !line.starts_with("    ")) {
        assert!(said.contains(line.trim()), "{line} is not in {said}");
    }
    Ok(())
}

/// The fixtures of the plans, by name.
fn fixtures() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/nsinit/tests/fixtures");
    let paths = fs::read_dir(directory).expect("the fixtures").map(|entry| entry.expect("").path());
    let read = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let is_fixture = path.extension().is_some_and(|end| end == "json");
        is_fixture.then(|| (name, fs::read_to_string(&path).expect("a fixture")))
    };
    let mut fixtures: Vec<_> = paths.filter_map(read).collect();
    fixtures.sort();
    assert!(fixtures.len() >= 25, "only {} fixtures were found", fixtures.len());
    fixtures
}

/// A host on which as many fixtures as possible run, and the fixture.
fn arranged(sandbox: Sandbox, fixture: &str) -> Sandbox {
    let network = sandbox.network_setting();
    let config = fixture
        .replace("IMAGE", "$ROOT")
        .replace("/run/netns/x", network.trim_start_matches("netns="))
        .replace(
            r#""name": "job", "parent": "demo""#,
            r#""name": "$NAME", "parent": "nsinit-test""#,
        )
        .replace(r#""name": "d""#, r#""name": "$NAME""#)
        .replace(r#""name": "alone""#, r#""name": "$NAME""#)
        .replace(r#""cpuset_cpus": "0-1""#, r#""cpuset_cpus": "0""#);
    sandbox.directory("proc").directory("sys").directory("dev").config(&config)
}

/// Those whose configuration is at fault, and how: their plans are refusals, too.
const REFUSED: [(&str, &str); 3] = [
    ("init-without-pid-namespace", "init: needs a new PID namespace (NEWPID)"),
    ("sysctl-of-the-host", "needs NEWNET, it would change the host"),
    ("user-not-mapped", "user: uid 70000 is not mapped into the user namespace"),
];

/// Those that need root, or ids that a user may not have.
const OTHERS: [&str; 8] = [
    "capabilities-of-a-user",
    "cgroup-all-devices",
    "cgroup-limits",
    "devices",
    "join-namespace",
    "user-by-name",
    "user-namespace",
    "veth",
];

#[test]
fn every_fixture_that_can_run_runs_the_steps_of_its_plan() {
    require!(Root, Cgroups, Ip);
    for (name, fixture) in fixtures() {
        let sandbox = Sandbox::new().own_network();
        sandbox.on_host(["ip", "link", "add", "br0", "type", "bridge"]);
        sandbox.on_host(["ip", "address", "add", "10.7.0.1/24", "dev", "br0"]);
        let compared = compare(&arranged(sandbox, &fixture));
        match REFUSED.iter().find(|(refused, _)| *refused == name) {
            None => assert_eq!(compared, Ok(()), "{name}"),
            Some((_, why)) => assert!(compared.is_err_and(|said| said.contains(why)), "{name}"),
        }
    }
}

#[test]
fn so_does_every_fixture_that_an_ordinary_user_can_run() {
    require!(Root, UserNamespaces);
    for (name, fixture) in fixtures() {
        let sandbox = Sandbox::new().own_network().as_user(tests::ORDINARY);
        let compared = compare(&arranged(sandbox, &fixture));
        let refused = REFUSED.iter().any(|(refused, _)| *refused == name);
        match refused || OTHERS.contains(&name.as_str()) {
            true => eprintln!("{name} {}", compared.err().unwrap_or_else(|| "ran".into())),
            false => assert_eq!(compared, Ok(()), "{name}"),
        }
    }
}

#[test]
fn a_join_is_traced_with_the_process_that_enters_and_the_one_that_is_the_program() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config("{}");
        let running = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        let (outcome, file) = traced(&sandbox);
        outcome
            .code(0)
            .stderr_has("nsinit: the program ran after ")
            .stderr_has("steps, the longest");
        let trace = Trace::read(&file);
        let pid_of = |words: &str| {
            trace.0.iter().find(|event| event.name.contains(words)).expect("the step").pid
        };
        assert_ne!(pid_of("of the container"), pid_of("execve probe"));
        assert!(trace.steps().last().is_some_and(|last| last.ends_with("start a new session")));
        running.finish().code(0);
    }
}

#[test]
fn the_trace_of_a_launch_that_failed_ends_with_the_step_that_was_not_done() {
    require!(Container);
    let sandbox = Sandbox::new().config(
        r#"{"mounts": [{"source": "$HOST", "destination": "/data"},
                       {"source": "$HOST", "destination": "/data/inner"}]}"#,
    );
    let (outcome, file) = traced(&sandbox);
    outcome.code(125).stderr_has("nsinit: failed after ").stderr_has("was not done: bind ");
    let trace = Trace::read(&file);
    let undone: Vec<_> = trace.0.iter().filter(|event| event.done == Some(false)).collect();
    assert_eq!(undone.len(), 1);
    assert!(undone[0].name.starts_with(&sandbox.fill("bind $HOST on /data/inner")));
    assert_eq!(undone[0].number, Some(trace.steps().len() as u64 + 1));
}

#[test]
fn a_trace_is_there_while_the_program_runs_and_has_its_end_afterwards() {
    require!(Container);
    let sandbox = Sandbox::new().config("{}");
    let file = sandbox.host().join("trace");
    let words = ["--trace", "$HOST/trace", "probe", "ready", ",", "copy"];
    let running = sandbox.start(words).until("ready");
    // The launcher sees it a moment after the program.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !fs::read_to_string(&file).is_ok_and(|text| text.ends_with("]}\n")) {
        assert!(Instant::now() < deadline, "no trace");
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = Trace::read(&file);
    assert_eq!(before.launcher().last(), Some(&"wait for execve"));
    running.finish().code(0);
    let after = Trace::read(&file);
    assert_eq!(after.launcher().last(), Some(&"clean up"));
    assert_eq!(after.steps(), before.steps());
}

#[test]
fn a_trace_is_not_written_where_the_container_can_write_nor_through_a_link() {
    require!(Container);
    let sandbox = Sandbox::new()
        .host_file("shared/file", "")
        .config(
            r#"{"mounts": [{"source": "$HOST/shared", "destination": "/data", "writable": true}]}"#,
        )
        .symlink("tmp", "$HOST");
    std::os::unix::fs::symlink(sandbox.host().join("victim"), sandbox.host().join("link"))
        .expect("own directory");
    let refused = |file: &str, why: &str| {
        let outcome = sandbox.nsinit(["exec", "--trace", file, "probe", "echo", "ran"]);
        outcome.code(125).stdout("").stderr_has("open the trace ").stderr_has(why);
    };
    let writable = "the container can write there";
    refused("$ROOT/trace", writable);
    refused("trace", writable);
    refused("tmp/victim", writable);
    refused("$HOST/shared/victim", writable);
    refused("$HOST/link", "is a symbolic link");
    refused("/dev/null", "is not a regular file");
    let written = ["victim", "shared/victim"].map(|name| sandbox.host().join(name).exists());
    assert_eq!(written, [false, false]);
}

/// The log that a run has left, as objects.
fn logged(sandbox: &Sandbox, words: &[&str]) -> Vec<Value> {
    let mut line = vec!["--log", "$HOST/log", "--log-format", "json"];
    line.extend(words);
    sandbox.command_line(&line);
    let text = fs::read_to_string(sandbox.host().join("log")).expect("the log");
    assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text}");
    text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

#[test]
fn the_log_has_an_object_a_line_and_says_how_the_command_ended() {
    require!(Container);
    let sandbox = Sandbox::new().config("{}");
    let lines = logged(&sandbox, &["exec", "probe", "exit", "3"]);
    assert!(lines.iter().all(|line| line["level"] == "info" && line["pid"].is_i64()));
    let time = lines[0]["time"].as_str().expect("a time");
    assert!(time.starts_with("20") && time.ends_with('Z') && time.len() == 27, "{time}");
    assert_eq!(lines.last().expect("a line")["msg"], "the program ended with 3");
    let lines = logged(&sandbox, &["exec", "--cwd", "/nowhere", "probe"]);
    let last = lines.last().expect("a line");
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().is_some_and(|message| message.contains("/nowhere")), "{last}");
}

#[test]
fn every_step_is_logged_with_debug() {
    require!(Container);
    let sandbox = Sandbox::new().config("{}");
    let plan = sandbox.nsinit(["plan", "probe", "exit", "0"]).code(0).out();
    let lines = logged(&sandbox, &["--debug", "exec", "probe", "exit", "0"]);
    let steps: Vec<_> = lines
        .iter()
        .filter_map(|line| line["msg"].as_str()?.strip_prefix("step "))
        .map(|step| step.split_once(": ").expect("number and words"))
        .map(|(number, words)| format!("  {number:>3}  {words}"))
        .collect();
    assert_eq!(steps, section(&plan, "init"));
    // Without a place, people see it.
    sandbox.nsinit(["--debug", "exec", "probe", "exit", "0"]).code(0).stderr_has("pivot_root\n");
}

#[test]
fn errors_are_objects_on_standard_error_where_events_are() {
    require!(Container);
    let sandbox = Sandbox::new();
    let words = ["--log", "stderr", "--log-format", "json", "exec", "no-such-program"];
    let err = sandbox.nsinit(words).code(127).err();
    let lines: Vec<Value> =
        err.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(lines.last().expect("a line")["level"], "error", "{err}");
}

#[test]
fn what_comes_from_inside_a_container_is_escaped_in_the_log() {
    require!(Container);
    let evil = "\u{1b}[2J\u{9b}2J\u{202e}\nnsinit: fake";
    let sandbox = Sandbox::new().symlink("bin/evil", &format!("/{evil}"));
    let lines = logged(&sandbox, &["exec", "--quiet", "/bin/evil"]);
    let last = lines.last().expect("a line")["msg"].as_str().expect("a text");
    assert!(last.contains(evil), "exact for a tool: {last}");
    let outcome = sandbox.nsinit(["--log", "$HOST/text", "exec", "--quiet", "/bin/evil"]);
    outcome.code(127);
    let text = fs::read_to_string(sandbox.host().join("text")).expect("the log");
    assert!(text.lines().all(|line| line.contains(" nsinit[")), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{text}");
}
