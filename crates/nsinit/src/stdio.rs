//! Parent: what the program reads from and writes to.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Output;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

/// What the program gets as standard input, output and error.
#[derive(Debug)]
pub struct Stdio {
    kind: Kind,
    pub(crate) trace: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Inherit,
    Piped,
    Null,
}

impl Stdio {
    /// The launcher's own.
    #[must_use]
    pub fn inherit() -> Stdio {
        Stdio { kind: Kind::Inherit, trace: false }
    }

    /// New pipes, whose other ends are in [`Running`](crate::Running).
    #[must_use]
    pub fn piped() -> Stdio {
        Stdio { kind: Kind::Piped, trace: false }
    }

    /// `/dev/null`.
    #[must_use]
    pub fn null() -> Stdio {
        Stdio { kind: Kind::Null, trace: false }
    }

    /// Records when each step is done; see [`Running::trace`](crate::Running::trace).
    #[must_use]
    pub fn traced(self) -> Stdio {
        Stdio { trace: true, ..self }
    }

    /// The launcher's ends, and what the program gets.
    pub(crate) fn open(&self) -> io::Result<(Pipes, [Option<OwnedFd>; 3])> {
        match self.kind {
            Kind::Inherit => Ok((Pipes::default(), [None, None, None])),
            Kind::Null => {
                let null = File::options().read(true).write(true).open("/dev/null")?;
                let copies = [null.try_clone()?, null.try_clone()?, null];
                Ok((Pipes::default(), copies.map(|file| Some(OwnedFd::from(file)))))
            }
            Kind::Piped => {
                let (stdin, input) = pipe_with(PipeFlags::CLOEXEC)?;
                let (output, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
                let (error, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
                let pipes = Pipes {
                    stdin: Some(input.into()),
                    stdout: Some(output.into()),
                    stderr: Some(error.into()),
                };
                Ok((pipes, [Some(stdin), Some(stdout), Some(stderr)]))
            }
        }
    }
}

/// Descriptors 0 to 2, open as long as this lives, so that nothing that is opened meanwhile is
/// one of them: init puts the program's there. A caller may have closed its own.
pub(crate) struct Occupied(#[expect(dead_code, reason = "held open")] Vec<OwnedFd>);

impl Occupied {
    pub(crate) fn take() -> io::Result<Occupied> {
        let mut held = Vec::new();
        loop {
            let null = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty())?;
            if null.as_raw_fd() > 2 {
                return Ok(Occupied(held));
            }
            held.push(null);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pub(crate) stdin: Option<File>,
    pub(crate) stdout: Option<File>,
    pub(crate) stderr: Option<File>,
}

/// Reads both pipes to their ends; one alone could fill up and stop the program.
pub(crate) fn read_both(
    (mut stdout, mut stderr): (Option<File>, Option<File>),
    output: &mut Output,
) -> io::Result<()> {
    let mut chunk = [0; 8192];
    while stdout.is_some() || stderr.is_some() {
        let open = [stdout.as_ref(), stderr.as_ref()];
        let mut fds: Vec<_> =
            open.iter().flatten().map(|pipe| PollFd::new(*pipe, PollFlags::IN)).collect();
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        let mut ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        ready.reverse();
        for (pipe, sink) in [(&mut stdout, &mut output.stdout), (&mut stderr, &mut output.stderr)] {
            if pipe.is_none() || !ready.pop().unwrap_or(false) {
                continue;
            }
            let count = pipe.as_mut().map_or(Ok(0), |pipe| pipe.read(&mut chunk))?;
            sink.extend_from_slice(&chunk[..count]);
            if count == 0 {
                *pipe = None;
            }
        }
    }
    Ok(())
}
