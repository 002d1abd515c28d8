//! A container runtime, as a library: a configuration and facts about the host become
//! a [`Plan`], which is plain data; launching it makes the container.
//!
//! ```no_run
//! use nsinit::{Container, Host, Plan, Rootfs, Stdio};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let container = Container::load("/srv/koye/container.json")?;
//! let rootfs = Rootfs::open("/srv/koye")?;
//! let plan = Plan::new(&container, &Host::probe()?, &rootfs, ["sh", "-c", "echo hi; exit 3"])?;
//! for step in plan.steps() {
//!     println!("{step}"); // mount proc on /proc …
//! }
//! let running = plan.launch(Stdio::piped())?; // safe in a program with threads
//! let out = running.wait_with_output()?;
//! assert_eq!((out.status.code(), &*out.stdout), (Some(3), b"hi\n".as_slice()));
//! # Ok(())
//! # }
//! ```
//!
//! Three files hold the story: `plan.rs`, `launch.rs` (the launcher), `init.rs` (the
//! process between clone and execve).

mod any_path;
mod apart;
mod below;
mod builtin;
pub mod cli;
mod diagnosis;
mod directory;
mod doctor;
mod error;
mod handshake;
mod host;
mod init;
mod join;
mod journal;
mod keys;
mod launch;
mod log;
mod lower;
mod net;
mod outside;
mod own_file;
mod plan;
mod preflight;
mod process;
mod program;
mod reason;
mod run;
mod running;
mod seal;
mod state;
mod stdio;
mod step;
#[expect(unsafe_code, reason = "execve, _exit, signals and other calls that rustix does not have")]
mod sys;
mod systemd;
mod terminal;
mod trace;

pub use nsinit_cgroups as cgroups;
pub use nsinit_config as config;
pub use nsinit_config::Container;
pub use nsinit_namespaces as namespaces;
pub use nsinit_network as network;
pub use nsinit_rootfs as rootfs;
pub use nsinit_rootfs::Rootfs;
pub use nsinit_security as security;

pub use directory::{CONFIG_FILE, Directory, Origin, Place};
pub use error::{Error, Result};
pub use handshake::Tag;
pub use host::{HardLimits, Host};
pub use join::{Joined, Joining, join};
pub use launch::Created;
pub use lower::Source;
pub use plan::{CgroupPlan, JoinedNamespace, Plan};
pub use process::ProcessId;
pub use program::{FileId, Program};
pub use reason::{Fault, Interpreter, Naming, Permission, Reason};
pub use running::Running;
pub use seal::reexecute_sealed;
pub use state::{CgroupDirectory, Entry, Record, RunDirectory, State};
pub use stdio::Stdio;
pub use step::Step;
pub use systemd::Scope;
pub use trace::Ring;
