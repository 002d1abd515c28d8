//! The first program of the virtual machines of `cargo xtask vm-test`.
//!
//! Without an argument it is PID 1: it makes the machine that `/cell` describes
//! and then reaps. As `guest run` it is the program that runs the tests, tells
//! the host through a virtio-serial port, and ends the machine.
#![expect(clippy::print_stderr, reason = "standard error is the console, which the host keeps")]

use std::os::unix::process::CommandExt;
use std::process::Command;

mod cell;
mod cgroups;
mod labels;
mod mounts;
mod port;
mod run;
#[expect(unsafe_code, reason = "port input and output, which ends the machine")]
mod sys;
mod users;

use cell::Cell;

/// Every step says what it was doing when it fails; the first failure ends the machine.
type Result<T = ()> = std::result::Result<T, String>;

/// How the machine ends; `xtask/src/vm_test/qemu.rs` has the same numbers.
/// An end without one is a panic of the kernel, or a power-off that nobody asked for.
#[derive(Clone, Copy)]
enum End {
    Done = 16,
    Failed = 17,
}

/// Where this program is in the machine, besides `/init`.
const OWN: &str = "/usr/bin/guest";

fn main() {
    let runs_tests = std::env::args().nth(1).is_some_and(|word| word == "run");
    let outcome = if runs_tests { run::run() } else { init() };
    match outcome {
        Ok(()) => sys::end(End::Done),
        Err(error) => {
            eprintln!("guest: {error}");
            sys::end(End::Failed)
        }
    }
}

/// PID 1: the machine, then the tests, then nobody is left to be reaped.
fn init() -> Result {
    mounts::first()?;
    let cell = Cell::read()?;
    mounts::rest()?;
    load_modules(&cell)?;
    labels::load(&cell)?;
    mounts::scratch()?;
    mounts::bind("/repository", &cell.repository)?;
    users::directories()?;
    succeed(program("ip").args(["link", "set", "lo", "up"]))?;
    if cell.systemd {
        let error = Command::new("/lib/systemd/systemd").env_clear().exec();
        return Err(format!("/lib/systemd/systemd: {error}"));
    }
    cgroups::mount_as(cell.cgroups)?;
    let runner = Command::new(OWN).arg("run").spawn().map_err(|error| format!("{OWN}: {error}"))?;
    reap_until(runner.id());
    Err("the program that runs the tests died".to_owned())
}

/// What the tests need and the kernel does not load by itself when it is used.
fn load_modules(cell: &Cell) -> Result {
    // Absent ones may be built in: what is really missing, a later step names.
    let mut command = program("modprobe");
    command.args(["--all", "--quiet"]).args(&cell.modules);
    command.status().map(drop).map_err(|error| format!("modprobe: {error}"))
}

/// Orphans of containers come here; a test would find them as zombies.
fn reap_until(last: u32) {
    use rustix::process::{WaitOptions, wait};
    while let Ok(Some((pid, _))) = wait(WaitOptions::empty()) {
        if u32::try_from(pid.as_raw_nonzero().get()) == Ok(last) {
            return;
        }
    }
}

/// A program of the machine; the kernel gives PID 1 no PATH to find it by.
fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", "/usr/sbin:/usr/bin");
    command
}

/// Runs a program of the machine to its success.
fn succeed(command: &mut Command) -> Result {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program}: {status}")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}
