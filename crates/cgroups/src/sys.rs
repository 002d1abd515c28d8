//! Both: the system calls that rustix lacks, and the hook between fork and execve.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;

use crate::bpf::Instruction;
use crate::entry::Entry;

/// Lets every child that this command starts enter the cgroup before execve.
pub(crate) fn enter_before_exec(command: &mut Command, entry: Entry) {
    let step = move || entry.enter().map_err(std::io::Error::from);
    // SAFETY: `Entry::enter` only writes to open descriptors, which is
    // async-signal-safe, and allocates nothing; its error holds no allocation.
    unsafe { command.pre_exec(step) };
}

/// bpf(2), `enum bpf_cmd`.
#[derive(Clone, Copy)]
#[repr(u32)]
enum BpfCommand {
    ProgLoad = 5,
    ProgAttach = 8,
    ObjGetInfoByFd = 15,
    ProgQuery = 16,
}

/// `BPF_PROG_TYPE_CGROUP_DEVICE`.
const CGROUP_DEVICE_PROGRAM: u32 = 15;
/// `BPF_CGROUP_DEVICE`.
const CGROUP_DEVICE_ATTACH: u32 = 6;
/// `BPF_F_ALLOW_MULTI`: programs of outer cgroups and other ones here stay in force.
const ALLOW_MULTI: u32 = 1 << 1;

/// The first members of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// The same for `BPF_PROG_ATTACH`.
#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// The same for `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

/// The same for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
#[derive(Default)]
struct InfoAttr {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// The first members of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct ProgInfo {
    kind: u32,
    id: u32,
}

fn bpf<T>(command: BpfCommand, attr: &mut T) -> Result<i32, Errno> {
    let attr: *mut T = attr;
    // SAFETY: `T` is one of the repr(C) prefixes of `union bpf_attr` above, the
    // one that belongs to `command`; the kernel reads and writes `size_of::<T>()`
    // bytes of it, and the pointers in it are to live memory of the lengths given.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command as u32, attr, size_of::<T>()) };
    match i32::try_from(answer) {
        Ok(answer) if answer >= 0 => Ok(answer),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Loads a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`.
pub(crate) fn bpf_load(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    const LICENSE: &[u8] = b"Dual MIT/GPL\0";
    let mut attr = LoadAttr {
        prog_type: CGROUP_DEVICE_PROGRAM,
        insn_cnt: u32::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        insns: program.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        prog_name: *b"nsinit_devices\0\0",
        ..LoadAttr::default()
    };
    let fd = bpf(BpfCommand::ProgLoad, &mut attr)?;
    // SAFETY: `BPF_PROG_LOAD` has just returned this descriptor, which is
    // close-on-exec and which nothing else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a device program to a cgroup, beside those that are there.
pub(crate) fn bpf_attach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut attr = AttachAttr {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: CGROUP_DEVICE_ATTACH,
        attach_flags: ALLOW_MULTI,
    };
    bpf(BpfCommand::ProgAttach, &mut attr).map(drop)
}

/// The kernel's number of a loaded program.
pub(crate) fn bpf_id(program: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut info = ProgInfo::default();
    let mut attr = InfoAttr {
        bpf_fd: program.as_raw_fd() as u32,
        info_len: size_of::<ProgInfo>() as u32,
        info: &raw mut info as u64,
    };
    bpf(BpfCommand::ObjGetInfoByFd, &mut attr)?;
    Ok(info.id)
}

/// The numbers of the device programs attached to a cgroup itself, at most 64.
pub(crate) fn bpf_attached(cgroup: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut ids = [0_u32; 64];
    let mut attr = QueryAttr {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_type: CGROUP_DEVICE_ATTACH,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ids.len() as u32,
        ..QueryAttr::default()
    };
    bpf(BpfCommand::ProgQuery, &mut attr)?;
    Ok(ids.iter().copied().take(attr.prog_cnt as usize).collect())
}
