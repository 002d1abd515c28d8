//! Parent: a trace in the format that chrome://tracing and ui.perfetto.dev show.

use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};

use super::{Done, Init, Trace};
use crate::log::ascii;

/// Complete events, and the names of the processes.
pub(super) fn text(trace: &Trace) -> String {
    let launcher = rustix::process::getpid();
    let mut events = process(launcher, "launcher");
    let mut start = trace.start;
    for (name, end) in trace.launcher.borrow().iter() {
        events.push(complete(trace, launcher, name, (start, *end), json!({})));
        start = *end;
    }
    if let Some(init) = &*trace.init.borrow() {
        events.extend(of_init(trace, init));
    }
    if let Some((why, at)) = trace.failure.get() {
        events.push(complete(
            trace,
            launcher,
            "fail, and find out why",
            (start, *at),
            json!({ "error": why }),
        ));
    }
    let events = events.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n");
    ascii(&format!("{{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n{events}\n]}}\n"))
}

fn of_init(trace: &Trace, init: &Init) -> Vec<Value> {
    let mut events = process(init.pid, "init");
    events.extend(init.second.iter().flat_map(|pid| process(*pid, "program")));
    let steps = init.steps();
    for Done { number, name, pid, start, end } in &steps {
        let args = json!({ "number": number, "done": end.is_some() });
        let end = end.or(trace.end()).unwrap_or(*start);
        events.push(complete(trace, *pid, name, (*start, end), args));
    }
    // From outside only its end can be seen, a little later.
    let last = steps.last().and_then(|step| Some((step.pid, step.end?)));
    if let (Some((pid, start)), Some(end)) = (last, trace.end()) {
        let name = format!("execve {}", init.program);
        let args = json!({ "done": trace.executed.get().is_some() });
        events.push(complete(trace, pid, &name, (start, end), args));
    }
    events
}

fn process(pid: Pid, name: &str) -> Vec<Value> {
    let pid = pid.as_raw_nonzero();
    let named = |what: &str| json!({ "ph": "M", "pid": pid, "tid": pid, "name": what, "args": { "name": name } });
    vec![named("process_name"), named("thread_name")]
}

fn complete(
    trace: &Trace,
    pid: Pid,
    name: &str,
    (start, end): (Duration, Duration),
    args: Value,
) -> Value {
    let pid = pid.as_raw_nonzero();
    let microseconds = |time: Duration| time.as_nanos() as f64 / 1e3;
    json!({
        "ph": "X", "pid": pid, "tid": pid, "name": name, "args": args,
        "ts": microseconds(start.saturating_sub(trace.start)),
        "dur": microseconds(end.saturating_sub(start)),
    })
}
