//! Runs the test programs one after the other, and passes on what they say.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::cell::{As, Cell, Program};
use crate::port::Port;
use crate::{Result, cgroups, users};

/// As root first: what root's tests need is there, whatever the user's did.
pub(crate) fn run() -> Result {
    let cell = Cell::read()?;
    let mut port = Port::open()?;
    port.say(&format!("machine {}", machine()))?;
    for program in cell.programs.iter().filter(|program| program.who == As::Root) {
        one(&cell, program, &mut port)?;
    }
    if !cell.systemd {
        cgroups::delegate()?;
        cgroups::enter_session()?;
    }
    for program in cell.programs.iter().filter(|program| program.who == As::User) {
        one(&cell, program, &mut port)?;
    }
    port.say("done")
}

/// The kernel and its label systems.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    format!("Linux {}, {}", read("/proc/sys/kernel/osrelease"), read("/sys/kernel/security/lsm"))
}

fn one(cell: &Cell, program: &Program, port: &mut Port) -> Result {
    let who = if program.who == As::Root { "root" } else { "user" };
    port.say(&format!("begin {who} {}", program.path))?;
    let told = |error: std::io::Error| format!("{}: {error}", program.path);
    let (output, input) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| told(errno.into()))?;
    let errors = input.try_clone().map_err(told)?;
    let mut command = command(cell, program);
    let mut child = command.stdout(input).stderr(errors).spawn().map_err(told)?;
    // It holds ends of the pipe, without which the output would have no end.
    drop(command);
    while let Some(bytes) = next(&output, &mut child) {
        port.pass_on(&bytes)?;
    }
    let status = child.wait().map_err(told)?;
    port.say(&format!("end {status}"))
}

fn command(cell: &Cell, program: &Program) -> Command {
    let mut command = match program.who {
        As::User if cell.systemd => logged_in(&program.path),
        As::Root | As::User => Command::new(&program.path),
    };
    command.args(&program.arguments).stdin(Stdio::null());
    command.env_clear().envs(cell.environment.iter().map(|(key, value)| (key, value)));
    match program.who {
        As::Root => command.env("HOME", "/root").current_dir("/root"),
        As::User => command
            .env("HOME", users::HOME)
            .env("XDG_RUNTIME_DIR", users::RUN)
            .current_dir(users::HOME),
    };
    if program.who == As::User && !cell.systemd {
        command.uid(users::UID).gid(users::UID);
    }
    command
}

/// The user's program where a login would start it: in a scope beside his manager's unit.
fn logged_in(path: &str) -> Command {
    let mut command = Command::new("systemd-run");
    command.args(["--quiet", "--scope", "--slice=user-1000.slice"]);
    command.args([format!("--uid={}", users::UID), format!("--gid={}", users::UID)]);
    command.arg("--").arg(path);
    command
}

/// What comes next of the program's output. Its end is the program's, also
/// where something that it left behind holds the other end of the pipe.
fn next(output: &OwnedFd, child: &mut Child) -> Option<Vec<u8>> {
    let moment = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    loop {
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        let mut ready = [PollFd::new(output, PollFlags::IN)];
        match poll(&mut ready, Some(&moment)) {
            Ok(0) if ended => return None,
            Ok(0) | Err(_) => {}
            Ok(_) => {
                let mut buffer = vec![0; 16 * 1024];
                let count = rustix::io::read(output, &mut buffer).unwrap_or(0);
                buffer.truncate(count);
                return (count > 0).then_some(buffer);
            }
        }
    }
}
