//! Both: kernel parameters of new namespaces, written through a procfs that is not attached.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::child::{self, is_child, require_root};
use crate::sys::{self, without_allocation};
use nsinit_security::Sysctl;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags as Propagation,
};

const VALUES: [(&str, &str); 6] = [
    ("kernel.msgmax", "4242"),
    ("fs.mqueue.msg_max", "17"),
    ("kernel.sem", "1000\t32000\t33\t129"),
    ("kernel.domainname", "inside.example"),
    ("net.ipv4.ip_forward", "1"),
    ("net/ipv4/conf/lo/rp_filter", "2"),
];

fn read(sysctl: &Sysctl) -> String {
    let text = fs::read_to_string(format!("/proc/sys/{}", sysctl.path())).unwrap();
    text.trim_end().to_owned()
}

fn detached_procfs() -> OwnedFd {
    let context = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    rustix::mount::fsconfig_create(context.as_fd()).unwrap();
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    rustix::mount::fsmount(context.as_fd(), flags, MountAttrFlags::empty()).unwrap()
}

fn unshare() {
    sys::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS)
        .unwrap();
    rustix::mount::mount_change("/", Propagation::PRIVATE | Propagation::REC).unwrap();
}

fn apply(sysctl: &Sysctl, proc: BorrowedFd<'_>) -> Result<(), Errno> {
    without_allocation(|| sysctl.apply(proc))
}

#[test]
fn parameters_change_inside_and_not_on_the_host() {
    require_root!("makes namespaces");
    let sysctls = VALUES.map(|(key, value)| Sysctl::new(key, value).unwrap());
    if !is_child() {
        let before = sysctls.each_ref().map(read);
        child::run("sysctl::parameters_change_inside_and_not_on_the_host");
        return assert_eq!(sysctls.each_ref().map(read), before);
    }
    unshare();
    // Mounted in this ipc namespace, whose mqueue is then its own.
    let proc = detached_procfs();
    for sysctl in &sysctls {
        assert_eq!(apply(sysctl, proc.as_fd()), Ok(()), "{sysctl}");
        assert_eq!(read(sysctl), sysctl.value(), "{sysctl}");
    }
    let missing = Sysctl::new("net.ipv4.conf.eth0/7.rp_filter", "1").unwrap();
    assert_eq!(apply(&missing, proc.as_fd()), Err(Errno::NOENT));
    let wrong = Sysctl::new("net.ipv4.ip_forward", "yes").unwrap();
    assert_eq!(apply(&wrong, proc.as_fd()), Err(Errno::INVAL));
}

#[test]
fn an_interface_with_a_dot_in_its_name() {
    require_root!("makes namespaces");
    if !is_child() {
        return child::run("sysctl::an_interface_with_a_dot_in_its_name");
    }
    unshare();
    let mut rename = std::process::Command::new("ip");
    rename.args(["link", "set", "lo", "name", "a.7"]);
    if !rename.status().is_ok_and(|status| status.success()) {
        let required = std::env::var_os("NSINIT_TEST_REQUIRE").is_some_and(|v| v == "1");
        assert!(!required, "needs ip(8), to rename an interface");
        eprintln!("SKIPPED: needs ip(8), to rename an interface");
        return;
    }
    let proc = detached_procfs();
    for (key, value) in [
        ("net.ipv4.conf.a/7.rp_filter", "1"),
        ("net/ipv4/conf/a.7/rp_filter", "2"),
        ("net.ipv4.conf.a.7.rp_filter", "0"),
    ] {
        let sysctl = Sysctl::new(key, value).unwrap();
        assert_eq!(apply(&sysctl, proc.as_fd()), Ok(()), "{key}");
        let text = fs::read_to_string("/proc/sys/net/ipv4/conf/a.7/rp_filter").unwrap();
        assert_eq!(text.trim_end(), value, "{key}");
    }
}

/// CVE-2019-16884, CVE-2025-52881: the image decides what is at `/proc`.
#[test]
fn what_is_mounted_over_proc_is_not_written_to() {
    require_root!("mounts over /proc");
    if !is_child() {
        return child::run("sysctl::what_is_mounted_over_proc_is_not_written_to");
    }
    unshare();
    let sysctl = Sysctl::new("kernel.msgmax", "4243").unwrap();
    let (detached, attached) = (detached_procfs(), File::open("/proc").unwrap());
    rustix::mount::mount_bind("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/msgmax").unwrap();
    assert_eq!(apply(&sysctl, attached.as_fd()), Err(Errno::XDEV));

    let none = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", "/proc", "tmpfs", none, None::<&std::ffi::CStr>).unwrap();
    fs::create_dir_all("/proc/sys/kernel").unwrap();
    fs::write("/proc/sys/kernel/msgmax", "mine").unwrap();
    let tmpfs = File::open("/proc").unwrap();
    assert_eq!(apply(&sysctl, tmpfs.as_fd()), Err(Errno::XDEV));
    assert_eq!(fs::read_to_string("/proc/sys/kernel/msgmax").unwrap(), "mine");

    assert_eq!(apply(&sysctl, detached.as_fd()), Ok(()));
    rustix::mount::unmount("/proc", rustix::mount::UnmountFlags::DETACH).unwrap();
    rustix::mount::unmount("/proc/sys/kernel/msgmax", rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(read(&sysctl), "4243");
}
