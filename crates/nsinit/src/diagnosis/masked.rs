//! Parent: whether the kernel would refuse a new proc or sysfs in a user namespace,
//! because the mounts around the caller hide parts of the one that is there
//! (mount_namespaces(7), `mount_too_revealing` of the kernel).

use super::covering::{Mount, mounts};

/// Directories that the kernel keeps empty for mounts: covering them hides nothing.
const MOUNT_POINTS: [&str; 12] = [
    "/proc/sys/fs/binfmt_misc",
    "/sys/firmware/efi/efivars",
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
    "/sys/fs/fuse/connections",
    "/sys/fs/pstore",
    "/sys/fs/selinux",
    "/sys/fs/smackfs",
    "/sys/kernel/config",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
];

/// What hides parts of every `proc` or `sysfs` that is mounted; None where the kernel
/// sees a whole one.
pub(crate) fn hidden(mountinfo: &str, filesystem: &str) -> Option<String> {
    let mounts = mounts(mountinfo);
    let whole = |mount: &&Mount<'_>| mount.filesystem == filesystem && mount.root == "/";
    let mut first = None;
    for mount in mounts.iter().filter(whole) {
        let hides = |cover: &&Mount<'_>| {
            let point = cover.point.to_string_lossy();
            cover.is_on(mount) && !MOUNT_POINTS.contains(&point.as_ref())
        };
        let covers: Vec<_> =
            mounts.iter().filter(hides).map(|cover| cover.point.display()).collect();
        let point = mount.point.display();
        let hidden = match covers.as_slice() {
            [] if mount.has("ro") && filesystem == "proc" => format!("{point} is read-only here"),
            [] => return None,
            [only] => format!("{only} is covered here"),
            [first, .., last] if covers.len() > 2 => {
                format!("{first} … {last} ({} places) are covered here", covers.len())
            }
            [first, .., last] => format!("{first} and {last} are covered here"),
        };
        first.get_or_insert(hidden.escape_debug().to_string());
    }
    Some(first.unwrap_or_else(|| format!("no whole {filesystem} is mounted here")))
}

/// What can be done about it.
pub(crate) fn remedy(hidden: &str, filesystem: &str) -> String {
    let without = if filesystem == "proc" { "NEWPID" } else { "NEWNET" };
    format!(
        "{hidden}, and the kernel lets a user namespace have no new {filesystem} that would show \
         what that hides: start the outer container without it (podman: --security-opt \
         unmask=ALL, docker: --security-opt systempaths=unconfined, nsinit: \"masked_paths\": \
         [] and \"readonly_paths\": []), or leave {without} out of \
         \"namespaces\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";

    fn proc_with(lines: &str) -> Option<String> {
        hidden(&format!("{ROOT}2 1 0:2 / /proc rw - proc proc rw\n{lines}"), "proc")
    }

    #[test]
    fn what_an_outer_container_masks_is_named() {
        assert_eq!(proc_with(""), None);
        assert_eq!(proc_with("3 2 0:3 / /proc/sys/fs/binfmt_misc rw - autofs a rw\n"), None);
        let acpi = "3 2 0:3 / /proc/acpi ro - tmpfs tmpfs ro\n";
        assert_eq!(proc_with(acpi).unwrap(), "/proc/acpi is covered here");
        let kcore = "4 2 0:4 /null /proc/kcore rw - devtmpfs dev rw\n";
        let both = proc_with(&format!("{acpi}{kcore}"));
        assert_eq!(both.unwrap(), "/proc/acpi and /proc/kcore are covered here");
        let more = proc_with(&format!("{acpi}{kcore}5 2 0:5 / /proc/scsi ro - tmpfs t ro\n"));
        assert_eq!(more.unwrap(), "/proc/acpi … /proc/scsi (3 places) are covered here");
    }

    #[test]
    fn one_whole_proc_is_enough() {
        let lines = "3 2 0:3 / /proc/acpi ro - tmpfs t ro\n4 1 0:2 / /mnt rw - proc proc rw\n";
        assert_eq!(proc_with(lines), None);
        let part = "3 2 0:3 / /proc/acpi ro - tmpfs t ro\n4 1 0:2 /sys /mnt rw - proc proc rw\n";
        assert!(proc_with(part).is_some());
        assert_eq!(hidden(ROOT, "sysfs").unwrap(), "no whole sysfs is mounted here");
    }
}
