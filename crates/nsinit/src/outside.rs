//! Parent: what a container has outside of its namespaces: made before it, removed after it.

use nsinit_cgroups::Cgroup;
use nsinit_network::Links;

use crate::error::{Error, Result};

/// What exists outside of the container because of it. Removed with it.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) cgroup: Option<Cgroup>,
    pub(crate) links: Option<Links>,
}

impl Outside {
    pub(crate) fn out_of_memory(&self) -> Option<u64> {
        out_of_memory(self.cgroup.as_ref()?)
    }

    /// Removes everything; goes on after a failure and returns the first.
    pub(crate) fn remove(&mut self) -> Result<()> {
        // The kernel removes the host ends with the namespace, but not at once.
        let links = self.links.take().map_or(Ok(()), Links::remove).map_err(Error::Network);
        let cgroup = self.cgroup.take().map_or(Ok(()), remove_cgroup).map_err(Error::Cgroup);
        links.and(cgroup)
    }
}

fn remove_cgroup(cgroup: Cgroup) -> std::result::Result<(), nsinit_cgroups::Error> {
    // As a rule: nothing outlives the PID namespace.
    if cgroup.remove_empty()? {
        return Ok(());
    }
    cgroup.kill()?;
    cgroup.remove()
}

impl Drop for Outside {
    fn drop(&mut self) {
        // Only reached with something left when another failure is being told already.
        let _ = self.remove();
    }
}

/// A cgroup's limit of memory in bytes, where somebody was killed for it.
pub(crate) fn out_of_memory(cgroup: &Cgroup) -> Option<u64> {
    let memory = cgroup.stats().ok()?.memory;
    memory.limit.filter(|_| memory.oom_kills > 0)
}
