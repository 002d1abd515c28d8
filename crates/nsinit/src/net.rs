//! Parent: a container's network namespace, made by the launcher while init mounts.

use std::os::fd::{AsFd, OwnedFd};

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
    /// Does the launcher's steps; None where there are none.
    pub(crate) fn make(plan: &Plan) -> Result<Option<Network>> {
        let Some(first) = plan.launcher_steps.first() else { return Ok(None) };
        let failed = |(step, errno)| Error::of_step(plan, step, errno, &Scene::of(getpid(), None));
        let made = nsinit_namespaces::in_new_network(|| furnish(first, &plan.launcher_steps[1..]));
        made.map_err(|errno| failed((first, errno)))?.map(Some).map_err(failed)
    }
}

/// Within the namespace, which is made by the first step.
fn furnish<'a>(
    first: &'a Step,
    others: &'a [Step],
) -> std::result::Result<Network, (&'a Step, Errno)> {
    let socket = open_socket().map_err(|errno| (first, errno))?;
    let procfs = detached_procfs().map_err(|errno| (first, errno))?;
    for step in others {
        let done = match step {
            Step::Loopback => loopback_up(socket.as_fd()),
            Step::Sysctl(sysctl) => sysctl.apply(procfs.as_fd()),
            _ => Err(Errno::NOSYS),
        };
        done.map_err(|errno| (step, errno))?;
    }
    Ok(Network { socket, procfs })
}
