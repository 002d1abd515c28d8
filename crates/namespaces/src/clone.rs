//! Parent: what a clone is asked for.

use std::os::fd::BorrowedFd;

use crate::Kinds;

/// What [`clone`](crate::clone()) makes besides a copy of the caller.
///
/// ```
/// use nsinit_namespaces::{CloneRequest, Kinds};
/// let request = CloneRequest { kinds: Kinds::USER | Kinds::PID, ..CloneRequest::default() };
/// assert!(request.into_cgroup.is_none() && !request.sibling);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneRequest<'a> {
    /// The namespaces that are born with the child.
    pub kinds: Kinds,
    /// A directory of a cgroup v2 hierarchy the child is born into
    /// (`CLONE_INTO_CGROUP`, Linux 5.7).
    pub into_cgroup: Option<BorrowedFd<'a>>,
    /// The child becomes a child of the caller's parent (`CLONE_PARENT`): the
    /// caller cannot wait for it, the caller's parent must. The kernel refuses
    /// this to PID 1 of a pid namespace.
    pub sibling: bool,
}
