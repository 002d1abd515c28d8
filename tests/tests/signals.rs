//! What the launcher does with signals, and what the program starts with.

use rustix::process::Signal;
use tests::{Sandbox, require};

const NOTHING: &str =
    "SigBlk: 0000000000000000\nSigIgn: 0000000000000000\nSigCgt: 0000000000000000\n";

#[test]
fn a_signal_is_forwarded_to_a_program_that_handles_it() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT"), (Signal::USR1, "USR1")]
        {
            let run = sandbox.start(["probe", "handle", name]).until("ready");
            run.signal(signal);
            run.finish().code(0).stdout(&format!("ready\ngot {name}\n"));
        }
    }
}

#[test]
fn a_signal_that_pid_1_does_not_handle_ends_the_container() {
    require!(Container);
    let signals =
        [(Signal::HUP, 129), (Signal::INT, 130), (Signal::QUIT, 131), (Signal::TERM, 143)];
    for (signal, code) in signals {
        let sandbox = Sandbox::new();
        let run = sandbox.start(["probe", "ready", ",", "sleep", "100"]).until("ready");
        run.signal(signal);
        run.finish().code(code);
        sandbox.assert_clean();
    }
}

#[test]
fn init_forwards_signals() {
    require!(Container);
    let sandbox = Sandbox::new().config(r#"{"init": true}"#);
    let run = sandbox.start(["probe", "handle", "TERM"]).until("ready");
    run.signal(Signal::TERM);
    run.finish().code(0).stdout_has("got TERM");
    let run = sandbox.start(["probe", "ready", ",", "sleep", "100"]).until("ready");
    run.signal(Signal::TERM);
    run.finish().code(143);
}

#[test]
fn a_program_ended_by_a_signal_gives_128_and_its_number() {
    require!(Container);
    let sandbox = Sandbox::new();
    let run = sandbox.start(["probe", "ready", ",", "sleep", "100"]).until("ready");
    run.signal_init(Signal::KILL);
    run.finish().code(137);
}

#[test]
fn a_stopped_program_has_not_ended() {
    require!(Container);
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    run.signal_init(Signal::STOP).signal_init(Signal::CONT);
    run.input("alive\n");
    run.finish().code(0).stdout_has("alive");
}

#[test]
fn the_program_starts_with_default_signals() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.run(["probe", "signals"]).code(0).stdout(NOTHING);
    }
}

#[test]
fn what_the_caller_ignores_is_not_passed_on() {
    require!(Container);
    let sandbox = Sandbox::new().with("ignore=HUP");
    // The second one joins the first.
    let [first, second] =
        [(); 2].map(|()| sandbox.start(["probe", "handle", "USR1"]).until("ready"));
    for run in [second, first] {
        // Of two signals the one with the lower number is read first.
        run.signal(Signal::HUP).signal(Signal::USR1);
        run.finish().code(0).stdout("ready\ngot USR1\n");
    }
}

#[test]
fn what_the_caller_ignores_does_not_end_a_join() {
    require!(Container);
    let sandbox = Sandbox::new();
    let first = sandbox.start(["probe", "ready", ",", "sleep", "100"]).until("ready");
    // Blocked, it is kept, and there already when the join looks for signals.
    let sandbox = sandbox.with("raise=HUP").with("block=all").with("ignore=HUP");
    sandbox.run(["probe", "echo", "joined"]).code(0).stdout("joined\n");
    first.signal(Signal::TERM);
    first.finish().code(143);
}

#[test]
fn what_the_caller_ignores_and_blocks_does_not_reach_the_program() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = sandbox.with("ignore=CHLD,PIPE,INT,TERM").with("block=all");
        sandbox.run(["probe", "signals"]).code(0).stdout(NOTHING);
        sandbox.run(["probe", "exit", "7"]).code(7);
    }
}

#[test]
fn a_joined_program_starts_with_default_signals() {
    require!(Container);
    let sandbox = Sandbox::new().with("ignore=CHLD,PIPE").with("block=all");
    let run = sandbox.start(["probe", "ready", ",", "copy"]).until("ready");
    sandbox.run(["probe", "signals"]).code(0).stdout(NOTHING);
    run.finish().code(0);
}

#[test]
fn a_limit_of_file_sizes_is_told_and_kills_nobody() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let outcome = sandbox.with("fsize=0").run(["probe", "pid"]);
        outcome.code(125).stdout("").stderr_has("File too large");
    }
}
