//! The machine's filesystems.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::mount::{
    MountFlags, MountPropagationFlags, mount as mount_by_kernel, mount_bind, mount_change,
    mount_move,
};

use crate::Result;

/// Where the root is put together before it becomes one.
const NEW_ROOT: &str = "/newroot";

/// procfs, sysfs and devtmpfs, and a root that `pivot_root` can leave.
///
/// The initial root cannot be pivoted away from (pivot_root(2)). A bind of it on
/// itself can, and costs no copy.
pub(crate) fn first() -> Result {
    mount("proc", "/proc", "proc", "")?;
    mount("sysfs", "/sys", "sysfs", "")?;
    mount("devtmpfs", "/dev", "devtmpfs", "mode=0755")?;
    let told = |what: &'static str| move |errno| format!("{what}: {errno}");
    mount_bind("/", NEW_ROOT).map_err(told("bind / on /newroot"))?;
    for directory in ["/proc", "/sys", "/dev"] {
        mount_move(directory, format!("{NEW_ROOT}{directory}"))
            .map_err(|errno| format!("move {directory}: {errno}"))?;
    }
    rustix::process::chdir(NEW_ROOT).map_err(told("enter /newroot"))?;
    mount_move(".", "/").map_err(told("move /newroot to /"))?;
    rustix::process::chroot(".").map_err(told("chroot to /newroot"))?;
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change("/", shared).map_err(told("share the mounts"))
}

/// What every Linux machine has besides.
pub(crate) fn rest() -> Result {
    for directory in ["/dev/pts", "/dev/shm"] {
        make(directory, 0o755)?;
    }
    mount("devpts", "/dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666")?;
    mount("shm", "/dev/shm", "tmpfs", "mode=1777")?;
    mount("run", "/run", "tmpfs", "mode=0755")?;
    mount("securityfs", "/sys/kernel/security", "securityfs", "")?;
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, link).map_err(|error| format!("{link}: {error}"))?;
    }
    Ok(())
}

/// `/tmp`, where the tests work: on a disk, as on most hosts.
pub(crate) fn scratch() -> Result {
    mount("/dev/vda", "/tmp", "ext4", "")?;
    mode("/tmp", 0o1777)
}

/// A directory in another place, too.
pub(crate) fn bind(source: &str, target: &str) -> Result {
    make(target, 0o755)?;
    mount_bind(source, target).map_err(|errno| format!("bind {source} on {target}: {errno}"))
}

pub(crate) fn mount(source: &str, target: &str, kind: &str, options: &str) -> Result {
    let options = std::ffi::CString::new(options).map_err(|error| error.to_string())?;
    mount_by_kernel(source, target, kind, MountFlags::empty(), options.as_c_str())
        .map_err(|errno| format!("mount {kind} on {target}: {errno}"))
}

/// A directory with exactly this mode.
pub(crate) fn make(directory: impl AsRef<Path>, bits: u32) -> Result {
    let directory = directory.as_ref();
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    mode(directory, bits)
}

fn mode(path: impl AsRef<Path>, bits: u32) -> Result {
    let path = path.as_ref();
    fs::set_permissions(path, fs::Permissions::from_mode(bits))
        .map_err(|error| format!("{}: {error}", path.display()))
}
