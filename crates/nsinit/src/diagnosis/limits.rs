//! Parent: which limit is used up.

use std::path::Path;

use nsinit_namespaces::Denier;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::{Scene, read};
use crate::plan::Plan;
use crate::step::Step;

pub(super) fn of_step(plan: &Plan, step: &Step, errno: Errno, scene: &Scene) -> Option<String> {
    match (errno, step) {
        (Errno::AGAIN, Step::StayInit | Step::EnterPidNamespace) => {
            let limit = Denier::of_new_process(scene.pid);
            let remedy = limit.remedy().unwrap_or_default();
            Some(format!("{limit} is used up: {remedy}"))
        }
        (Errno::NOSPC, Step::Rootfs(_)) => {
            mounts(&scene.read("mountinfo"), &read("/proc/sys/fs/mount-max"))
        }
        (Errno::DQUOT, Step::SessionKeyring) => {
            let uid = rustix::process::getuid().as_raw();
            Keys::of(&read("/proc/key-users"), uid).map(|keys| keys.words())
        }
        (Errno::NOMEM, _) => {
            let limit = plan.cgroup.as_ref()?.limits.memory?;
            Some(format!("the limit of its cgroup is {limit} bytes: raise cgroups.memory"))
        }
        _ => of_errno(errno),
    }
}

/// The limits that an errno names by itself.
pub(crate) fn of_errno(errno: Errno) -> Option<String> {
    match errno {
        Errno::MFILE => {
            let limit = getrlimit(Resource::Nofile).current?;
            Some(format!("RLIMIT_NOFILE is {limit}: raise it (ulimit -n)"))
        }
        Errno::NFILE => {
            let limit = read("/proc/sys/fs/file-max");
            let limit = limit.trim();
            Some(format!("fs.file-max = {limit} is used up: as root: sysctl -w fs.file-max=NUMBER"))
        }
        _ => None,
    }
}

/// That a mount namespace is full, if it is.
pub(crate) fn mounts(mountinfo: &str, most: &str) -> Option<String> {
    /// Those outside of a process's root are counted by the kernel, and not listed.
    const NOT_LISTED: usize = 64;
    let (count, most) = (mountinfo.lines().count(), most.trim().parse().ok()?);
    let full = count + NOT_LISTED > most;
    full.then(|| {
        format!(
            "fs.mount-max = {most}, and about {count} mounts are here already, of the host and of \
             the container: unmount some, or as root: sysctl -w fs.mount-max=NUMBER"
        )
    })
}

/// What a user has of keys and may have (proc_key_users(5)): their number and their bytes.
pub(crate) struct Keys {
    uid: u32,
    number: (u64, u64),
    bytes: (u64, u64),
}

impl Keys {
    pub(crate) fn of(users: &str, uid: u32) -> Option<Keys> {
        let own = format!("{uid}:");
        let line = users.lines().find_map(|line| line.trim_start().strip_prefix(&own))?;
        let quota = |field: usize| {
            let (used, most) = line.split_ascii_whitespace().nth(field)?.split_once('/')?;
            Some((used.parse().ok()?, most.parse().ok()?))
        };
        Some(Keys { uid, number: quota(2)?, bytes: quota(3)? })
    }

    pub(crate) fn are_used_up(&self) -> bool {
        self.number.0 >= self.number.1 || self.bytes.0 >= self.bytes.1
    }

    pub(crate) fn words(&self) -> String {
        let Keys { uid, number: (number, most), bytes: (bytes, most_bytes) } = self;
        let sysctl = if *uid == 0 { "kernel.keys.root_max" } else { "kernel.keys.max" };
        format!(
            "user {uid} has {number} of {most} keys and {bytes} of {most_bytes} bytes of them \
             (/proc/key-users): as root: sysctl -w {sysctl}keys=NUMBER {sysctl}bytes=NUMBER"
        )
    }
}

/// That the filesystem of a path has no room left, if so.
pub(crate) fn full(path: &Path) -> Option<String> {
    let (at, room) = path.ancestors().find_map(|at| Some((at, rustix::fs::statvfs(at).ok()?)))?;
    let what = match (room.f_bavail, room.f_favail, room.f_files) {
        (_, 0, 1..) => "inode",
        (0, ..) => "block",
        _ => return None,
    };
    Some(format!("the filesystem of {} has no free {what}", at.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mount_namespace_is_told() {
        let told = mounts(&"line\n".repeat(100), "100\n").unwrap();
        assert!(told.starts_with("fs.mount-max = 100, and about 100 mounts are here"), "{told}");
        assert!(mounts(&"line\n".repeat(99), "100\n").is_some());
        assert_eq!(mounts(&"line\n".repeat(30), "100\n"), None);
        assert_eq!(mounts("a\n", ""), None);
    }

    #[test]
    fn a_users_quota_of_keys_is_told() {
        let users = "    0:    17 16/16 10/1000000 175/25000000\n65534: 3 2/2 200/200 9/20000\n";
        let keys = Keys::of(users, 65534).unwrap();
        let told = keys.words();
        assert!(told.starts_with("user 65534 has 200 of 200 keys and 9 of 20000 bytes"), "{told}");
        assert!(keys.are_used_up() && !Keys::of(users, 0).unwrap().are_used_up());
        assert!(Keys::of(users, 5).is_none() && Keys::of("5: x", 5).is_none());
    }
}
