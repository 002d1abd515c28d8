//! Parent: the cgroup file systems among the mounts of this process.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::hierarchy::Version;

/// One line of `/proc/self/mountinfo` that is about a cgroup file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupMount {
    pub(crate) version: Version,
    pub(crate) device: (u32, u32),
    /// Which cgroup is the root of this mount.
    pub(crate) root: String,
    pub(crate) mount_point: PathBuf,
    pub(crate) read_only: bool,
    /// The options of the file system: on v1 the names of its controllers.
    pub(crate) options: Vec<String>,
}

struct Line<'a> {
    id: &'a str,
    parent: &'a str,
    place: &'a str,
    mount: Option<CgroupMount>,
}

/// All mounted cgroup trees that no other mount covers.
pub(crate) fn cgroup_mounts(mountinfo: &str) -> Vec<CgroupMount> {
    let lines: Vec<Line<'_>> = mountinfo.lines().filter_map(line).collect();
    let covered = |line: &Line<'_>| {
        lines.iter().any(|other| other.parent == line.id && other.place == line.place)
    };
    // Hosts have thousands of other mounts, whose covers nobody wants to know.
    let cgroups = lines.iter().filter(|line| line.mount.is_some());
    cgroups.filter(|line| !covered(line)).filter_map(|line| line.mount.clone()).collect()
}

/// proc_pid_mountinfo(5): ID, parent, major:minor, root, mount point, options,
/// optional fields, "-", type, source, options of the file system.
fn line(text: &str) -> Option<Line<'_>> {
    let (left, right) = text.split_once(" - ")?;
    let mut left = left.split(' ');
    let (id, parent, device) = (left.next()?, left.next()?, left.next()?);
    let (root, place, options) = (left.next()?, left.next()?, left.next()?);
    let mut right = right.split(' ');
    let version = match right.next()? {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return Some(Line { id, parent, place, mount: None }),
    };
    let superblock = right.nth(1).unwrap_or_default();
    let (major, minor) = device.split_once(':')?;
    let read_only = |options: &str| options.split(',').any(|option| option == "ro");
    let mount = CgroupMount {
        version,
        device: (major.parse().ok()?, minor.parse().ok()?),
        root: unescape(root).to_string_lossy().into_owned(),
        mount_point: unescape(place).into(),
        read_only: read_only(options) || read_only(superblock),
        options: superblock.split(',').map(str::to_owned).collect(),
    };
    Some(Line { id, parent, place, mount: Some(mount) })
}

/// Undoes the octal escapes that the kernel writes for blanks and backslashes.
fn unescape(text: &str) -> OsString {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 4 } else { 1 };
    }
    OsString::from_vec(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r"/a\040b\134c\9"), OsString::from(r"/a b\c\9"));
    }

    #[test]
    fn a_covered_mount_is_not_seen() {
        let text = "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
                    31 30 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                    32 20 0:26 / /run/cg rw,nosuid shared:4 - cgroup2 none rw,nsdelegate\n";
        let mounts = cgroup_mounts(text);
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].mount_point, PathBuf::from("/run/cg"));
        assert!(!mounts[0].read_only);
    }

    #[test]
    fn broken_lines_are_passed_over() {
        assert!(cgroup_mounts("\n - \n1 2 3 - cgroup\n1 2 x:y / / rw - cgroup c cpu\n").is_empty());
    }
}
