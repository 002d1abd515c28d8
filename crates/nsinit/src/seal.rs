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

/// `FUTURE_WRITE` is `WRITE` for a file that nobody has mapped, and asks no more: for
/// `WRITE` the kernel waits until nobody else, reclaim included, holds a page of the file,
/// and gives up after a while (`EBUSY`).
const SEALS: SealFlags = SealFlags::FUTURE_WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK);

/// The variables that this command reads. Nothing else of the caller's environment goes
/// into a process that others may come to see: there are secrets in it.
const KEPT: [&str; 6] =
    ["TERM", "COLORTERM", "NO_COLOR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "SUDO_UID"];

/// Re-executes this command line from a copy that cannot be written, unless it already
/// runs from one. `arguments` are those of this process, its name included. Of the
/// environment the copy gets the variables that nsinit reads, and no others.
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
    let mut copy = memory_file()?;
    io::copy(&mut File::from(executable), &mut copy)?;
    sealed(copy)
}

fn memory_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 on can be told to refuse executable memory files unless asked.
    let file = match rustix::fs::memfd_create(c"nsinit", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"nsinit", flags)?,
        other => other?,
    };
    Ok(File::from(file))
}

/// The file, sealed, and open for reading only: executing through a descriptor that is open
/// for writing is refused (`ETXTBSY`).
fn sealed(file: File) -> io::Result<OwnedFd> {
    rustix::fs::fcntl_add_seals(&file, SEALS | SealFlags::SEAL)?;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use rustix::fs::FallocateFlags;
    use rustix::pipe::SpliceFlags;

    use super::*;

    #[test]
    fn nobody_can_write_a_sealed_file() {
        let mut file = memory_file().expect("memory file");
        file.write_all(b"executable").expect("write");
        let sealed = sealed(file).expect("sealed");
        assert!(is_sealed(&sealed).expect("seals"));
        let path = format!("/proc/self/fd/{}", sealed.as_raw_fd());
        let mut again = File::options().write(true).open(path).expect("open");
        let refused = Some(Errno::PERM.raw_os_error());
        assert_eq!(again.write(b"other").unwrap_err().raw_os_error(), refused);
        assert_eq!(again.set_len(0).unwrap_err().raw_os_error(), refused);
        assert_eq!(again.set_len(20).unwrap_err().raw_os_error(), refused);
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        assert_eq!(rustix::fs::fallocate(&again, hole, 0, 10), Err(Errno::PERM));
        let seal = rustix::fs::fcntl_add_seals(&again, SealFlags::WRITE);
        assert_eq!(seal, Err(Errno::PERM), "a set of seals that can grow");
    }

    #[test]
    fn a_page_that_the_kernel_holds_is_no_obstacle() {
        let mut file = memory_file().expect("memory file");
        file.write_all(b"executable").expect("write");
        // What is in a pipe by splice(2) is the page itself.
        let (_holder, pipe) = rustix::pipe::pipe().expect("pipe");
        let held = rustix::pipe::splice(&file, Some(&mut 0), &pipe, None, 10, SpliceFlags::empty());
        assert_eq!(held, Ok(10));
        sealed(file).expect("sealed");
    }
}
