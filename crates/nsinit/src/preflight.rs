//! Parent: what this host refuses, asked before anything is made.

use nsinit_cgroups::Cgroup;
use nsinit_namespaces::NamespaceFile;

use crate::error::{Error, Result};
use crate::plan::{JoinedNamespace, Plan};

/// Looks for what a launch would only miss after it has made something. Reads only.
pub(crate) fn ask(plan: &Plan) -> Result<()> {
    for JoinedNamespace { kind, path } in &plan.joined {
        NamespaceFile::open(path, *kind).map_err(Error::Namespaces)?;
    }
    nsinit_network::check_host(&plan.interfaces).map_err(Error::Network)
}

/// Looks for the rest, which a launch asks for itself: the cgroup is what it makes first.
pub(crate) fn ask_for_cgroup(plan: &Plan) -> Result<()> {
    match plan.cgroup.as_ref().filter(|cgroup| cgroup.scope.is_none()) {
        Some(cgroup) => Cgroup::check(&cgroup.path, &cgroup.limits).map_err(Error::Cgroup),
        None => Ok(()),
    }
}
