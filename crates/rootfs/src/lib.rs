//! Furnish the mount namespace of a container: mounts, devices, masks, pivot_root.
//!
//! The parent checks everything that can be checked and changes nothing; a child in a
//! new mount namespace then walks the steps and allocates nothing. `furnish` and
//! `enter` are the simple front door:
//!
//! ```no_run
//! use std::os::unix::process::CommandExt;
//! use nsinit_rootfs::{Mount, Rootfs};
//!
//! # fn unshare_user_and_mount() -> std::io::Result<()> { Ok(()) }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let view = Rootfs::open("/srv/alpine")?.furnish(&[
//!     Mount::proc(), Mount::dev(), Mount::tmpfs("/tmp").size(64 << 20),
//!     Mount::bind("/srv/data", "/data").read_only(),        // with the mounts below it
//! ])?;                                                      // Err: "/data: destination is a symbolic link to /etc"
//! let mut cmd = std::process::Command::new("/bin/ls");
//! // SAFETY: enter() only makes system calls.
//! unsafe { cmd.pre_exec(move || { unshare_user_and_mount()?; Ok(view.enter()?) }) };
//! # cmd.status()?;
//! # Ok(()) }
//! ```
//!
//! A container runtime describes everything in a [`Furniture`], gets the [`Step`]s of
//! [`Rootfs::steps`], prints them, and walks them in its child:
//!
//! ```
//! use nsinit_rootfs::{Facts, Furniture, Mount, Rootfs, TmpfsRoot};
//! # fn main() -> Result<(), nsinit_rootfs::Error> {
//! let furniture = Furniture {
//!     mounts: vec![Mount::dev(), Mount::tmpfs("/tmp")],
//!     masked: vec![],
//!     read_only: vec![],
//!     facts: Facts { can_mknod: true, ..Facts::probe() },
//!     ..Furniture::default()
//! };
//! let steps = Rootfs::tmpfs(TmpfsRoot::default()).steps(&furniture)?;
//! let words: Vec<String> = steps.iter().map(ToString::to_string).collect();
//! assert_eq!(words[2], "take a new tmpfs as root filesystem (nosuid,nodev)");
//! assert_eq!(words[4], "mount tmpfs on /dev (nosuid,mode=755,size=1m,nr_inodes=1k)");
//! assert_eq!(words[5], "make device /dev/null (1:3, mode 0666)");
//! assert_eq!(words.last().map(String::as_str), Some("pivot_root"));
//! # Ok(()) }
//! ```
//!
//! # What holds
//!
//! - Every path below the root is resolved by `openat2(2)` with `RESOLVE_IN_ROOT`, and
//!   mounted on by descriptor; without `openat2` by a walk that refuses symbolic links.
//! - A mount point that is a symbolic link is refused. A missing one is made
//!   exclusively, never through a link.
//! - A bind source is the file that the parent examined, or the step fails.
//! - Flags of a bind mount are set on the whole tree before it is attached.
//! - `/dev` is a tmpfs of our own; its nodes are verified by type and number.
//! - Nothing may cover a procfs but files that only report.
//! - The root filesystem is `nodev`: nodes in the image open nothing.
//! - Nothing mounted here reaches the host; the root is private.
//!
//! Linux 5.10 or newer. In a user namespace: nodes are bound from the host; proc,
//! sysfs and mqueue need a new PID, network and IPC namespace, and without it the
//! host's `/proc` and `/sys` are bound (the latter read-only, its cgroups masked) and
//! mqueue is left out.

mod attributes;
mod bind;
mod child;
mod console;
mod device;
mod error;
mod examine;
mod facts;
mod filesystem;
mod furniture;
mod identity;
mod lower;
mod mask;
mod mount;
mod mountinfo;
mod node;
mod nodes;
mod options;
mod pivot;
mod place;
mod plan;
mod procfs;
mod resolve;
mod root;
mod rootfs;
mod site;
mod step;
#[expect(unsafe_code, reason = "rustix lacks mount_setattr")]
mod sys;
mod view;

pub use bind::{Bind, BindFile};
pub use child::Child;
pub use console::{Console, open_terminal_in};
pub use device::{Device, DeviceKind};
pub use error::Error;
pub use facts::{CgroupMode, Facts, Hierarchy, NewNamespaces};
pub use filesystem::MountFilesystem;
pub use furniture::{Furniture, MASKED, Pivot, READ_ONLY};
pub use mask::{Cover, Mask, ReadOnlyPath, Scratch};
pub use mount::{Mount, Propagation};
pub use node::{DevLinks, Link, Node};
pub use procfs::{OpenProcfs, detached_procfs};
pub use root::{AttachRoot, DirectoryRoot, Isolate, Seal, TmpfsParameters};
pub use rootfs::{Rootfs, TmpfsRoot};
pub use step::Step;
pub use view::View;
