//! Parent: one mount as the caller describes it.

use std::borrow::Cow;
use std::ffi::CStr;
use std::path::{Path, PathBuf};

/// One thing to put into the root filesystem: a filesystem, a bind mount, a file
/// or a symbolic link.
///
/// Constructors give the safe flags; modifiers consume and return. Two mounts on
/// the same destination: the later one replaces the earlier one in its place.
///
/// ```
/// use nsinit_rootfs::Mount;
/// let data = Mount::bind("/srv/data", "/data").read_only();
/// assert_eq!(data.destination().to_str(), Some("/data"));
/// assert_eq!(data, Mount::bind("/srv/data", "/data").options(["ro"]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub(crate) destination: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) options: Vec<Cow<'static, str>>,
    pub(crate) recursive: bool,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) label: Option<String>,
    pub(crate) optional: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Filesystem(Filesystem),
    Bind { source: PathBuf },
    File { content: Vec<u8>, mode: u32 },
    Symlink { target: PathBuf },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filesystem {
    Proc,
    Sysfs,
    /// Our own tmpfs on `/dev`, with the device nodes and links.
    Dev,
    Devpts,
    Tmpfs,
    Mqueue,
    Cgroup,
}

impl Filesystem {
    /// The name that the mount is planned, printed and asked of the kernel by.
    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Filesystem::Proc => c"proc",
            Filesystem::Sysfs => c"sysfs",
            Filesystem::Dev | Filesystem::Tmpfs => c"tmpfs",
            Filesystem::Devpts => c"devpts",
            Filesystem::Mqueue => c"mqueue",
            Filesystem::Cgroup => c"cgroup2",
        }
    }
}

/// Where mount events flow (mount_namespaces(7), "Shared subtrees").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Neither in nor out.
    Private,
    /// The host's later mounts below the source appear, ours never go out.
    Slave,
    /// A new peer group inside the container; nothing goes out to the host.
    Shared,
    /// Private, and no bind mount may be made of it.
    Unbindable,
}

impl Mount {
    /// proc on `/proc` (nosuid, nodev, noexec).
    #[must_use]
    pub fn proc() -> Mount {
        Mount::filesystem(Filesystem::Proc, "/proc", &["nosuid", "nodev", "noexec"])
    }

    /// sysfs on `/sys` (ro, nosuid, nodev, noexec).
    #[must_use]
    pub fn sysfs() -> Mount {
        Mount::filesystem(Filesystem::Sysfs, "/sys", &["ro", "nosuid", "nodev", "noexec"])
    }

    /// Our own tmpfs on `/dev` (nosuid, mode 755, 1 MiB and 1024 inodes) with the device nodes of the
    /// [`Furniture`](crate::Furniture) and the links `fd`, `stdin`, `stdout`,
    /// `stderr`, `ptmx`.
    #[must_use]
    pub fn dev() -> Mount {
        Mount::filesystem(
            Filesystem::Dev,
            "/dev",
            &["nosuid", "mode=755", "size=1m", "nr_inodes=1k"],
        )
    }

    /// A new instance of devpts on `/dev/pts` (nosuid, noexec, ptmxmode 666, mode
    /// 620; gid 5 where [`Facts::maps_tty_gid`](crate::Facts) says so).
    #[must_use]
    pub fn devpts() -> Mount {
        let options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
        Mount::filesystem(Filesystem::Devpts, "/dev/pts", &options)
    }

    /// tmpfs on `/dev/shm` (nosuid, nodev, noexec, mode 1777, 64 MiB).
    #[must_use]
    pub fn shm() -> Mount {
        let options = ["nosuid", "nodev", "noexec", "mode=1777", "size=67108864"];
        Mount::filesystem(Filesystem::Tmpfs, "/dev/shm", &options)
    }

    /// POSIX message queues on `/dev/mqueue` (nosuid, nodev, noexec). Left out
    /// where the IPC namespace is not new.
    #[must_use]
    pub fn mqueue() -> Mount {
        Mount::filesystem(Filesystem::Mqueue, "/dev/mqueue", &["nosuid", "nodev", "noexec"])
    }

    /// The cgroup tree on `/sys/fs/cgroup` (ro, nosuid, nodev, noexec), as
    /// [`Facts::cgroup`](crate::Facts) says. Left out where the cgroup namespace
    /// is not new.
    #[must_use]
    pub fn cgroup() -> Mount {
        let options = ["ro", "nosuid", "nodev", "noexec"];
        Mount::filesystem(Filesystem::Cgroup, "/sys/fs/cgroup", &options)
    }

    /// An empty tmpfs (nosuid, nodev, mode 755). A read-only one becomes so after the
    /// mount points below it have been made. On `/dev` it is [`Mount::dev`] with other
    /// options.
    #[must_use]
    pub fn tmpfs(destination: impl Into<PathBuf>) -> Mount {
        Mount::filesystem(Filesystem::Tmpfs, destination, &["nosuid", "nodev", "mode=755"])
    }

    /// A file or a directory of the host, writable, with the mounts below it
    /// (nosuid; nodev unless the source is a device node; slave).
    #[must_use]
    pub fn bind(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Mount {
        Mount::new(Kind::Bind { source: source.into() }, destination, &["nosuid", "nodev"])
    }

    /// A read-only file with this content and these permission bits. It lives on a
    /// small private tmpfs and is bound over the destination: the image's own file
    /// is never written.
    #[must_use]
    pub fn file(destination: impl Into<PathBuf>, content: impl Into<Vec<u8>>, mode: u32) -> Mount {
        Mount::new(Kind::File { content: content.into(), mode }, destination, &[])
    }

    /// A symbolic link, made exclusively on a tmpfs or in a writable root. A link
    /// with the same target that is already there is accepted.
    #[must_use]
    pub fn symlink(destination: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Mount {
        Mount::new(Kind::Symlink { target: target.into() }, destination, &[])
    }

    fn filesystem(kind: Filesystem, at: impl Into<PathBuf>, options: &[&'static str]) -> Mount {
        Mount::new(Kind::Filesystem(kind), at, options)
    }

    fn new(kind: Kind, destination: impl Into<PathBuf>, options: &[&'static str]) -> Mount {
        Mount {
            destination: destination.into(),
            kind,
            options: options.iter().map(|&option| option.into()).collect(),
            recursive: true,
            propagation: None,
            label: None,
            optional: false,
        }
    }

    /// The default mounts of a container, in their order: proc, dev, devpts, shm,
    /// mqueue, sysfs, cgroup. Those that the facts do not allow are left out later.
    #[must_use]
    pub fn defaults() -> Vec<Mount> {
        vec![
            Mount::proc(),
            Mount::dev(),
            Mount::devpts(),
            Mount::shm(),
            Mount::mqueue(),
            Mount::sysfs(),
            Mount::cgroup(),
        ]
    }

    /// Another destination, for the constructors that have a usual one.
    #[must_use]
    pub fn at(mut self, destination: impl Into<PathBuf>) -> Mount {
        self.destination = destination.into();
        self
    }

    /// Not writable; for a bind mount the mounts below it are not writable either.
    #[must_use]
    pub fn read_only(self) -> Mount {
        self.options(["ro"])
    }

    /// Limit in bytes (tmpfs).
    #[must_use]
    pub fn size(self, bytes: u64) -> Mount {
        self.options([format!("size={bytes}")])
    }

    /// Limit on the number of inodes (tmpfs).
    #[must_use]
    pub fn inodes(self, count: u64) -> Mount {
        self.options([format!("nr_inodes={count}")])
    }

    /// Options as in mount(8): flags of the mount, propagation names, `bind` and
    /// `rbind`, and the filesystem's own. A later option wins over an earlier one
    /// of the same name and over the constructor's; an unknown one is an error of
    /// [`Rootfs::steps`](crate::Rootfs::steps). `rw`, `suid`, `dev` and `exec` take
    /// back earlier options and never clear a flag that the source itself has.
    #[must_use]
    pub fn options<T: Into<String>>(mut self, options: impl IntoIterator<Item = T>) -> Mount {
        for option in options.into_iter().map(Into::into) {
            self.options.retain(|earlier| *earlier != option);
            self.options.push(Cow::Owned(option));
        }
        self
    }

    /// Forgets the constructor's options: what [`options`](Mount::options) gives
    /// from here on is all there is, as in OCI's `config.json`.
    #[must_use]
    pub fn without_options(mut self) -> Mount {
        self.options.clear();
        self
    }

    /// Whether the mounts below the source of a bind mount come along (default).
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Mount {
        self.recursive = recursive;
        self
    }

    /// Propagation of a bind mount; slave when it is not given.
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Mount {
        self.propagation = Some(propagation);
        self
    }

    /// SELinux label of all files of the new filesystem (`context=`), without
    /// quotes. Bind mounts are never relabelled: there it is an error.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Mount {
        self.label = Some(label.into());
        self
    }

    /// A missing source of a bind mount is no error: the mount is left out.
    #[must_use]
    pub fn optional(mut self) -> Mount {
        self.optional = true;
        self
    }

    /// Where it goes, below the root.
    #[must_use]
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// The host path of a bind mount.
    #[must_use]
    pub fn source(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Bind { source } => Some(source),
            _ => None,
        }
    }
}
