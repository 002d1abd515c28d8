//! Parent: why something was refused, and what would make it possible.
//!
//! Asked only after a failure, and by `nsinit doctor` beforehand; one question a file.
//! Each answer is made from texts of /proc and /sys. A hint never contains the words by
//! which engines classify an error (decision 18 of docs/decisions/0003): "permission
//! denied" and the like.

pub(crate) mod access;
pub(crate) mod covering;
mod format;
pub(crate) mod ids;
pub(crate) mod limits;
pub(crate) mod lsm;
pub(crate) mod masked;
mod network;
pub(crate) mod program;
mod refused;

use std::error::Error as _;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::error::Error;
use crate::plan::Plan;
use crate::step::Step;

/// A process that failed, and waits until it has been looked at.
#[derive(Debug)]
pub(crate) struct Scene {
    pid: u32,
    /// Its root directory, if it could open it.
    root: Option<OwnedFd>,
}

impl Scene {
    pub(crate) fn of(pid: Pid, root: Option<OwnedFd>) -> Scene {
        Scene { pid: pid.as_raw_nonzero().get().unsigned_abs(), root }
    }

    /// A file of the process in /proc; empty when it cannot be read.
    fn read(&self, file: &str) -> String {
        read(&format!("/proc/{}/{file}", self.pid))
    }
}

/// The text of a file of the kernel's; empty when it cannot be read.
pub(crate) fn read(path: &str) -> String {
    /// As much as a hundred thousand mounts take.
    const LIMIT: u64 = 32 << 20;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
    read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
}

/// A remedy for a step's failure, where one is known.
pub(crate) fn of_step(plan: &Plan, step: &Step, errno: Errno, scene: &Scene) -> Option<String> {
    match (step, errno) {
        (Step::WorkingDirectory(path), _) => program::not_entered(plan, path, scene),
        (Step::Sysctl(sysctl), Errno::NOENT) => {
            Some(format!("this kernel has no {}", sysctl.key()))
        }
        (Step::CallFilter(_), Errno::INVAL | Errno::NOSYS) => {
            let hint = "this kernel has no system call filters (CONFIG_SECCOMP_FILTER): \
                        \"seccomp\": \"unconfined\" does without";
            Some(hint.into())
        }
        (_, Errno::PERM | Errno::ACCESS) => refused::of_step(plan, step, errno, scene),
        (_, Errno::ROFS) => covering::of_step(plan, step, scene),
        _ => limits::of_step(plan, step, errno, scene),
    }
}

/// A remedy for a failure of the launcher itself.
pub(crate) fn of_error(error: &Error) -> Option<String> {
    match error {
        Error::Network(error) => return network::remedy(error),
        Error::Rootfs(nsinit_rootfs::Error::MissingMountPoint { path, above }) => {
            let told = covering::read_only(&read("/proc/self/mountinfo"), above)?;
            return Some(format!(
                "{told}: make {} beforehand, or mount it writable",
                path.display()
            ));
        }
        _ => {}
    }
    let errno = errno_of(error)?;
    let path = match error {
        Error::Io { path, .. } => path.as_deref(),
        Error::Rootfs(error) => Some(error.path()),
        _ => None,
    };
    match (errno, path) {
        (Errno::ROFS, Some(path)) => covering::read_only(&read("/proc/self/mountinfo"), path),
        (Errno::NOSPC | Errno::DQUOT, Some(path)) => limits::full(path),
        (Errno::PERM | Errno::ACCESS, path) => {
            path.and_then(access::closed).or_else(|| lsm::logged(std::process::id()))
        }
        _ => limits::of_errno(errno),
    }
}

/// The kernel's answer at the end of an error's chain of causes.
fn errno_of(error: &Error) -> Option<Errno> {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.find_map(|cause| Errno::from_io_error(cause.downcast_ref::<std::io::Error>()?))
}
