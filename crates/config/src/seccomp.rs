//! Parent: the key `seccomp`.

use serde::{Deserialize, Serialize};

/// The system call filter asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Seccomp {
    /// No user namespaces of the program's own, unless it has `SYS_ADMIN`, and no keyrings
    /// of the kernel.
    Default,
    /// No filter.
    Unconfined,
}
