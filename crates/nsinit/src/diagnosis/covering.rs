//! Parent: which mount a path is on, and what of that mount is in the way.

use std::path::{Path, PathBuf};

use super::Scene;
use crate::plan::Plan;
use crate::step::Step;

/// One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount<'a> {
    pub(crate) id: &'a str,
    parent: &'a str,
    /// `major:minor` of the filesystem.
    pub(crate) device: &'a str,
    /// What of the filesystem is mounted.
    pub(crate) root: String,
    /// As the process sees it.
    pub(crate) point: PathBuf,
    options: &'a str,
    pub(crate) filesystem: &'a str,
    source: String,
}

impl Mount<'_> {
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|has| has == option)
    }

    /// Whether it stands directly on that mount.
    pub(crate) fn is_on(&self, below: &Mount<'_>) -> bool {
        self.parent == below.id && self.id != below.id
    }

    fn is_read_only(&self) -> String {
        match self.has("ro") {
            true => format!("{} is mounted read-only", self.words()),
            false => format!("the filesystem on {} is read-only", self.words()),
        }
    }

    /// `/data (ext4 of /dev/sdb1)`.
    fn words(&self) -> String {
        let Mount { point, filesystem, source, .. } = self;
        let of = if source.starts_with('/') { format!(" of {source}") } else { String::new() };
        format!("{} ({filesystem}{of})", point.display()).escape_debug().to_string()
    }
}

/// The mounts of a process, in the kernel's order.
pub(crate) fn mounts(mountinfo: &str) -> Vec<Mount<'_>> {
    mountinfo.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Mount<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ');
    let (id, parent, device) = (left.next()?, left.next()?, left.next()?);
    let (root, point, options) = (left.next()?, left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (filesystem, source) = (right.next()?, right.next()?);
    let (root, point, source) = (unescape(root), unescape(point).into(), unescape(source));
    Some(Mount { id, parent, device, root, point, options, filesystem, source })
}

/// Undoes the kernel's octal escapes: `\040` is a space.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match byte.filter(u8::is_ascii) {
            Some(byte) => out.extend([&char::from(byte).to_string(), &part[3..]]),
            None => out.extend(["\\", part]),
        }
    }
    out
}

/// The mount that a path leads to, found as the kernel finds it: from the topmost mount
/// on `/` to what is mounted on it, and so on.
pub(crate) fn covering<'m, 'a>(mounts: &'m [Mount<'a>], path: &Path) -> Option<&'m Mount<'a>> {
    let is_below = |mount: &&Mount<'_>| mounts.iter().any(|above| above.id == mount.parent);
    let mut here = mounts.iter().find(|mount| mount.point == Path::new("/") && !is_below(mount))?;
    // Every mount is visited at most once: ids are unique, and a parent is never its child.
    for _ in mounts {
        let next = mounts
            .iter()
            .filter(|mount| mount.parent == here.id && mount.id != here.id)
            .filter(|mount| path.starts_with(&mount.point))
            // A mount over the whole of this one hides the others on it.
            .min_by_key(|mount| (mount.point != here.point, usize::MAX - depth(&mount.point)));
        match next {
            Some(mount) => here = mount,
            None => break,
        }
    }
    Some(here)
}

fn depth(path: &Path) -> usize {
    path.components().count()
}

/// That the mount under a path is read-only.
pub(crate) fn read_only(mountinfo: &str, path: &Path) -> Option<String> {
    covering(&mounts(mountinfo), path).map(Mount::is_read_only)
}

/// That the mount with this id forbids execve, if there is one.
pub(crate) fn by_id(mountinfo: &str, id: u64) -> Option<String> {
    let id = id.to_string();
    mounts(mountinfo).iter().find(|mount| mount.id == id).map(Mount::words)
}

/// For a mount point that cannot be made: which step has put the read-only mount there.
pub(super) fn of_step(plan: &Plan, step: &Step, scene: &Scene) -> Option<String> {
    let Step::Rootfs(step) = step else { return None };
    let path = step.object();
    let mountinfo = scene.read("mountinfo");
    let mounts = without_scratch(mounts(&mountinfo));
    let mount = covering(&mounts, path)?;
    let covers = |step: &&Step| matches!(step, Step::Rootfs(step) if step.object() == mount.point);
    let by = match plan.all_steps().find(covers) {
        Some(by) if mount.point != Path::new("/") => format!(", by \"{by}\""),
        _ => String::new(),
    };
    let path = path.display();
    Some(
        format!("{}{by}: {path} must be there already, or be mounted first", mount.is_read_only(),),
    )
}

/// Until it pivots, init has a tmpfs of its own over its new root, and that over the
/// host's.
fn without_scratch(mut mounts: Vec<Mount<'_>>) -> Vec<Mount<'_>> {
    let mut stack: Vec<usize> = Vec::new();
    for (index, mount) in mounts.iter().enumerate().filter(|(_, m)| m.point == Path::new("/")) {
        if stack.last().is_none_or(|below| mount.is_on(&mounts[*below])) {
            stack.push(index);
        }
    }
    if let [_, _, .., scratch] = stack.as_slice() {
        mounts.remove(*scratch);
    }
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host with a root of a container over its own, and a mount in each.
    const MOUNTINFO: &str = "\
        21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
        22 21 0:20 / /data rw - tmpfs tmpfs rw\n\
        23 21 0:21 / / rw - tmpfs scratch rw\n\
        24 23 8:1 /srv / ro,nodev - ext4 /dev/sda1 rw\n\
        25 24 0:22 / /my\\040data rw master:1 shared:2 - tmpfs none rw\n\
        26 25 0:23 / /my\\040data/in ro,noexec - xfs /dev/sdb1 rw\n";

    fn found(path: &str) -> String {
        let mounts = mounts(MOUNTINFO);
        covering(&mounts, Path::new(path)).unwrap().id.to_owned()
    }

    #[test]
    fn the_topmost_mount_that_a_path_leads_to_is_found() {
        assert_eq!(found("/"), "24");
        assert_eq!(found("/data/x"), "24", "the host's is hidden");
        assert_eq!(found("/my data"), "25");
        assert_eq!(found("/my data/in/x"), "26");
        assert_eq!(found("/my data/inside"), "25");
    }

    #[test]
    fn inits_own_mount_over_its_root_is_seen_through() {
        let scratch = "27 24 0:24 / / ro - tmpfs tmpfs rw\n";
        let text = format!("{MOUNTINFO}{scratch}");
        let all = mounts(&text);
        assert_eq!(covering(&all, Path::new("/my data/in")).unwrap().id, "27");
        let seen = without_scratch(all);
        assert_eq!(covering(&seen, Path::new("/my data/in")).unwrap().id, "26");
        let pivoted =
            without_scratch(mounts("1 0 0:1 / / rw - x y rw\n2 1 0:2 / /a rw - x y rw\n"));
        assert_eq!(pivoted.len(), 2);
    }

    #[test]
    fn a_read_only_mount_is_told_with_its_source() {
        let told = |path| read_only(MOUNTINFO, Path::new(path)).unwrap();
        assert_eq!(told("/x"), "/ (ext4 of /dev/sda1) is mounted read-only");
        assert_eq!(told("/my data/in/x"), "/my data/in (xfs of /dev/sdb1) is mounted read-only");
        assert_eq!(told("/my data/x"), "the filesystem on /my data (tmpfs) is read-only");
        assert_eq!(by_id(MOUNTINFO, 26).unwrap(), "/my data/in (xfs of /dev/sdb1)");
    }

    #[test]
    fn torn_and_hostile_lines_do_no_harm() {
        let text = "\n1 1 0:1 / / rw - x y rw\n2 1 - \n3 2 0:1 / /a\\1 rw - x \\777 rw\n4 4 0:1 / /b rw - x y";
        let mounts = mounts(text);
        assert_eq!(mounts.iter().map(|mount| mount.id).collect::<Vec<_>>(), ["1", "3", "4"]);
        assert_eq!(covering(&mounts, Path::new("/b/c")), None, "no mount is on top");
        assert_eq!(mounts[1].source, "\\777");
    }
}
