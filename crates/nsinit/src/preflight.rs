//! Parent: what this host refuses, asked before anything is made.

use nsinit_cgroups::Cgroup;
use nsinit_namespaces::NamespaceFile;

use crate::error::{Error, Result};
use crate::plan::{JoinedNamespace, Plan};

/// Looks for all that a plan needs and does not make. Reads only.
pub(crate) fn ask(plan: &Plan) -> Result<()> {
    for JoinedNamespace { kind, path } in &plan.joined {
        NamespaceFile::open(path, *kind).map_err(Error::Namespaces)?;
    }
    if let Some(cgroup) = plan.cgroup.as_ref().filter(|cgroup| cgroup.scope.is_none()) {
        Cgroup::check(&cgroup.path, &cgroup.limits).map_err(Error::Cgroup)?;
    }
    nsinit_network::check_host(&plan.interfaces).map_err(Error::Network)
}
