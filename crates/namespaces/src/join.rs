//! Both: the namespaces of a running process. `enter` is the child's, the
//! rest is the parent's.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat_raw};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::namespace_file::setns;
use crate::{Denier, Error, Kinds, Namespace, regular_file, sys};

/// A running process whose namespaces can be joined.
///
/// It is held by a pidfd, which was taken before anything was read about it,
/// so that another process with the same number is never joined.
///
/// ```
/// use nsinit_namespaces::{Join, Kinds, Namespace};
/// let own = Join::process(std::process::id().try_into()?)?;
/// assert!(own.shares(Namespace::Net) && own.kinds_to_join()?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Join {
    pidfd: OwnedFd,
    pid: i32,
    start_time: u64,
    namespaces: Identities,
}

/// What the links of /proc/PID/ns read, in the order of [`Namespace::ALL`]: another text is
/// another namespace (namespaces(7)). None for a kind that the kernel lacks. To follow the
/// links, as stat(2) does, costs three times as much.
type Identities = [Option<Identity>; 8];

/// `cgroup:[4026531835]`, and room.
type Identity = [u8; 32];

impl Join {
    /// The process with this id in the caller's pid namespace. Needs /proc,
    /// and the right to read the target's namespaces (ptrace(2),
    /// `PTRACE_MODE_READ`).
    ///
    /// # Errors
    /// [`Error::Gone`] when there is none, or it has ended; [`Error::Io`].
    pub fn process(pid: i32) -> Result<Self, Error> {
        // `from_raw` panics on what is negative.
        let id = if pid > 0 { Pid::from_raw(pid) } else { None };
        let id = id.ok_or(Error::Gone { pid })?;
        match pidfd_open(id, PidfdFlags::empty()) {
            Ok(pidfd) => Self::read(pidfd, pid),
            Err(Errno::SRCH) => Err(Error::Gone { pid }),
            Err(errno) => Err(Error::io(format!("process {pid}"), errno)),
        }
    }

    /// The process of a pidfd; `pid` must be its id in the caller's pid
    /// namespace.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `pid` is not its id; as [`process`](Self::process).
    pub fn from_pidfd(pidfd: OwnedFd, pid: i32) -> Result<Self, Error> {
        let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
        let about = regular_file::read(Path::new(&path)).map_err(|e| Error::io(&path, e))?;
        match pid_in_fdinfo(&about) {
            Some(found) if found == pid => Self::read(pidfd, pid),
            Some(-1) => Err(Error::Gone { pid }),
            found => Err(Error::Invalid {
                what: format!("process {pid}"),
                reason: match found {
                    Some(other) => format!("the pidfd is of process {other}"),
                    None => "the descriptor is no pidfd".to_owned(),
                },
            }),
        }
    }

    /// The process's id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// When it started, in clock ticks since boot (field 22 of
    /// `/proc/PID/stat`): with the id and the boot, this names a process for
    /// ever.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Its pidfd.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Moves the calling thread into these namespaces of the process, all or
    /// none (setns(2) with a pidfd); for a pid namespace, its next children.
    ///
    /// From then on the target's user may look into the calling process:
    /// make it not dumpable (prctl(2)) and close what the target must not
    /// have before (CVE-2016-9962).
    ///
    /// # Errors
    /// Errors of setns(2): `ESRCH` when the process has ended; `EPERM`;
    /// `EINVAL` for the user namespace that one is in already, see
    /// [`kinds_to_join`](Self::kinds_to_join), and for a user namespace from
    /// a process with several threads (time: `EUSERS`).
    pub fn enter(&self, kinds: Kinds) -> Result<(), Errno> {
        setns(self.pidfd.as_fd(), kinds)
    }

    /// Runs `work` on a thread of its own in these namespaces of the process.
    /// The caller stays where it is, and waits. A panic of `work` goes on in
    /// the caller.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a user or a time namespace, which no single
    /// thread can enter; [`Error::Denied`] without the privilege;
    /// [`Error::Gone`] when the process has ended.
    pub fn run<T: Send>(&self, kinds: Kinds, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        for kind in [Namespace::User, Namespace::Time] {
            if kinds.contains(kind.into()) {
                return Err(Error::Invalid {
                    what: format!("{} namespace of process {}", kind.word(), self.pid),
                    reason: "only a process with one thread can enter it".to_owned(),
                });
            }
        }
        let in_there = || {
            if kinds.contains(Kinds::MOUNT) {
                sys::unshare_fs()?;
            }
            self.enter(kinds)?;
            Ok(work())
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, in_there);
            match thread.map_err(|error| Error::io("thread", error))?.join() {
                Ok(result) => result.map_err(|errno| self.why_not(kinds, errno)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Whether the process has ended. What was read of it by its id before this says no was
    /// about this process.
    ///
    /// # Errors
    /// Of poll(2).
    pub fn has_ended(&self) -> Result<bool, Error> {
        ended(&self.pidfd).map_err(|errno| Error::io(format!("process {}", self.pid), errno))
    }

    /// Whether the calling thread is in the same namespace of this kind;
    /// false where /proc does not tell.
    pub fn shares(&self, kind: Namespace) -> bool {
        self.kinds_to_join().is_ok_and(|others| !others.contains(kind.into()))
            && self.namespace(kind).is_some()
    }

    /// The kinds of which the process has another namespace than the calling
    /// thread: what [`enter`](Self::enter) is for.
    ///
    /// # Errors
    /// [`Error::Io`] where /proc does not tell.
    pub fn kinds_to_join(&self) -> Result<Kinds, Error> {
        let path = "/proc/thread-self/ns";
        let own = identities(path).map_err(|(file, errno)| Error::io(file, errno))?;
        let pairs = Namespace::ALL.into_iter().zip(self.namespaces.iter().zip(&own));
        let others = pairs.filter(|(_, (theirs, own))| theirs.is_some() && theirs != own);
        Ok(others.map(|(kind, _)| kind).collect())
    }

    fn namespace(&self, kind: Namespace) -> Option<Identity> {
        Namespace::ALL.into_iter().zip(self.namespaces).find(|(k, _)| *k == kind)?.1
    }

    /// Reads what /proc says of the process. That it still runs afterwards
    /// proves that all of it was about this process.
    fn read(pidfd: OwnedFd, pid: i32) -> Result<Self, Error> {
        let path = format!("/proc/{pid}");
        let io = |what: String, errno| match errno {
            Errno::NOENT | Errno::SRCH => Error::Gone { pid },
            errno => Error::io(what, errno),
        };
        let namespaces = identities(&format!("{path}/ns"));
        let stat = regular_file::read(&Path::new(&path).join("stat")).unwrap_or_default();
        let start_time = start_time_in(&stat);
        if ended(&pidfd).map_err(|errno| Error::io(&path, errno))? {
            return Err(Error::Gone { pid });
        }
        let namespaces = namespaces.map_err(|(file, errno)| io(file, errno))?;
        let start_time = start_time.ok_or_else(|| Error::io(format!("{path}/stat"), Errno::IO))?;
        Ok(Self { pidfd, pid, start_time, namespaces })
    }

    fn why_not(&self, kinds: Kinds, errno: Errno) -> Error {
        let what = format!("{} of process {}", kinds.phrase("the"), self.pid);
        match errno {
            Errno::SRCH => Error::Gone { pid: self.pid },
            Errno::PERM => Error::Denied {
                by: Denier::Kernel,
                what,
                source: errno.into(),
                remedy: Some(
                    "this takes CAP_SYS_ADMIN in the caller's user namespace and in the one that \
                     owns the target's, and the right to trace the process"
                        .to_owned(),
                ),
            },
            errno => Error::io(what, errno),
        }
    }
}

/// Of the process of that directory; else the file and why it cannot be read.
fn identities(directory: &str) -> Result<Identities, (String, Errno)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, directory, flags, Mode::empty());
    let opened = opened.map_err(|errno| (directory.to_owned(), errno))?;
    let mut found = [None; 8];
    for (kind, place) in Namespace::ALL.into_iter().zip(&mut found) {
        let mut text = [0; size_of::<Identity>()];
        match readlinkat_raw(&opened, kind.file(), &mut text[..]) {
            Ok(_) => *place = Some(text),
            // A kernel without this kind, or a process that has ended.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err((format!("{directory}/{}", kind.file()), errno)),
        }
    }
    Ok(found)
}

/// Whether the process has ended: its pidfd is readable.
fn ended(pidfd: &OwnedFd) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
}

/// The line `Pid:` of /proc/self/fdinfo/N for a pidfd; -1 when it has ended.
fn pid_in_fdinfo(text: &str) -> Option<i32> {
    text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

/// Field 22 of /proc/PID/stat (proc_pid_stat(5)). The second field is the
/// program's name in parentheses, and may itself contain any of these.
fn start_time_in(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_does_not_forge_the_start_time() {
        let stat = "7 (a) R 1 (2) S 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4242 99";
        assert_eq!(start_time_in(stat), Some(4242));
        assert_eq!((start_time_in(""), start_time_in("7 (sh) S 1 2")), (None, None));
    }

    #[test]
    fn the_id_behind_a_pidfd_is_read() {
        assert_eq!(pid_in_fdinfo("pos:\t0\nflags:\t02\nPid:\t42\nNSpid:\t42\n"), Some(42));
        assert_eq!(pid_in_fdinfo("Pid:\t-1\n"), Some(-1));
        assert_eq!(pid_in_fdinfo("pos:\t0\n"), None);
    }
}
