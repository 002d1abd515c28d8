//! Parent: run `newuidmap` and `newgidmap`, the set-user-ID programs that
//! write a map of subordinate ids (newuidmap(1)).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::{Error, IdMap, sys};

/// Where distributions install set-user-ID programs. `PATH` is the caller's
/// and is not asked.
const DIRECTORIES: [&str; 5] =
    ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin", "/run/privileged/bin"];

/// How much of a program's output is kept, in bytes.
const OUTPUT: usize = 64 << 10;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether both programs are installed.
pub(crate) fn installed() -> bool {
    ["newuidmap", "newgidmap"].iter().all(|name| find(name).is_some())
}

/// The absolute path of an installed program.
fn find(name: &str) -> Option<PathBuf> {
    DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).find(|path| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

/// Has the program `name` write the map of process `pid`.
pub(crate) fn write(name: &str, pid: Pid, lines: &[IdMap]) -> Result<(), Error> {
    let Some(program) = find(name) else {
        let reason = format!("not installed in {}", DIRECTORIES.join(", "));
        let remedy = "install the package uidmap (Debian, Ubuntu) or shadow-utils".to_owned();
        return Err(Error::MapProgram { program: name.into(), reason, remedy: Some(remedy) });
    };
    let mut args = vec![pid.as_raw_nonzero().to_string()];
    for line in lines {
        args.extend([line.container_id, line.host_id, line.size].map(|id| id.to_string()));
    }
    let reason = match run(&program, &args, PATIENCE) {
        Ok(end) if end.status.is_some_and(|status| status.success()) => return Ok(()),
        Ok(end) => end.words(),
        Err(error) => return Err(Error::io(program.display().to_string(), error)),
    };
    Err(Error::MapProgram { program, reason, remedy: no_new_privileges() })
}

/// Under no_new_privileges a set-user-ID program gains nothing.
fn no_new_privileges() -> Option<String> {
    let forbidden = rustix::thread::no_new_privs().unwrap_or(false);
    forbidden.then(|| {
        "the caller has no_new_privileges, with which no set-user-ID program works: start it \
         without"
            .to_owned()
    })
}

/// How a program ended; no status: it was ended, for it took too long.
struct End {
    status: Option<ExitStatus>,
    output: Vec<u8>,
}

impl End {
    fn words(&self) -> String {
        let said = String::from_utf8_lossy(&self.output);
        let said = said.trim().replace('\n', "; ");
        match self.status {
            Some(status) if said.is_empty() => status.to_string(),
            Some(_) => said,
            None => format!("did not end within {} seconds; {said}", PATIENCE.as_secs()),
        }
    }
}

/// Runs `program` in `/` with an empty environment, its output (both streams)
/// kept up to [`OUTPUT`] bytes and thrown away beyond.
fn run(program: &Path, args: &[String], patience: Duration) -> io::Result<End> {
    sys::default_sigchld();
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&reader, OFlags::NONBLOCK)?;
    let mut command = Command::new(program);
    command.args(args).env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // It holds the ends for writing: without them the reader sees the end.
    drop(command);
    let output = watch(&mut child, &reader, patience);
    let ended = child.try_wait();
    match (output, ended) {
        (Ok(output), Ok(Some(status))) => Ok(End { status: Some(status), output }),
        (output, _) => {
            child.kill()?;
            child.wait()?;
            Ok(End { status: None, output: output? })
        }
    }
}

/// Reads what the child says until it has ended or the time is over. A
/// process that it leaves behind with the pipe open is not waited for.
fn watch(child: &mut Child, reader: &OwnedFd, patience: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + patience;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut output = Vec::new();
    let mut silent = false;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        let events = if silent { PollFlags::empty() } else { PollFlags::IN };
        let mut fds =
            [PollFd::new(&pidfd, PollFlags::IN), PollFd::from_borrowed_fd(reader.as_fd(), events)];
        let watched = if silent { &mut fds[..1] } else { &mut fds[..] };
        match poll(watched, Some(&left)) {
            Ok(0) => return Ok(output),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ended = !fds[0].revents().is_empty();
        silent = silent || drain(reader, &mut output)?;
        if ended {
            return Ok(output);
        }
    }
}

/// Takes what is in the pipe now; true at its end.
fn drain(reader: &OwnedFd, output: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    // A program that never stops writing must not hold us beyond its time.
    for _ in 0..64 {
        match rustix::io::read(reader, &mut buffer) {
            Ok(0) => return Ok(true),
            Ok(length) => {
                let room = (OUTPUT - output.len()).min(length);
                output.extend_from_slice(&buffer[..room]);
            }
            Err(Errno::AGAIN) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> End {
        run(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], patience).unwrap()
    }

    #[test]
    fn the_program_gets_no_environment_and_both_streams_are_kept() {
        let end = shell("echo out; echo err >&2; pwd; /usr/bin/env; exit 3", PATIENCE);
        assert_eq!(end.status.unwrap().code(), Some(3));
        assert_eq!(end.words().replace("PWD=/", "").trim(), "out; err; /;");
    }

    #[test]
    fn the_output_is_bounded() {
        let end = shell("head -c 1000000 /dev/zero; exit 1", PATIENCE);
        assert_eq!((end.status.unwrap().code(), end.output.len()), (Some(1), OUTPUT));
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let start = Instant::now();
        let end = shell("echo here; exec sleep 60", Duration::from_millis(300));
        assert!(end.status.is_none() && start.elapsed() < Duration::from_secs(20));
        assert_eq!(end.words(), "did not end within 10 seconds; here");
        let noisy = shell("exec cat /dev/zero", Duration::from_millis(300));
        assert!(noisy.status.is_none());
    }

    #[test]
    fn a_process_left_behind_with_the_pipe_is_not_waited_for() {
        let start = Instant::now();
        let end = shell("sleep 3 & exit 0", PATIENCE);
        assert!(end.status.unwrap().success() && start.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_closed_output_does_not_end_the_watch() {
        let end = shell("exec >&- 2>&-; sleep 0.2; exit 4", PATIENCE);
        assert_eq!(end.status.unwrap().code(), Some(4));
    }
}
