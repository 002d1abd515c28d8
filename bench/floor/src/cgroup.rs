//! Both: a cgroup in each v1 hierarchy that nsinit uses, with the benchmark's limits.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use crate::{Result, at};

const HIERARCHIES: [&str; 6] = ["pids", "freezer", "devices", "memory", "cpuacct", "cpu"];
const LIMITS: [(&str, &str, &[u8]); 6] = [
    ("pids", "pids.max", b"100"),
    ("memory", "memory.limit_in_bytes", b"268435456"),
    ("memory", "memory.memsw.limit_in_bytes", b"536870912"),
    ("memory", "memory.soft_limit_in_bytes", b"268435456"),
    ("cpu", "cpu.cfs_period_us", b"100000"),
    ("cpu", "cpu.cfs_quota_us", b"150000"),
];
const ALLOWED: [&[u8]; 8] = [
    b"c 1:3 rwm",
    b"c 1:5 rwm",
    b"c 1:7 rwm",
    b"c 1:8 rwm",
    b"c 1:9 rwm",
    b"c 5:0 rwm",
    b"c 5:2 rwm",
    b"c 136:* rwm",
];

pub(crate) struct Cgroup {
    directories: Vec<CString>,
    /// The `tasks` files, for the child.
    tasks: Vec<OwnedFd>,
}

impl Cgroup {
    /// Parent: made and limited.
    pub(crate) fn make(name: &CStr) -> Result<Cgroup> {
        let name = name.to_string_lossy();
        make(&name).map_err(at("cgroup"))
    }

    /// Child: after the devices are made. A thread that moves itself spares the kernel a
    /// lock that costs milliseconds.
    pub(crate) fn enter(&self) -> Result {
        let mut tasks = self.tasks.iter();
        tasks.try_for_each(|tasks| rustix::io::write(tasks, b"0").map(drop)).map_err(at("cgroup"))
    }

    /// Parent: at the end.
    pub(crate) fn remove(&self) -> Result {
        let mut directories = self.directories.iter();
        directories
            .try_for_each(|path| unlinkat(CWD, path, AtFlags::REMOVEDIR))
            .map_err(at("cgroup"))
    }
}

fn make(name: &str) -> std::result::Result<Cgroup, Errno> {
    let path = |hierarchy: &str, file: &str| {
        CString::new(format!("/sys/fs/cgroup/{hierarchy}/{name}{file}")).map_err(|_| Errno::INVAL)
    };
    let open = |hierarchy: &str, file: &str| {
        openat(CWD, path(hierarchy, file)?, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
    };
    let mut cgroup = Cgroup { directories: Vec::new(), tasks: Vec::new() };
    for hierarchy in HIERARCHIES {
        let directory = path(hierarchy, "")?;
        mkdirat(CWD, &directory, Mode::from_raw_mode(0o755))?;
        cgroup.directories.push(directory);
        cgroup.tasks.push(open(hierarchy, "/tasks")?);
    }
    for (hierarchy, file, value) in LIMITS {
        rustix::io::write(open(hierarchy, &format!("/{file}"))?, value)?;
    }
    rustix::io::write(open("devices", "/devices.deny")?, b"a")?;
    let allow = open("devices", "/devices.allow")?;
    ALLOWED.iter().try_for_each(|rule| rustix::io::write(&allow, rule).map(drop))?;
    Ok(cgroup)
}
