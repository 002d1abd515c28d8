//! Furnish the mount namespace of a container: mounts, devices, masks, pivot_root.

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
