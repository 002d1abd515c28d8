//! Linux namespaces: clone into new ones, join existing ones, map ids.
//!
//! Two ways in. [`Command`] looks like [`std::process::Command`] and needs no
//! `unsafe`; everything below it is for a runtime that sets up the child
//! itself: [`clone`], [`in_new_network`], [`unshare`], [`Join`], [`NamespaceFile`],
//! [`IdMaps`], [`TimeOffsets`].
//!
//! The return type names the process. What runs in the parent returns this
//! crate's [`Error`], which names its object and may have a [remedy]. What
//! runs in the child, between the clone and `execve`, returns
//! [`rustix::io::Errno`], allocates nothing, locks nothing and logs nothing.
//!
//! Linux 5.10 or newer.
//!
//! ```
//! use nsinit_namespaces::{Command, Denier, Error, IdMaps, Kinds};
//!
//! let started = Command::new("sh")
//!     .args(["-ec", r#"hostname box; test "$(id -u) $(hostname)" = "0 box""#])
//!     .unshare(Kinds::USER | Kinds::UTS | Kinds::PID)
//!     .id_maps(IdMaps::caller_as_root())
//!     .spawn();
//! match started {
//!     Ok(mut child) => assert!(child.wait()?.success()),
//!     Err(error @ Error::Denied { by: Denier::AppArmor, .. }) => {
//!         println!("{error}: {}", error.hint().unwrap_or_default());
//!     }
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A runtime that sets up its child itself prepares everything, clones, and
//! lets the child make system calls only:
//!
//! ```
//! use nsinit_namespaces::{CloneRequest, Kinds, clone};
//!
//! let request = CloneRequest { kinds: Kinds::USER | Kinds::PID, ..CloneRequest::default() };
//! // SAFETY: the child makes two system calls and ends.
//! let child = unsafe {
//!     clone(&request, || {
//!         let init = rustix::process::getpid().is_init();
//!         libc::_exit(if init { 7 } else { 8 })
//!     })
//! }?;
//! assert_eq!(child.wait()?.code(), Some(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [remedy]: Error::hint

mod away;
mod child;
mod clone;
mod command;
mod denial;
mod error;
mod id_map;
mod join;
mod kind;
mod kinds;
mod namespace_file;
mod newidmap;
mod process;
mod program;
mod regular_file;
mod subordinate;
#[expect(unsafe_code, reason = "clone3, execve, signals and the namespace ioctl have no safe form")]
mod sys;
mod time_offsets;
mod write_maps;

pub use away::in_new_network;
pub use child::{become_root, unshare};
pub use clone::CloneRequest;
pub use command::{Child, Command};
pub use denial::Denier;
pub use error::Error;
pub use id_map::{IdMap, IdMaps};
pub use join::Join;
pub use kind::Namespace;
pub use kinds::Kinds;
pub use namespace_file::NamespaceFile;
pub use process::Process;
pub use subordinate::SubordinateIds;
pub use sys::{Kinship, clone, fork_in_child};
pub use time_offsets::TimeOffsets;
