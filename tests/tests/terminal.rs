//! At a terminal: job control, sizes, and attributes afterwards.

use std::time::Duration;

use rustix::process::Signal;
use tests::{Sandbox, require};

#[test]
fn the_program_has_a_terminal_of_its_own() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let mut terminal = sandbox.terminal(["probe", "tty", ",", "session"]);
        terminal.sees("0 /dev/pts/0").sees("1 /dev/pts/0").sees("2 /dev/pts/0");
        terminal.sees("leader=true terminal=true foreground=true").ends(0);
    }
}

#[test]
fn the_console_is_there_with_a_terminal() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.terminal(["probe", "stat", "/dev/console"]).sees("/dev/console char 136:0").ends(0);
    }
}

#[test]
fn the_size_is_the_terminals_and_follows_it() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let mut terminal = sandbox.terminal(["probe", "resized"]);
        terminal.sees("24x80");
        terminal.resize(50, 132).sees("50x132").ends(0);
    }
}

#[test]
fn typed_lines_reach_the_program() {
    require!(Container);
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.terminal(["probe", "line"]);
    terminal.sees("ready").types("hello\n").sees("[hello\\n]").ends(0);
}

#[test]
fn end_of_file_can_be_typed() {
    require!(Container);
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.terminal(["probe", "line"]);
    terminal.sees("ready").types("\u{4}").sees("[]").ends(0);
}

#[test]
fn an_interrupt_ends_a_program_that_does_not_handle_it() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"init": true}"#);
        let mut terminal = sandbox.terminal(["probe", "ready", ",", "sleep", "100"]);
        let time = terminal.sees("ready").types("\u{3}").ends(130);
        assert!(time < Duration::from_millis(1000), "took {time:?}");
        assert_eq!(terminal.attributes(), terminal.attributes_at_start());
    }
}

#[test]
fn an_interrupt_reaches_a_program_that_handles_it() {
    require!(Container);
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.terminal(["probe", "handle", "INT"]);
    terminal.sees("ready").types("\u{3}").sees("got INT").ends(0);
}

#[test]
fn the_attributes_are_restored_on_every_way_out() {
    require!(Container);
    let sandbox = Sandbox::new();
    for (words, code) in
        [(["probe", "exit", "3"], 3), (["nowhere", "", ""], 127), (["/etc", "", ""], 126)]
    {
        let mut terminal = sandbox.terminal(words);
        terminal.ends(code);
        assert_eq!(terminal.attributes(), terminal.attributes_at_start());
    }
}

#[test]
fn the_attributes_are_restored_when_the_launcher_is_told_to_end() {
    require!(Container);
    let sandbox = Sandbox::new();
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut terminal = sandbox.terminal(["probe", "ready", ",", "sleep", "100"]);
        terminal.sees("ready").signal(signal).ends(code);
        assert_eq!(terminal.attributes(), terminal.attributes_at_start());
    }
}

#[test]
fn the_attributes_are_restored_when_init_is_killed() {
    require!(Container);
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.terminal(["probe", "ready", ",", "sleep", "100"]);
    terminal.sees("ready");
    let pid = std::fs::read_to_string(sandbox.root().join("pid")).expect("a pid file");
    sandbox.on_host(["kill", "-9", pid.trim()]);
    terminal.ends(137);
    assert_eq!(terminal.attributes(), terminal.attributes_at_start());
}

#[test]
fn nothing_printed_last_is_lost() {
    require!(Container);
    let sandbox = Sandbox::new().file("data/long", &"0123456789\n".repeat(5000));
    let mut terminal = sandbox.terminal(["probe", "cat", "/data/long", ",", "echo", "the-end"]);
    terminal.sees("the-end").ends(0);
}

#[test]
fn a_joined_program_has_a_terminal_of_the_containers() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let first = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
        let mut terminal = sandbox.terminal(["probe", "tty", ",", "session"]);
        terminal.sees("0 /dev/pts/").sees("leader=true terminal=true foreground=true").ends(0);
        first.finish().code(0);
    }
}

#[test]
fn without_a_terminal_nothing_can_be_typed_into_the_callers() {
    // CVE-2017-5226.
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"tty": false}"#);
    let mut terminal = sandbox.terminal(["probe", "type-into-terminal", ",", "session"]);
    terminal.sees("E").sees("terminal=false").ends(0);
}

#[test]
fn a_terminal_can_be_asked_for_with_pipes() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.config(r#"{"tty": true}"#);
        sandbox.run(["probe", "tty", ",", "exit", "4"]).code(4).stdout_has("0 /dev/pts/0");
        let mut run = sandbox.start(["probe", "line"]).until("ready\r");
        run.input("piped\n");
        run.finish().code(0).stdout_has("[piped\\n]");
    }
}

#[test]
fn a_shell_has_job_control() {
    require!(Container, Busybox);
    let sandbox =
        Sandbox::new().busybox().config(r#"{"environment": ["PATH=/bin", "PS1=prompt: "]}"#);
    let mut terminal = sandbox.terminal(["sh"]);
    terminal.sees("prompt: ").types("sleep 100\n").sees("sleep 100\r\n");
    std::thread::sleep(Duration::from_millis(200));
    terminal.types("\u{1a}").sees("Stopped").sees("prompt: ");
    terminal.types("fg\n").sees("fg\r\nsleep 100");
    std::thread::sleep(Duration::from_millis(200));
    terminal.types("\u{3}").sees("prompt: ").types("exit 5\n").ends(5);
}
