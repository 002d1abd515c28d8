//! What a program may not do: capabilities, labels, user and groups, limits, no_new_privs.
//!
//! Each part is found and checked by the parent, with errors that name the object, and applied by
//! the child between clone and execve: there by functions that make system calls and nothing else,
//! and that return an [`Errno`](rustix::io::Errno).
//!
//! ```no_run
//! use nsinit_security::{Capability, CapabilitySet, Confinement, Lsm};
//! use std::os::unix::process::CommandExt;
//!
//! let lsm = Lsm::init()?; // before any mount namespace is set up
//! let label = lsm.selinux()?.exec_label("system_u:system_r:container_t:s0:c1,c2")?;
//! let lock = Confinement {
//!     capabilities: Some(CapabilitySet::CONTAINER - Capability::Setfcap),
//!     label: Some(label),
//!     no_new_privileges: true,
//!     ..Confinement::NONE
//! }
//! .prepare()?;
//! let mut command = std::process::Command::new("id");
//! // SAFETY: `apply` makes system calls and nothing else.
//! unsafe { command.pre_exec(move || Ok(lock.apply()?)) }; // one capset, read back
//! command.status()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The order in the child
//! 1. [`set_umask`], [`new_session_keyring`], [`Rlimit::apply`], [`write_oom_score_adj`],
//!    [`Sysctl::apply`], [`Label::apply`]: what needs capabilities, or `/proc` as its owner.
//! 2. [`CallFilter::apply`], which takes SYS_ADMIN, or no_new_privs before it.
//! 3. [`Capabilities::drop_bounding`], as long as SETPCAP is effective.
//! 4. [`User::apply`], which keeps what is permitted and loses what is effective and ambient.
//! 5. [`Capabilities::apply`], which sets all of that anew.
//! 6. [`parent_death_signal`] and [`set_dumpable`]: 4 and 5 reset both.
//! 7. [`no_new_privileges`], then [`Capabilities::verify`].
//!
//! # Cargo features
//! `selinux` asks libselinux, where the host has it, for whether SELinux is on and for the validity
//! of labels. It needs libselinux, libclang and Rust 1.88 to build. Without it selinuxfs is asked.

mod accounts;
mod apparmor;
mod call_filter;
mod capabilities;
mod capability;
mod capability_set;
mod confinement;
mod error;
mod label;
#[cfg(feature = "selinux")]
mod libselinux;
mod lsm;
mod process;
mod procfs;
mod rlimit;
mod selinux;
#[cfg(not(feature = "selinux"))]
mod selinuxfs;
#[expect(unsafe_code, reason = "system calls that rustix does not have")]
mod sys;
mod sysctl;
mod user;

pub use apparmor::{AppArmor, apparmor_profile_for_executable, default_apparmor_profile};
pub use call_filter::CallFilter;
pub use capabilities::Capabilities;
pub use capability::Capability;
pub use capability_set::CapabilitySet;
pub use confinement::{Confinement, Lock};
pub use error::{Error, Module};
pub use label::{Label, MountLabel};
pub use lsm::Lsm;
pub use process::{
    new_session_keyring, no_new_privileges, parent_death_signal, set_dumpable, set_umask,
    write_oom_score_adj,
};
pub use rlimit::{Resource, Rlimit};
pub use selinux::Selinux;
pub use sysctl::{Sysctl, SysctlNamespace};
pub use user::{Groups, User};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
