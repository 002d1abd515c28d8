//! Both: everything that the child does to its mount namespace, on one screen.

use std::ffi::CStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;

use crate::bind::{Bind, BindFile};
use crate::console::Console;
use crate::filesystem::MountFilesystem;
use crate::mask::{Cover, Mask, ReadOnlyPath, Scratch};
use crate::node::{DevLinks, Link, Node, Source};
use crate::place::Place;
use crate::procfs::OpenProcfs;
use crate::root::{AttachRoot, Isolate, Seal};
use crate::sys::Depth;
use crate::{Child, Pivot, options};

/// One thing that the child does. Made by [`Rootfs::steps`](crate::Rootfs::steps),
/// walked in order; `Display` gives the words for a plan, a log or an error.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// Nothing mounted from here on reaches the host.
    Isolate(Isolate),
    /// A procfs that no path leads to: [`Child::proc`].
    Procfs(OpenProcfs),
    /// The tmpfs that masks and generated files are copied from, and the host goes with.
    Scratch(Scratch),
    /// The root filesystem becomes a mount of its own.
    Root(AttachRoot),
    /// A new filesystem.
    Mount(Box<MountFilesystem>),
    /// A file or directory of the host.
    Bind(Box<Bind>),
    /// A generated file.
    File(BindFile),
    /// A symbolic link.
    Link(Link),
    /// A device node.
    Device(Node),
    /// The links of `/dev`.
    DevLinks(DevLinks),
    /// A path that reads as empty.
    Mask(Mask),
    /// A path that cannot be written.
    ReadOnly(ReadOnlyPath),
    /// A file of the runtime's own that lies below the root.
    Cover(Cover),
    /// A mount becomes read-only.
    Seal(Seal),
    /// The terminal on `/dev/console`.
    Console(Console),
    /// The root filesystem becomes `/`.
    Pivot(Pivot),
}

impl Step {
    /// Does it. Child side: allocates nothing, locks nothing, logs nothing.
    ///
    /// # Errors
    /// The errno of the system call that failed; [`Step::object`] is what it was
    /// about. Besides the kernel's own: `ELOOP`, a symbolic link stands at a mount
    /// point; `ESTALE`, a bind source is another file than the one examined; `EPERM`,
    /// a mount point turns out to lie in a procfs; `ENODEV`, a node, devpts or procfs
    /// is not what it should be; `EBADF`, an earlier step was left out.
    pub fn apply(&self, child: &mut Child) -> Result<(), Errno> {
        match self {
            Step::Isolate(step) => step.apply(child),
            Step::Procfs(step) => step.apply(child),
            Step::Scratch(step) => step.apply(child),
            Step::Root(step) => step.apply(child),
            Step::Mount(step) => step.apply(child),
            Step::Bind(step) => step.apply(child),
            Step::File(step) => step.apply(child),
            Step::Link(step) => step.apply(child),
            Step::Device(step) => step.apply(child),
            Step::DevLinks(step) => step.apply(child),
            Step::Mask(step) => step.apply(child),
            Step::ReadOnly(step) => step.apply(child),
            Step::Cover(step) => step.apply(child),
            Step::Seal(step) => step.apply(child),
            Step::Console(step) => step.apply(child),
            Step::Pivot(step) => step.apply(child),
        }
    }

    /// The new filesystem that this step makes, as the kernel calls it: `proc`.
    #[must_use]
    pub fn filesystem(&self) -> Option<&str> {
        match self {
            Step::Procfs(OpenProcfs::New) => Some("proc"),
            Step::Mount(step) => step.name.to_str().ok(),
            _ => None,
        }
    }

    /// The path that this step is about, for error messages: of the container, or of
    /// the host for the root directory.
    #[must_use]
    pub fn object(&self) -> &Path {
        match (self, self.place()) {
            (_, Some(at)) => &at.shown,
            (Step::Root(AttachRoot::Directory { path }), _) => path_of(&path.path),
            (Step::DevLinks(_), _) => Path::new("/dev"),
            (Step::Console(_), _) => Path::new("/dev/console"),
            (Step::Procfs(_), _) => Path::new("/proc"),
            _ => Path::new("/"),
        }
    }

    /// Where it puts something, if that is one place.
    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Step::Mount(step) => Some(&step.at),
            Step::Bind(step) => Some(&step.at),
            Step::File(step) => Some(&step.at),
            Step::Link(step) => Some(&step.at),
            Step::Device(step) => Some(&step.at),
            Step::Mask(step) => Some(&step.at),
            Step::ReadOnly(step) => Some(&step.at),
            Step::Cover(step) => Some(&step.at),
            Step::Seal(step) => step.at.as_ref(),
            _ => None,
        }
    }
}

fn path_of(text: &CStr) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(text.to_bytes()))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.object().display();
        match self {
            Step::Isolate(_) => f.write_str("make all mounts slaves of the host's"),
            Step::Procfs(OpenProcfs::New) => f.write_str("open a detached procfs"),
            Step::Procfs(OpenProcfs::OfHost) => {
                f.write_str("open a detached copy of the host's /proc")
            }
            Step::Scratch(step) if step.files.is_empty() => f.write_str("make a tmpfs for masks"),
            Step::Scratch(step) => {
                write!(f, "make a tmpfs for masks and {} files", step.files.len())
            }
            Step::Root(AttachRoot::Directory { .. }) => {
                write!(f, "take {at} as root filesystem (nodev,private)")
            }
            Step::Root(AttachRoot::Tmpfs { .. }) => {
                f.write_str("take a new tmpfs as root filesystem (nosuid,nodev)")
            }
            Step::Mount(step) => {
                let words = options::words(step.attributes, &step.parameters);
                write!(f, "mount {} on {at}{words}", step.name.to_string_lossy())
            }
            Step::Bind(step) => {
                let words = options::words(step.attributes, &[]);
                write!(f, "bind {} on {at}{words}", step.given.display())?;
                match step.depth {
                    Depth::Tree => Ok(()),
                    Depth::Top => f.write_str(" without the mounts below it"),
                }
            }
            Step::File(_) => write!(f, "put a generated file on {at} (ro)"),
            Step::Link(step) => write!(f, "link {at} to {}", path_of(&step.target).display()),
            Step::Device(step) => match &step.from {
                Source::Mknod { mode, .. } => {
                    write!(f, "make device {at} ({}:{}, mode {mode:04o})", step.major, step.minor)
                }
                Source::Host(_) => {
                    write!(f, "bind device {at} of the host ({}:{})", step.major, step.minor)
                }
            },
            Step::DevLinks(_) => f.write_str("link fd, stdin, stdout, stderr, ptmx in /dev"),
            Step::Mask(_) => write!(f, "mask {at}"),
            Step::ReadOnly(_) => write!(f, "make {at} read-only"),
            Step::Cover(_) => write!(f, "cover {at} with an empty file"),
            Step::Seal(Seal { at: None }) => f.write_str("make the root filesystem read-only"),
            Step::Seal(_) => write!(f, "make {at} read-only"),
            Step::Console(_) => f.write_str("open a terminal on /dev/console"),
            Step::Pivot(Pivot::PivotRoot) => f.write_str("pivot_root"),
            Step::Pivot(Pivot::MoveMount) => f.write_str("detach the host's mounts, chroot"),
        }
    }
}
