//! One run of one contender: time, memory, system calls.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Result, sys};

/// What a run took, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

/// Where what programs say on standard error is kept until somebody asks.
pub(crate) struct Errors(PathBuf);

impl Errors {
    pub(crate) fn new(stage: &Path) -> Errors {
        Errors(stage.join("errors"))
    }

    fn file(&self) -> Result<File> {
        let file = File::options().create(true).append(true).open(&self.0);
        file.map_err(|error| format!("{}: {error}", self.0.display()))
    }

    /// The last line, which is forgotten then.
    pub(crate) fn take(&self) -> String {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        // The runners keep it open.
        drop(fs::write(&self.0, ""));
        text.trim().lines().next_back().unwrap_or("without a word").to_owned()
    }
}

/// A command that can be run again and again. What a run costs the harness, posix_spawn
/// and wait4, it costs for everybody.
pub(crate) struct Runner {
    command: Command,
}

impl Runner {
    pub(crate) fn new(mut command: Command, errors: &Errors) -> Result<Runner> {
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.map_err(|error| format!("/dev/null: {error}"))?;
        let output = null.try_clone().map_err(|error| format!("/dev/null: {error}"))?;
        command.stdin(null).stdout(output).stderr(errors.file()?);
        Ok(Runner { command })
    }

    /// From start to end.
    pub(crate) fn run(&mut self) -> Result<Run> {
        let start = Instant::now();
        let pid = self.start()?;
        let ended = sys::wait4(pid).map_err(|error| format!("wait4: {error}"))?;
        let wall = start.elapsed();
        match ended.status {
            0 => Ok(Run { wall: microseconds(wall), cpu: microseconds(ended.cpu) }),
            status => Err(format!("wait status {status:#x}")),
        }
    }

    /// Starts it: who waits gets the pid.
    pub(crate) fn start(&mut self) -> Result<i32> {
        let child = self.command.spawn().map_err(|error| error.to_string())?;
        i32::try_from(child.id()).map_err(|error| error.to_string())
    }
}

pub(crate) fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A container whose program waits for its input to end.
pub(crate) struct Held {
    child: Child,
    /// Dropped to end it.
    stdin: Option<ChildStdin>,
}

impl Held {
    /// Returns when the program runs.
    pub(crate) fn start(mut command: Command, errors: &Errors) -> Result<Held> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors.file()?);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no pipe")?;
        let held = Held { child, stdin };
        let mut line = String::new();
        match BufReader::new(stdout).read_line(&mut line) {
            Ok(bytes) if bytes > 0 => Ok(held),
            _ => {
                drop(held);
                Err(errors.take())
            }
        }
    }

    /// The first child of the runtime: init of a container that it started itself.
    pub(crate) fn init(&self) -> Option<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// The runtime's private memory at its peak, in KiB: what was resident at most, less
    /// the pages of files and what is shared.
    pub(crate) fn peak_private(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kib.ok_or_else(|| format!("{path}: no {name}"))
        };
        let shared = field("RssFile:")? + field("RssShmem:")?;
        Ok(field("VmHWM:")?.saturating_sub(shared))
    }
}

impl Drop for Held {
    /// Whoever does not end with its input is killed.
    fn drop(&mut self) {
        drop(self.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                drop(self.child.kill());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The system calls of a run and of everything that it starts, as strace counts them.
pub(crate) fn system_calls(strace: &Path, command: &Command, errors: &Errors) -> Result<u64> {
    let mut traced = Command::new(strace);
    let file = errors.0.with_extension("calls");
    traced.args(["-f", "-c", "-o"]).arg(&file).arg(command.get_program()).args(command.get_args());
    traced.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.file()?);
    let status = traced.status().map_err(|error| format!("{}: {error}", strace.display()))?;
    if !status.success() {
        return Err(format!("under strace: {status}: {}", errors.take()));
    }
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    total(&text).ok_or_else(|| "strace: no line with the total".to_owned())
}

/// `100.00  0.012  12  745  32 total`: the fourth word.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_total_of_strace_is_read() {
        let with_errors =
            "% time\n------\n100.00    0.012345          16       745        32 total\n";
        let without = "100.00    0.000000           0       161           total\n";
        assert_eq!(super::total(with_errors), Some(745));
        assert_eq!(super::total(without), Some(161));
    }
}
