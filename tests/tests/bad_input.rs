//! The table of bad input against the program: refused at its place, by `plan` and by
//! `exec`, with nothing done.
//!
//! The rows are those of the yardstick, B1 to B96; what a `container.json` can be wrong
//! in by itself is in `crates/config/tests/table`.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Outcome, Sandbox, require};

mod rows;
#[path = "../../crates/config/tests/table/mod.rs"]
mod table;

use rows::{BRIDGES, COMMANDS, ELSEWHERE, HOST, HostRow, LIMITS, V2_LIMITS};

/// All paths below a directory.
fn names(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).expect("own directory").filter_map(Result::ok) {
        names.push(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(self::names(&entry.path()));
        }
    }
    names.sort();
    names
}

/// Runs what must be refused: nothing of it is done, and it does not panic.
#[track_caller]
fn refused(sandbox: &Sandbox, number: &str, words: &[&str]) -> Outcome {
    let before = names(&sandbox.root());
    let outcome = sandbox.command_line(words);
    outcome.stdout("").stderr_lacks("panicked");
    assert_eq!(names(&sandbox.root()), before, "{number}: the directory has changed");
    outcome
}

/// Runs `plan` and `exec` over what is there; returns the longer time of the two.
#[track_caller]
fn told(sandbox: &Sandbox, number: &str, place: &str, words: &str) -> Duration {
    let mut longest = Duration::ZERO;
    for command in [&["plan", "probe"], &["exec", "probe"]] {
        let started = Instant::now();
        let outcome = refused(sandbox, number, command);
        longest = longest.max(started.elapsed());
        outcome.code(125);
        let err = outcome.err();
        assert!(err.starts_with(place), "{number}: not at {place:?}:\n{err}");
        for word in words.split('|') {
            assert!(err.contains(word), "{number}: no {word:?} in:\n{err}");
        }
    }
    longest
}

fn write(sandbox: &Sandbox, content: impl AsRef<[u8]>) {
    fs::write(sandbox.root().join("container.json"), content).expect("own directory");
}

fn at(position: &str, path: &str) -> String {
    let path = if path.is_empty() { String::new() } else { format!("{path}:") };
    format!("container.json:{position}: {path}")
}

#[track_caller]
fn told_each(sandbox: &Sandbox, rows: &[HostRow]) {
    for (number, text, position, path, words) in rows {
        write(sandbox, sandbox.fill(text));
        told(sandbox, number, &at(position, path), words);
    }
    sandbox.assert_clean();
}

#[test]
fn every_bad_text_is_refused_at_its_place() {
    let sandbox = Sandbox::new();
    let mut times = Vec::new();
    let rows = table::all();
    for row in &rows {
        write(&sandbox, &row.text);
        let took = told(&sandbox, row.number, &at(&row.position, &row.path), row.words);
        times.push((took, row.number));
    }
    sandbox.assert_clean();
    times.sort_unstable();
    println!("{} texts, the slowest: {:?}", rows.len(), &times[rows.len() - 3..]);
}

#[test]
fn bytes_that_are_no_text_are_refused_at_their_place() {
    let sandbox = Sandbox::new();
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (number, bytes, position, words) in [
        ("B10", &utf16[..], "1:1", "is UTF-16, must be UTF-8|save it as UTF-8"),
        ("B11", b"{\n\"hostname\":\"a\xffb\"}", "2:14", "invalid UTF-8: byte 0xff at offset 15"),
        ("B11", b"\xc3\x28", "1:1", "invalid UTF-8: byte 0xc3 at offset 0"),
    ] {
        write(&sandbox, bytes);
        told(&sandbox, number, &at(position, ""), words);
    }
}

#[test]
fn what_is_no_small_regular_file_is_refused_as_what_it_is() {
    let case = |number, place: &str, make: &dyn Fn(&Path)| {
        let sandbox = Sandbox::new();
        make(&sandbox.root().join("container.json"));
        told(&sandbox, number, place, "container.json");
    };
    case("B18", "container.json: is larger than 4 MiB, which is the limit", &|path| {
        fs::File::create(path).and_then(|file| file.set_len(64 << 20)).expect("own directory");
    });
    case("B19", "container.json: is a directory, must be a regular file", &|path| {
        fs::create_dir(path).expect("own directory");
    });
    case("B19", "container.json: is a named pipe, must be a regular file", &|path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).expect("own directory");
    });
    case("B19", "container.json: is a socket, must be a regular file", &|path| {
        drop(UnixListener::bind(path).expect("own directory"));
    });
    case("B19", "", &|path| symlink("/dev/zero", path).expect("own directory"));
}

#[test]
fn what_the_host_lacks_is_told_at_its_place() {
    require!(Container);
    let sandbox = Sandbox::new().symlink("loop", "loop").symlink("link", "etc");
    told_each(&sandbox, &HOST);
}

#[test]
fn a_fault_of_the_host_reads_like_one_of_the_text() {
    require!(Container);
    let sandbox = Sandbox::new().config("{\n  \"working_dir\": \"/srv\"\n}");
    let expected = r#"container.json:2:18: working_dir: /srv: no such file or directory
 2 |   "working_dir": "/srv"
   |                  ^^^^^^
   help: it must be in the root filesystem, or be made by a mount
"#;
    sandbox.nsinit(["plan", "probe"]).code(125).stdout("").stderr(expected);
}

#[test]
fn cpus_that_are_not_online_are_told_at_their_place() {
    require!(Root, Cgroups);
    told_each(&Sandbox::new(), &LIMITS);
}

#[test]
fn limits_that_this_version_of_cgroups_has_not_are_told_at_their_place() {
    require!(Root, CgroupV1);
    told_each(&Sandbox::new(), &V2_LIMITS);
}

#[test]
fn what_the_bridge_does_not_fit_is_told_at_its_place() {
    require!(Root, Ip);
    let sandbox = Sandbox::new().own_network();
    sandbox.on_host(["ip", "link", "add", "br0", "mtu", "1400", "type", "bridge"]);
    sandbox.on_host(["ip", "address", "add", "10.0.0.1/24", "dev", "br0"]);
    told_each(&sandbox, &BRIDGES);
}

#[test]
fn a_label_of_a_module_that_is_off_is_told_at_its_place() {
    require!(NoAppArmor, NoSelinux);
    let words = "is not enabled on this host|remove the key to run without it";
    let rows = [
        (
            "B46",
            r#"{"context":{"apparmor_profile":"x"}}"#,
            "1:32",
            "context.apparmor_profile",
            words,
        ),
        (
            "B46",
            r#"{"context":{"process_label":"a:b:c:s0"}}"#,
            "1:29",
            "context.process_label",
            words,
        ),
    ];
    told_each(&Sandbox::new(), &rows);
}

#[test]
fn a_wrong_command_line_is_refused() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"hostname":"a"}"#);
    let sandbox = sandbox.directory("dev").directory("proc").directory("sys");
    for (number, arguments, code, words) in COMMANDS {
        let outcome = refused(&sandbox, number, arguments);
        outcome.code(code);
        for word in words.split('|') {
            outcome.stderr_has(&sandbox.fill(word));
        }
    }
    sandbox.assert_clean();
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    // B95.
    let nsinit = std::env::var_os("NSINIT_TEST_BIN").expect("set by cargo xtask test");
    for command in [["spec"].as_slice(), &["plan", "true"], &["--help"]] {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        drop(ours);
        let stdout = Stdio::from(std::os::fd::OwnedFd::from(theirs));
        let output =
            Command::new(&nsinit).args(command).current_dir("/tmp").stdout(stdout).output();
        let output = output.expect("nsinit starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code <= 1), "{command:?}: {output:?}");
        assert_eq!(err, "", "{command:?}");
    }
}

#[test]
fn tools_get_faults_on_standard_output() {
    let sandbox = Sandbox::new().config("{\n \"hostnme\": \"a\", \"tty\": 1}");
    let expected = r#"[
  {
    "file": "container.json",
    "line": 2,
    "column": 2,
    "path": "hostnme",
    "message": "unknown key",
    "suggestion": "did you mean \"hostname\"?"
  },
  {
    "file": "container.json",
    "line": 2,
    "column": 25,
    "path": "tty",
    "message": "must be true or false, got 1",
    "suggestion": "use true"
  }
]
"#;
    sandbox.nsinit(["plan", "--format", "json", "probe"]).code(125).stdout(expected).stderr("");
    let outcome = sandbox.nsinit(["plan", "--format", "json", "--root", "$HOST/no", "probe"]);
    outcome.code(125).stderr("").stdout_has("\"file\": null").stdout_has("No such file");
    let sandbox = sandbox.config("{}");
    let outcome = sandbox.nsinit(["plan", "--format", "json", "probe"]);
    outcome.code(0).stderr("").stdout_has("\"args\": [\n      \"probe\"\n    ]");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    let sandbox = Sandbox::new().config(r#"{"hostnme": "a"}"#);
    sandbox.run(["probe"]).code(125).stderr_lacks("\u{1b}");
    let coloured = "\u{1b}[1mcontainer.json:1:2:\u{1b}[0m \u{1b}[1mhostnme:\u{1b}[0m unknown key";
    sandbox.terminal(["probe"]).sees(coloured).ends(125);
    let plain = "container.json:1:2: hostnme: unknown key";
    let sandbox = sandbox.env("NO_COLOR", "1");
    sandbox.terminal(["probe"]).sees(plain).ends(125);
}

#[test]
fn every_row_of_the_table_is_somewhere() {
    let rows = table::all();
    let host = [&HOST[..], &LIMITS, &V2_LIMITS, &BRIDGES].concat();
    let in_functions = ["B10", "B11", "B18", "B19", "B46", "B95"];
    let numbers = (rows.iter().map(|row| row.number))
        .chain(host.iter().map(|row| row.0))
        .chain(COMMANDS.iter().map(|row| row.0))
        .chain(in_functions);
    let covered: Vec<&str> = numbers.filter(|number| !number.is_empty()).collect();
    for number in (1..=96).map(|number| format!("B{number}")) {
        let here = covered.contains(&number.as_str());
        let elsewhere = ELSEWHERE.iter().any(|(other, _)| *other == number);
        assert!(here != elsewhere, "{number}: here {here}, elsewhere {elsewhere}");
    }
}
