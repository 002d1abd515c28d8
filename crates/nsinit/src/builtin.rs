//! Parent: the container that a directory without a `container.json` gets.
//!
//! It is one [`Container`] and nothing else: what `nsinit spec` writes is what
//! runs without it. Facts of the host decide which entries it has; nothing of
//! the host's `/etc` is inside but what is on the list in `etc.rs`.

mod etc;
mod terminfo;
#[cfg(test)]
mod tests;
mod tree;

use std::path::Path;

use nsinit_config::{Container, Mount, RootfsSource, TmpfsRoot};
use rustix::fs::{Mode, OFlags};

use tree::{Entry, Tree};

/// Host name of the container.
const HOSTNAME: &str = "nsinit";

/// The directories that PATH names, on a host that has them or not.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where package stores keep everything, under names that never change.
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];

/// Links below /run to the system of the day in a store, and where programs are in it.
const CURRENT_SYSTEM: &str = "/run/current-system";
const CURRENT_SYSTEM_PATHS: [&str; 2] = ["sw/bin", "profile/bin"];

/// What may be written, and how large it may grow: destination, MiB, mode.
///
/// A tmpfs has a limit of its own and cannot share one, so these add up: with
/// the 64 MiB of /dev/shm, which every container has, to 1 GiB.
const WRITABLE: [(&str, u32, u32); 8] = [
    ("/root", 320, 0o700),
    // Empty; `--bind` of a directory below it needs a place to be mounted on.
    ("/home", 16, 0o755),
    ("/tmp", 368, 0o1777),
    ("/var/tmp", 64, 0o1777),
    ("/run", 48, 0o755),
    ("/var/cache", 64, 0o755),
    ("/var/lib", 64, 0o755),
    ("/var/log", 16, 0o755),
];

/// What the user's terminal says of itself, as the environment has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TerminalNames<'a> {
    /// TERM: the name of its terminfo entry.
    pub(crate) term: Option<&'a str>,
    /// COLORTERM.
    pub(crate) colorterm: Option<&'a str>,
}

/// The built-in container for the host whose root directory is `host_root`
/// (`/`, but for tests). The paths in it do not contain `host_root`.
pub(crate) fn container(host_root: &Path, names: TerminalNames<'_>) -> Container {
    let host = Tree::new(host_root);
    let mut mounts = programs(&host);
    mounts.extend(etc::from_host(&host));
    mounts.extend(etc::generated(&host));
    mounts.extend(WRITABLE.map(|(destination, size, mode)| writable(destination, size, mode)));
    mounts.extend(host.link(CURRENT_SYSTEM).map(|target| Mount::symlink(CURRENT_SYSTEM, target)));
    Container {
        rootfs: Some(RootfsSource::Tmpfs(TmpfsRoot {
            size: Some(64 << 20),
            inodes: Some(16 << 10),
        })),
        readonly_fs: true,
        hostname: Some(HOSTNAME.into()),
        working_dir: Some("/root".into()),
        environment: Some(environment(&host, names)),
        init: Some(true),
        mounts,
        ..Container::default()
    }
}

/// Whether `dir` holds a system to be used as a root file system. `/` does,
/// but is the host's own.
pub(crate) fn looks_like_root_filesystem(dir: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |path: &Path| rustix::fs::open(path, flags, Mode::empty());
    let (Ok(root), Ok(host)) = (open(dir), open(Path::new("/"))) else { return false };
    let identity = |fd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let (Ok(root_identity), Ok(host_identity)) = (identity(&root), identity(&host)) else {
        return false;
    };
    // A link counts as it stands: its target is only right below this root.
    let has = |path| rustix::fs::statat(&root, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok();
    root_identity != host_identity && ["bin/sh", "usr/bin", "etc/os-release"].into_iter().any(has)
}

/// /usr and what belongs to it: links as the host has them, directories read-only.
fn programs(host: &Tree<'_>) -> Vec<Mount> {
    let mut names: Vec<String> =
        host.names("/").into_iter().filter(|name| is_programs(name)).collect();
    names.sort_unstable();
    let paths = names.iter().map(|name| format!("/{name}"));
    paths.chain(STORES.map(String::from)).filter_map(|path| same_as_host(host, &path)).collect()
}

/// usr, bin, sbin, lib, lib64, libx32, …, but not `lib.usr-is-merged`.
fn is_programs(name: &str) -> bool {
    let is_library = |rest: &str| rest.chars().all(|c| c.is_ascii_alphanumeric());
    matches!(name, "usr" | "bin" | "sbin") || name.strip_prefix("lib").is_some_and(is_library)
}

fn same_as_host(host: &Tree<'_>, path: &str) -> Option<Mount> {
    match host.entry(path)? {
        Entry::Link(target) => Some(Mount::symlink(path, target)),
        Entry::Directory => Some(Mount::bind(path, path)),
        Entry::Other => None,
    }
}

fn writable(destination: &str, size: u32, mode: u32) -> Mount {
    // One inode for each page, so that empty files are bounded as well.
    let inodes = size * ((1 << 20) / 4096);
    let options = format!("nosuid,nodev,size={size}m,nr_inodes={inodes},mode={mode:o}");
    Mount { options: options.split(',').map(String::from).collect(), ..Mount::tmpfs(destination) }
}

fn environment(host: &Tree<'_>, names: TerminalNames<'_>) -> Vec<String> {
    let shell = if host.resolve("/bin/bash").is_some() { "/bin/bash" } else { "/bin/sh" };
    let mut path: Vec<String> = CURRENT_SYSTEM_PATHS
        .iter()
        .map(|directory| format!("{CURRENT_SYSTEM}/{directory}"))
        .filter(|directory| host.resolve(directory).is_some())
        .collect();
    path.push(PATH.into());
    let mut environment = vec![
        format!("PATH={}", path.join(":")),
        "HOME=/root".into(),
        "USER=root".into(),
        format!("SHELL={shell}"),
        format!("TERM={}", terminfo::name(host, names.term)),
    ];
    let is_plain = |value: &&str| value.bytes().all(|byte| byte.is_ascii_graphic());
    environment.extend(names.colorterm.filter(is_plain).map(|value| format!("COLORTERM={value}")));
    environment.extend(["LANG=C.UTF-8".into(), format!("container={HOSTNAME}")]);
    // `$PWD` and not `\w`: every shell expands parameters in a prompt.
    environment.push(format!("PS1={HOSTNAME}:$PWD# "));
    environment
}
