//! Both: control groups: create, limit, account, freeze, kill and remove, on v2, v1 and hybrid hosts.
//!
//! ```no_run
//! use nsinit_cgroups::{Cgroup, Limits};
//! use std::process::Command;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits { memory: Some(256 << 20), pids: Some(64), cpus: Some(0.5), ..Limits::NONE };
//! let job = Cgroup::create("demo/job-7", &limits)?;
//! let mut child = job.spawn(Command::new("make").arg("-j8"))?; // born inside
//! let status = child.wait()?;
//! let s = job.stats()?;
//! println!("{status}: peak {} MiB, {} OOM kills", s.memory.peak >> 20, s.memory.oom_kills);
//! job.kill()?;
//! job.remove()?; // never on drop, never moves survivors
//! # Ok(())
//! # }
//! ```
//!
//! # What kind of host
//!
//! [`Hierarchies::detect`] looks at what is mounted, and the same calls then
//! work on all of them. A cgroup is one directory on v2, one in each v1
//! hierarchy of memory, pids, cpu, cpuacct, devices and freezer (another one
//! only when a limit needs it), and both on a hybrid host. All of them are
//! made and limited before anything can enter, or none stays.
//!
//! # Where it is made
//!
//! As root below the root of each hierarchy. Others, and root where that cannot
//! be written, below the nearest ancestor of their own cgroup that they may
//! write. When there is none, the error's [`hint`](Error::hint) has the line
//! that makes systemd delegate one.
//!
//! # How a process gets in
//!
//! By [`Cgroup::spawn`], or by an [`Entry`]: a descriptor for clone3(2) with
//! `CLONE_INTO_CGROUP` on v2, and files that the child writes before it does
//! anything else on v1. Either way its children cannot be anywhere else.
//!
//! # Device rules
//!
//! `devices.deny` and `devices.allow` on v1; on v2 a program of type
//! `BPF_PROG_TYPE_CGROUP_DEVICE` that this crate assembles, attached with
//! `BPF_F_ALLOW_MULTI` so that rules of outer cgroups stay. Both are read back.
//! Where the kernel does not permit them that is an error and no warning.
//!
//! # systemd
//!
//! With the cargo feature `systemd` there are `Scope` and
//! `Cgroup::create_by_systemd`: a cgroup in a transient scope unit, on hosts with
//! v2 alone. Without the feature nothing of that is built.

mod bpf;
mod cgroup;
mod create;
mod device;
mod dir;
mod entry;
mod error;
mod freeze;
mod hierarchy;
mod kill;
mod limits;
mod mountinfo;
mod online;
mod place;
mod remove;
mod stats;
#[expect(unsafe_code, reason = "bpf(2), and the step between fork and execve")]
mod sys;
#[cfg(feature = "systemd")]
mod systemd;
mod v1;
mod v2;

pub use cgroup::Cgroup;
pub use device::{DeviceKind, DeviceRule};
pub use entry::Entry;
pub use error::Error;
pub use hierarchy::{Hierarchies, Hierarchy, Mode, Version};
pub use limits::{Limits, Swap};
pub use stats::{CpuStats, MemoryStats, PidsStats, Pressure, Stats};
#[cfg(feature = "systemd")]
pub use systemd::Scope;
pub use v2::shares_to_weight;
