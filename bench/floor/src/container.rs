//! Child: the container's mounts, devices and network.

use std::ffi::CStr;

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};
use rustix::process::{chdir, pivot_root, umask};

use crate::{Result, at, if_there};

const DEVICES: [(&CStr, u32, u32); 6] = [
    (c"dev/null", 1, 3),
    (c"dev/zero", 1, 5),
    (c"dev/full", 1, 7),
    (c"dev/random", 1, 8),
    (c"dev/urandom", 1, 9),
    (c"dev/tty", 5, 0),
];
const LINKS: [(&CStr, &CStr); 5] = [
    (c"/proc/self/fd", c"dev/fd"),
    (c"/proc/self/fd/0", c"dev/stdin"),
    (c"/proc/self/fd/1", c"dev/stdout"),
    (c"/proc/self/fd/2", c"dev/stderr"),
    (c"pts/ptmx", c"dev/ptmx"),
];
const MASKED_FILES: [&CStr; 15] = [
    c"proc/interrupts",
    c"proc/kallsyms",
    c"proc/kcore",
    c"proc/keys",
    c"proc/kmsg",
    c"proc/kpagecgroup",
    c"proc/kpagecount",
    c"proc/kpageflags",
    c"proc/latency_stats",
    c"proc/mtrr",
    c"proc/sched_debug",
    c"proc/sysrq-trigger",
    c"proc/timer_list",
    c"proc/timer_stats",
    c"proc/vmallocinfo",
];
const MASKED_DIRECTORIES: [&CStr; 12] = [
    c"proc/acpi",
    c"proc/asound",
    c"proc/dynamic_debug",
    c"proc/scsi",
    c"sys/firmware",
    c"sys/devices/virtual/powercap",
    c"sys/kernel/debug",
    c"sys/kernel/security",
    c"sys/kernel/tracing",
    c"sys/fs/bpf",
    c"sys/fs/selinux",
    c"sys/power",
];
const READ_ONLY: [&CStr; 4] = [c"proc/bus", c"proc/fs", c"proc/irq", c"proc/sys"];
const PARAMETERS: [(&CStr, &[u8]); 3] = [
    (c"proc/sys/net/ipv6/conf/default/accept_ra", b"0"),
    (c"proc/sys/net/ipv6/conf/default/disable_ipv6", b"1"),
    (c"proc/sys/net/ipv4/ping_group_range", b"0 2147483647"),
];
/// RTM_NEWLINK for interface 1 with IFF_UP (rtnetlink(7)), in the byte order of the machine.
const LOOPBACK_UP: [u32; 8] = [32, 0x0001_0010, 0, 0, 0, 1, 1, 1];

/// Everything below `root`, which becomes the working directory.
pub(crate) fn make(root: &CStr) -> Result {
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(at("private"))?;
    umask(Mode::empty());
    mask_sources().map_err(at("masks"))?;
    mount_bind_recursive(root, root).map_err(at("root"))?;
    chdir(root).map_err(at("root"))?;
    mount_remount(c".", MountFlags::BIND | MountFlags::NODEV, c"").map_err(at("root"))?;
    new(c"proc", c"proc", MountFlags::NOEXEC | MountFlags::NODEV, None).map_err(at("proc"))?;
    network().map_err(at("network"))?;
    devices().map_err(at("dev"))?;
    let read_only = MountFlags::RDONLY | MountFlags::NOEXEC | MountFlags::NODEV;
    new(c"sysfs", c"sys", read_only, None).map_err(at("sys"))?;
    masks().map_err(at("masks"))
}

fn new(
    kind: &CStr,
    target: &CStr,
    flags: MountFlags,
    options: Option<&CStr>,
) -> std::result::Result<(), Errno> {
    mount(kind, target, kind, flags | MountFlags::NOSUID, options)
}

/// An empty directory and an empty file to mask with, over the host's `/proc`, which
/// nobody here looks at again.
fn mask_sources() -> std::result::Result<(), Errno> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    new(c"tmpfs", c"/proc", flags, Some(c"size=16k,nr_inodes=5,mode=755"))?;
    mkdirat(CWD, c"/proc/empty", Mode::from_raw_mode(0o555))?;
    mknodat(CWD, c"/proc/nothing", FileType::RegularFile, Mode::from_raw_mode(0o444), 0)?;
    mount_remount(c"/proc", MountFlags::BIND | MountFlags::RDONLY | flags, c"")
}

fn network() -> std::result::Result<(), Errno> {
    for (path, value) in PARAMETERS {
        let file = openat(CWD, path, OFlags::WRONLY, Mode::empty())?;
        rustix::io::write(file, value)?;
    }
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::empty(), None)?;
    let mut bytes = [0; 32];
    for (at, word) in bytes.chunks_exact_mut(4).zip(LOOPBACK_UP) {
        at.copy_from_slice(&word.to_ne_bytes());
    }
    send(socket, &bytes, SendFlags::empty()).map(drop)
}

fn devices() -> std::result::Result<(), Errno> {
    let options = c"mode=755,size=1m,nr_inodes=1k";
    new(c"tmpfs", c"dev", MountFlags::empty(), Some(options))?;
    for (path, major, minor) in DEVICES {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(major, minor))?;
    }
    for (target, path) in LINKS {
        symlinkat(target, CWD, path)?;
    }
    for path in [c"dev/pts", c"dev/shm", c"dev/mqueue"] {
        mkdirat(CWD, path, Mode::from_raw_mode(0o755))?;
    }
    let options = c"newinstance,ptmxmode=0666,mode=0620,gid=5";
    new(c"devpts", c"dev/pts", MountFlags::NOEXEC, Some(options))?;
    let flags = MountFlags::NOEXEC | MountFlags::NODEV;
    new(c"tmpfs", c"dev/shm", flags, Some(c"mode=1777,size=67108864"))?;
    new(c"mqueue", c"dev/mqueue", flags, None)
}

fn masks() -> std::result::Result<(), Errno> {
    for path in MASKED_FILES {
        if_there(mount_bind(c"dev/null", path))?;
    }
    for path in MASKED_DIRECTORIES {
        if_there(mount_bind(c"/proc/empty", path))?;
    }
    for path in READ_ONLY {
        let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID;
        if_there(mount_bind(path, path))?;
        let flags = flags | MountFlags::NODEV | MountFlags::NOEXEC;
        if_there(mount_remount(path, flags, c""))?;
    }
    // The configuration, which the program is not to change.
    if_there(mount_bind(c"/proc/nothing", c"container.json"))
}

/// The working directory becomes the root.
pub(crate) fn enter() -> Result {
    pivot_root(c".", c".").map_err(at("pivot_root"))?;
    unmount(c".", UnmountFlags::DETACH).map_err(at("unmount"))?;
    chdir(c"/").map_err(at("chdir"))?;
    rustix::system::sethostname(b"bench").map_err(at("hostname"))
}
