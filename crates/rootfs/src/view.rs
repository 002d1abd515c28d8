//! Both: the front door for users of this crate alone.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::plan::{self, Dev};
use crate::{Child, Error, Furniture, Mount, NewNamespaces, Rootfs, Step};

/// Namespaces whose newness decides between two ways.
const PID: usize = 1;
const NET: usize = 2;
const IPC: usize = 4;
const USER: usize = 8;

/// A furnished root filesystem, ready to be entered. Made by [`Rootfs::furnish`].
///
/// Which namespaces the process that enters has left behind is seen only then, so
/// the steps of every case are prepared.
#[derive(Debug)]
pub struct View {
    /// Indexed by the bits above; without a user namespace only `IPC` matters.
    cases: Vec<Vec<Step>>,
    /// What the caller is in: user, PID, network and IPC namespace.
    own: [(usize, Identity); 4],
}

type Identity = (u64, u64);

impl View {
    pub(crate) fn new(root: &Rootfs, mounts: &[Mount]) -> Result<View, Error> {
        let own = Kinds::look().map_err(|errno| Error::io("/proc/self/ns", errno))?.0;
        let mut furniture = Furniture { mounts: mounts.to_vec(), ..Furniture::default() };
        let mut cases = Vec::new();
        for case in 0..2 * USER {
            let is = |bit| case & bit != 0;
            furniture.facts.user_namespace = is(USER);
            furniture.facts.maps_tty_gid = !is(USER);
            furniture.facts.new =
                NewNamespaces { pid: is(PID), net: is(NET), ipc: is(IPC), cgroup: false };
            cases.push(plan::steps(root, &furniture, Dev::IfListed)?);
        }
        Ok(View { cases, own })
    }

    /// Enters: mounts everything and makes the root filesystem `/`. For a child in a
    /// new mount namespace and, where it has no privilege, a new user namespace.
    /// Allocates nothing: fits `pre_exec`.
    ///
    /// # Errors
    /// The errno of the first system call that failed. The mount namespace is then
    /// half furnished: the process has to end.
    pub fn enter(&self) -> Result<(), Errno> {
        let now = Kinds::look()?.0;
        let mut case = 0;
        for ((bit, before), (_, after)) in self.own.iter().zip(now) {
            case |= if *before == after { 0 } else { *bit };
        }
        let mut child = Child::new();
        let steps = self.cases.get(case).ok_or(Errno::INVAL)?;
        steps.iter().try_for_each(|step| step.apply(&mut child))
    }

    /// The steps for a child in new user, mount and PID namespaces, to be shown.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        self.cases.get(USER | PID).map_or(&[], Vec::as_slice)
    }
}

struct Kinds([(usize, Identity); 4]);

impl Kinds {
    fn look() -> Result<Kinds, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory: OwnedFd = rustix::fs::openat(CWD, c"/proc/self/ns", flags, Mode::empty())?;
        let mut seen = [(USER, (0, 0)), (PID, (0, 0)), (NET, (0, 0)), (IPC, (0, 0))];
        for (name, (_, identity)) in [c"user", c"pid", c"net", c"ipc"].iter().zip(&mut seen) {
            let file = rustix::fs::AtFlags::empty();
            let stat = rustix::fs::statat(directory.as_fd(), *name, file)?;
            *identity = (stat.st_dev, stat.st_ino);
        }
        Ok(Kinds(seen))
    }
}
