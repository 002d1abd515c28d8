//! Clocks of a time namespace.

use std::fs;

use tests::{Sandbox, require};

/// A container with all the usual namespaces and one of time.
fn with_time(sandbox: Sandbox, keys: &str) -> Sandbox {
    let namespaces = r#"["NEWNS", "NEWUTS", "NEWIPC", "NEWPID", "NEWNET", "NEWTIME"]"#;
    sandbox.config(&format!(r#"{{"namespaces": {namespaces}{keys}}}"#))
}

/// Hundredths of a second, of which the kernel tells two digits.
fn hundredths(uptime: &str) -> i64 {
    let number = uptime.split(' ').next().unwrap_or_default();
    number.replace('.', "").parse().expect("a number")
}

fn uptime() -> i64 {
    hundredths(&fs::read_to_string("/proc/uptime").expect("procfs"))
}

#[test]
fn offsets_hold_for_the_program_and_for_who_joins() {
    require!(Container);
    // In hundredths: a thousand hours, and a second.
    for offset in [360_000_000, -100] {
        for sandbox in Sandbox::for_each_caller() {
            let nanoseconds = offset * 10_000_000;
            let keys = format!(r#", "time_offsets": {{"boottime": {nanoseconds}}}"#);
            let sandbox = with_time(sandbox, &keys);
            let facts = ["probe", "ns", "time", ",", "uptime", ",", "ready", ",", "copy"];
            let before = uptime();
            let first = sandbox.start(facts).until("ready");
            let joined = sandbox.run(facts).code(0).out();
            let after = uptime();
            let first = first.finish().code(0).out();
            assert_eq!(first.lines().next(), joined.lines().next(), "two namespaces");
            for out in [first, joined] {
                let inside = hundredths(out.lines().nth(1).expect("uptime")) - offset;
                assert!((before..=after).contains(&inside), "{before} {inside} {after}");
            }
        }
    }
}

#[test]
fn without_offsets_the_clocks_are_the_hosts_and_the_namespace_is_not() {
    require!(Container);
    let own = fs::read_link("/proc/self/ns/time").expect("time namespaces");
    for sandbox in Sandbox::for_each_caller() {
        let sandbox = with_time(sandbox, "");
        let before = uptime();
        let out = sandbox.run(["probe", "ns", "time", ",", "uptime"]).code(0).out();
        let (namespace, inside) = out.split_once('\n').expect("two lines");
        assert_ne!(namespace, own.to_string_lossy());
        assert!((before..=uptime()).contains(&hundredths(inside)), "{before} {out}");
    }
}

#[test]
fn a_clock_before_zero_is_an_error() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        let sandbox =
            with_time(sandbox, r#", "time_offsets": {"monotonic": -9000000000000000000}"#);
        let outcome = sandbox.run(["probe", "uptime"]);
        outcome.code(125).stdout("").stderr_has("set time offsets monotonic -9000000000000000000");
        sandbox.assert_clean();
    }
}
