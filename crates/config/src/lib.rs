//! Parent: `container.json` and the [`Container`] it describes.
//!
//! A container is a directory with a root file system and a `container.json`
//! that says how processes in it are contained. This crate reads that file,
//! tells everything that is wrong with it at once, each fault with its line,
//! column and key, and writes it back. It makes no system call but those that
//! read the one file; what depends on the host is decided elsewhere.
//!
//! ```
//! use nsinit_config::{Container, Mount};
//!
//! let text = r#"{ "hostname": "koye", "mounts": [{ "source": "/srv", "destination": "data" }] }"#;
//! let faults = Container::from_str(text, "container.json").unwrap_err();
//! assert_eq!(
//!     faults.to_string().lines().next(),
//!     Some(r#"container.json:1:69: mounts[0].destination: must be absolute, got "data""#)
//! );
//!
//! let mut container = Container::default();
//! container.mounts.push(Mount { writable: true, ..Mount::bind("/srv", "/data") });
//! container.validate().unwrap();
//! let again = Container::from_str(&container.to_json_pretty(), "again").unwrap();
//! assert_eq!(again, container);
//! ```
//!
//! Reading is plain `serde_json` as long as nothing is wrong. Only a faulty
//! text is read a second time, into a tree that keeps positions.

mod cgroup;
mod check;
mod container;
mod decode;
mod device;
mod error;
mod explain;
mod fault;
mod file;
mod forms;
mod json;
mod key_path;
mod keys;
mod labels;
mod mismatch;
mod mount;
mod namespace;
mod network;
mod rlimit;
mod rootfs;
mod seccomp;
mod signal;
mod suggest;

pub use cgroup::{CgroupDriver, Cgroups, MemorySwap};
pub use container::Container;
pub use device::{Device, DeviceKind};
pub use error::Error;
pub use fault::{Fault, Faults};
pub use file::{ConfigFile, MAX_FILE_SIZE};
pub use keys::{OBJECTS, Object};
pub use labels::Labels;
pub use mount::{Mount, MountKind, Propagation};
pub use namespace::{DEFAULT_NAMESPACES, IdMapping, NamespaceEntry, TimeOffsets};
pub use network::{Network, NetworkContext, NetworkKind, Route};
pub use rlimit::Rlimit;
pub use rootfs::{RootfsSource, TmpfsRoot};
pub use seccomp::Seccomp;
pub use signal::DeathSignal;
