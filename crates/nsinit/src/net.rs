//! Parent: a container's network namespace, made by the launcher while init mounts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nsinit_network::{loopback_up, open_socket};
use nsinit_rootfs::detached_procfs;
use rustix::io::Errno;
use rustix::process::getpid;

use crate::diagnosis::Scene;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::step::Step;

/// What the launcher holds of a network namespace that it has made.
#[derive(Debug)]
pub(crate) struct Network {
    /// A netlink socket in it.
    pub(crate) socket: OwnedFd,
    /// By which its parameters were set. To close it takes a grace period of the kernel's.
    pub(crate) procfs: OwnedFd,
}

impl Network {
    /// Does the launcher's steps; None where there are none. Init is given the socket as soon
    /// as there is one: it needs the namespace, not what is in it.
    pub(crate) fn make(
        plan: &Plan,
        give: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    ) -> Result<Option<Network>> {
        let Some((unshare, others)) = plan.launcher_steps.split_first() else { return Ok(None) };
        let failed =
            |step: &Step, errno| Error::of_step(plan, step, errno, &Scene::of(getpid(), None));
        let unmade = |errno| failed(unshare, errno);
        let furnish = || {
            let socket = open_socket().map_err(unmade)?;
            give(socket.as_fd())?;
            let procfs = detached_procfs().map_err(unmade)?;
            for step in others {
                let done = match step {
                    Step::Loopback => loopback_up(socket.as_fd()),
                    Step::Sysctl(sysctl) => sysctl.apply(procfs.as_fd()),
                    _ => Err(Errno::NOSYS),
                };
                done.map_err(|errno| failed(step, errno))?;
            }
            Ok(Some(Network { socket, procfs }))
        };
        nsinit_namespaces::in_new_network(furnish).map_err(unmade)?
    }
}
