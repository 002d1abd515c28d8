//! Parent: a program in new namespaces, in the manner of `std::process`.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use rustix::process::{Pid, Signal};

use crate::program::{Action, FAILURE, Failure, GO, Program};
use crate::sys::{self, CVector};
use crate::{CloneRequest, Denier, Error, IdMaps, Kinds, Process};

/// Starts a program in new namespaces.
///
/// Like [`std::process::Command`]: descriptors, directory and environment are
/// the caller's. With a new user namespace the program is user 0 in it
/// wherever 0 is mapped; with a new mount namespace what it mounts is not
/// seen outside. /proc stays the caller's, also in a new pid namespace.
///
/// ```
/// use nsinit_namespaces::{Command, IdMaps, Kinds};
/// let mut child = Command::new("sh")
///     .args(["-c", r#"test "$$" = 1 && test "$(id -u)" = 0"#])
///     .unshare(Kinds::USER | Kinds::PID)
///     .id_maps(IdMaps::caller_as_root())
///     .spawn()?;
/// assert!(child.wait()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    kinds: Kinds,
    id_maps: Option<IdMaps>,
}

impl Command {
    /// The program: a path, or a name that is looked for in the absolute
    /// directories of `PATH` (the one given by [`env`](Self::env), or else the
    /// caller's).
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            kinds: Kinds::NONE,
            id_maps: None,
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the program's environment, which is else the
    /// caller's.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.env.insert(key.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Adds new namespaces.
    pub fn unshare(&mut self, kinds: Kinds) -> &mut Self {
        self.kinds.insert(kinds);
        self
    }

    /// The ids of the new user namespace, which [`unshare`](Self::unshare)
    /// must ask for; [`IdMaps::caller_as_root`] if this is not called.
    pub fn id_maps(&mut self, maps: IdMaps) -> &mut Self {
        self.id_maps = Some(maps);
        self
    }

    /// Starts the program; returns when it runs.
    ///
    /// # Errors
    /// [`Error::Program`] when it does not run; the errors of
    /// [`clone`](crate::clone()) and [`IdMaps::write`]. No process is left
    /// behind.
    pub fn spawn(&mut self) -> Result<Child, Error> {
        let maps = self.maps()?;
        let program = self.prepare(maps.as_ref())?;
        let io = |errno| Error::io("socket pair", errno);
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(io)?;
        let request = CloneRequest { kinds: self.kinds, ..CloneRequest::default() };
        let process = sys::clone_for_command(&request, &program, ours.as_fd(), theirs.as_fd())?;
        drop(theirs);
        match self.see_it_run(&process, maps.as_ref(), ours.as_fd()) {
            Ok(()) => Ok(Child { process }),
            Err(error) => {
                // Whether this works or not, the first error is the one to tell.
                let _ = process.kill(Signal::KILL);
                let _ = process.wait();
                Err(error)
            }
        }
    }

    fn maps(&self) -> Result<Option<IdMaps>, Error> {
        match (self.kinds.contains(Kinds::USER), &self.id_maps) {
            (true, Some(maps)) => maps.validate().map(|()| Some(maps.clone())),
            (true, None) => Ok(Some(IdMaps::caller_as_root())),
            (false, None) => Ok(None),
            (false, Some(_)) => Err(Error::Invalid {
                what: "id maps".to_owned(),
                reason: "they need a new user namespace".to_owned(),
            }),
        }
    }

    fn prepare(&self, maps: Option<&IdMaps>) -> Result<Program, Error> {
        let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        variables.extend(self.env.clone());
        let places = places(&self.program, variables.get(OsStr::new("PATH")));
        if places.is_empty() {
            return Err(self.failed("", Errno::NOENT));
        }
        let argv = std::iter::once(&self.program).chain(&self.args).cloned();
        let envp = variables.into_iter().map(|(mut pair, value)| {
            pair.push("=");
            pair.push(value);
            pair
        });
        let root = maps.filter(|maps| maps.maps_uid(0) && maps.maps_gid(0));
        Ok(Program {
            places: c_strings(places.into_iter().map(PathBuf::into_os_string))?,
            argv: CVector::new(c_strings(argv)?),
            envp: CVector::new(c_strings(envp)?),
            root: root.map(|maps| !maps.denies_setgroups()),
            mount: self.kinds.contains(Kinds::MOUNT),
        })
    }

    fn see_it_run(
        &self,
        process: &Process,
        maps: Option<&IdMaps>,
        channel: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        if let Some(maps) = maps {
            maps.write(process.pid())?;
        }
        let io = |errno| Error::io(format!("process {}", process.pid().as_raw_nonzero()), errno);
        send(channel, GO, SendFlags::NOSIGNAL).map_err(io)?;
        let mut failure = [0; FAILURE];
        let (length, _) =
            retry_on_intr(|| recv(channel, &mut failure, RecvFlags::empty())).map_err(io)?;
        // The channel closes on execve, without a message.
        if length < FAILURE { Ok(()) } else { Err(self.explain(Failure::decode(failure))) }
    }

    fn explain(&self, failure: Failure) -> Error {
        let Failure { action, errno } = failure;
        let refused = matches!(errno, Errno::PERM | Errno::ACCESS);
        match action {
            Action::Execute => self.failed("", errno),
            Action::BecomeRoot | Action::MountPropagation if refused => {
                match Denier::of_user_namespaces() {
                    Some(by) => Error::denied(by, self.kinds.phrase("new"), errno),
                    None => self.failed(words(action), errno),
                }
            }
            Action::BecomeRoot | Action::MountPropagation => self.failed(words(action), errno),
        }
    }

    fn failed(&self, action: &'static str, errno: Errno) -> Error {
        Error::Program { program: PathBuf::from(&self.program), action, source: errno.into() }
    }
}

fn words(action: Action) -> &'static str {
    match action {
        Action::BecomeRoot => "become root of the user namespace",
        Action::MountPropagation => "make the mounts slaves",
        Action::Execute => "",
    }
}

/// Where a program may be. Relative elements of PATH are passed over: they
/// would mean another directory inside.
fn places(program: &OsStr, path: Option<&OsString>) -> Vec<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let default = OsStr::new("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    let directories = std::env::split_paths(path.map_or(default, OsString::as_os_str));
    let wanted = !program.is_empty();
    directories.filter(|d| wanted && d.is_absolute()).map(|d| d.join(program)).collect()
}

fn c_strings(strings: impl Iterator<Item = OsString>) -> Result<Vec<CString>, Error> {
    strings
        .map(|string| {
            CString::new(string.into_vec()).map_err(|error| Error::Invalid {
                what: String::from_utf8_lossy(&error.into_vec()).replace('\0', "\\0"),
                reason: "contains a NUL byte".to_owned(),
            })
        })
        .collect()
}

/// A running program of a [`Command`]. Dropping it neither ends nor reaps it.
#[derive(Debug)]
#[must_use = "a child that nobody waits for stays a zombie"]
pub struct Child {
    process: Process,
}

impl Child {
    /// Its process id in the caller's pid namespace.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Its pidfd: readable for poll(2) when it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd()
    }

    /// Waits until it has ended, by its pidfd, and reaps it.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.process.wait()
    }

    /// Its status, `None` while it runs.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Sends a signal by the pidfd.
    ///
    /// # Errors
    /// As [`Process::kill`].
    pub fn kill(&mut self, signal: Signal) -> Result<(), Errno> {
        self.process.kill(signal)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_program_is_looked_for_in_absolute_directories_only() {
        let found = |program: &str, path: &str| places(OsStr::new(program), Some(&path.into()));
        assert_eq!(found("sh", "PATH=x:/a::.:/b/"), [Path::new("/a/sh"), Path::new("/b/sh")]);
        assert_eq!(found("./sh", "/a"), [Path::new("./sh")]);
        assert!(found("", "/a").is_empty() && found("sh", "a").is_empty());
    }

    #[test]
    fn a_contradiction_is_told_before_anything_happens() {
        let error = Command::new("true").id_maps(IdMaps::caller_as_root()).spawn().unwrap_err();
        assert_eq!(error.to_string(), "id maps: they need a new user namespace");
        let error = Command::new("true").arg("a\0b").spawn().unwrap_err();
        assert_eq!(error.to_string(), "a\\0b: contains a NUL byte");
    }
}
