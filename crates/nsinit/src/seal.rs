//! Parent: going on as a copy of the executable that nobody can write.
//!
//! A process that joins a container can be seen in it, and with it, through
//! `/proc/PID/exe`, the host's executable (CVE-2019-5736). So the command re-executes
//! itself first: root from a read-only detached bind mount, everybody else from a
//! sealed copy in memory.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::error::{Error, Result};
use crate::sys::{self, CArray};

const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK);

/// The variables that this command reads. Nothing else of the caller's environment goes
/// into a process that others may come to see: there are secrets in it.
const KEPT: [&str; 4] = ["TERM", "COLORTERM", "XDG_RUNTIME_DIR", "SUDO_UID"];

/// Re-executes this command line from a copy that cannot be written, unless it already
/// runs from one. `arguments` are those of this process, its name included.
///
/// # Errors
///
/// When neither kind of copy can be made.
pub fn reexecute_sealed(arguments: &[OsString]) -> Result<()> {
    let action = "re-execute /proc/self/exe from a sealed copy";
    let seal = || -> io::Result<()> {
        let executable = rustix::fs::openat(
            CWD,
            c"/proc/self/exe",
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        if is_sealed(&executable)? {
            return Ok(());
        }
        let copy = match read_only_bind() {
            Err(Errno::PERM | Errno::NOSYS | Errno::INVAL) => sealed_copy(executable)?,
            other => other?,
        };
        let strings = |list: Vec<OsString>| -> io::Result<CArray> {
            let strings = list.into_iter().map(|s| CString::new(s.into_vec()));
            Ok(CArray::new(strings.collect::<std::result::Result<_, _>>()?))
        };
        let argv = strings(arguments.to_vec())?;
        let environment = KEPT.iter().filter_map(|key| {
            let mut entry = OsString::from(key);
            entry.push("=");
            entry.push(std::env::var_os(key)?);
            Some(entry)
        });
        Err(sys::execveat(copy.as_fd(), &argv, &strings(environment.collect())?).into())
    };
    seal().map_err(Error::io(action))
}

/// Read from the descriptor, never from the environment: anybody can set a variable.
fn is_sealed(executable: &OwnedFd) -> io::Result<bool> {
    if rustix::fs::fcntl_get_seals(executable).is_ok_and(|seals| seals.contains(SEALS)) {
        return Ok(true);
    }
    let mount = rustix::fs::fstatvfs(executable)?;
    Ok(mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// A detached mount of the executable alone, read-only for everybody who reaches it.
fn read_only_bind() -> std::result::Result<OwnedFd, Errno> {
    let bind = rustix::mount::open_tree(
        CWD,
        c"/proc/self/exe",
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?;
    sys::make_mount_read_only(bind.as_fd())?;
    Ok(bind)
}

fn sealed_copy(executable: OwnedFd) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 on can be told to refuse executable memory files unless asked.
    let copy = match rustix::fs::memfd_create(c"nsinit", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"nsinit", flags)?,
        other => other?,
    };
    let mut copy = File::from(copy);
    io::copy(&mut File::from(executable), &mut copy)?;
    rustix::fs::fcntl_add_seals(&copy, SEALS | SealFlags::SEAL)?;
    // Executing through a descriptor that is open for writing is refused (ETXTBSY).
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy));
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}
