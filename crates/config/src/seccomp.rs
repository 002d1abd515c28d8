//! Parent: the key `seccomp`.

use serde::{Deserialize, Serialize};

/// The system call filter asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Seccomp {
    /// The default filter. Reserved: [`validate`](crate::Container::validate)
    /// refuses it as long as there is none, since a filter that was asked for
    /// is never left out.
    Default,
    /// No filter.
    Unconfined,
}
