//! Both: the system calls that a container's program must not have, as a program of the
//! kernel's classic packet filter (seccomp(2); linux/Documentation/userspace-api/
//! seccomp_filter.rst).
//!
//! Capabilities do not guard these. In a user namespace of its own a process has all of them,
//! and with a copy of the mount namespace it takes off what covers a file, leaves read-only
//! mounts and mounts cgroups writable: for files of its own uid that is as good as root. A
//! user's keyring is open to whoever has the user's id, in whatever container.

use std::fmt;

use rustix::io::Errno;

use crate::error::Error;
use crate::sys;

/// The numbers of system calls in one binary interface.
struct Interface {
    /// `AUDIT_ARCH_*`, linux/audit.h.
    arch: u32,
    clone: u32,
    unshare: u32,
    /// add_key, request_key, keyctl.
    keys: [u32; 3],
}

/// Those of the processor; a program may choose between them at every call.
#[cfg(target_arch = "x86_64")]
const INTERFACES: [Interface; 2] = [
    // x32 as well, whose numbers have one more bit.
    Interface { arch: 0xc000_003e, clone: 56, unshare: 272, keys: [248, 249, 250] },
    Interface { arch: 0x4000_0003, clone: 120, unshare: 310, keys: [286, 287, 288] },
];
#[cfg(target_arch = "aarch64")]
const INTERFACES: [Interface; 2] = [
    Interface { arch: 0xc000_00b7, clone: 220, unshare: 97, keys: [217, 218, 219] },
    Interface { arch: 0x4000_0028, clone: 120, unshare: 337, keys: [309, 310, 311] },
];
#[cfg(target_arch = "riscv64")]
const INTERFACES: [Interface; 1] =
    [Interface { arch: 0xc000_00f3, clone: 220, unshare: 97, keys: [217, 218, 219] }];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
const INTERFACES: [Interface; 0] = [];

/// The same number everywhere.
const CLONE3: u32 = 435;
/// In the number of a call of x32 (`__X32_SYSCALL_BIT`).
const X32: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data`; of an argument the low half.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "little") { 16 } else { 20 };

/// A filter of system calls, for good: for the calling thread and all that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFilter {
    program: Vec<sys::Instruction>,
    user_namespaces: bool,
}

impl CallFilter {
    /// A container's: without user namespaces of the program's own, unless it has `SYS_ADMIN`
    /// and could do the same without them, and without the kernel's keyrings.
    ///
    /// unshare(2) and clone(2) of a user namespace fail with EPERM, clone3(2), whose flags a
    /// filter cannot see, with ENOSYS, which has programs take clone(2); keyctl(2), add_key(2)
    /// and request_key(2) with ENOSYS, as in a kernel without keyrings.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on a processor whose calls are not known here.
    pub fn of_container(user_namespaces: bool) -> Result<CallFilter, Error> {
        if INTERFACES.is_empty() {
            return Err(Error::Unsupported { what: "system call filter for this processor" });
        }
        Ok(CallFilter { program: program(&INTERFACES, user_namespaces), user_namespaces })
    }

    /// Child: from here on the calls are refused.
    ///
    /// # Errors
    /// EACCES without `CAP_SYS_ADMIN` in the own user namespace and without no_new_privs,
    /// EINVAL or ENOSYS from a kernel without filters, and whatever an outer filter says.
    pub fn apply(&self) -> Result<(), Errno> {
        sys::set_call_filter(&self.program)
    }
}

impl fmt::Display for CallFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.user_namespaces {
            true => "without keyrings",
            false => "without keyrings and new user namespaces",
        })
    }
}

fn program(interfaces: &[Interface], user_namespaces: bool) -> Vec<sys::Instruction> {
    use sys::Instruction as Do;
    let mut program = vec![Do::load(ARCH)];
    for interface in interfaces {
        let mut body = vec![Do::load(NUMBER), Do::and(!X32)];
        for number in interface.keys {
            body.extend([Do::unless_equal(number, 1), Do::refuse(Errno::NOSYS)]);
        }
        if !user_namespaces {
            body.extend([Do::unless_equal(CLONE3, 1), Do::refuse(Errno::NOSYS)]);
            // Two ways to the look at the flags, which are the first argument of both.
            body.extend([Do::if_equal(interface.clone, 1), Do::unless_equal(interface.unshare, 3)]);
            body.extend([Do::load(FIRST_ARGUMENT), Do::unless_bits(NEW_USER, 1)]);
            body.push(Do::refuse(Errno::PERM));
        }
        body.push(Do::ALLOW);
        // Short by far.
        program.push(Do::unless_equal(interface.arch, body.len() as u8));
        program.extend(body);
    }
    // No interface of this processor's.
    program.push(Do::refuse(Errno::NOSYS));
    program
}

/// `CLONE_NEWUSER`.
const NEW_USER: u32 = 0x1000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel's machine would answer.
    fn answer(filter: &CallFilter, arch: u32, number: u32, argument: u32) -> Option<Errno> {
        let (mut at, mut value) = (0, 0);
        loop {
            let (next, outcome) = filter.program[at].step(&mut value, |offset| match offset {
                NUMBER => number,
                ARCH => arch,
                FIRST_ARGUMENT => argument,
                other => panic!("{other} is loaded"),
            });
            match outcome {
                Some(outcome) => return outcome,
                None => at += 1 + next,
            }
        }
    }

    #[test]
    fn calls_are_refused_in_every_interface() {
        let filter = CallFilter::of_container(false).unwrap();
        for Interface { arch, clone, unshare, keys } in INTERFACES {
            for call in [clone, unshare, clone | X32, unshare | X32] {
                assert_eq!(answer(&filter, arch, call, NEW_USER | 17), Some(Errno::PERM));
                assert_eq!(answer(&filter, arch, call, 17), None);
            }
            for call in keys.into_iter().chain([CLONE3]) {
                assert_eq!(answer(&filter, arch, call, 0), Some(Errno::NOSYS));
                assert_eq!(answer(&filter, arch, call | X32, 0), Some(Errno::NOSYS));
            }
            assert_eq!(answer(&filter, arch, 1, NEW_USER), None);
        }
        assert_eq!(answer(&filter, 0x1234, 1, 0), Some(Errno::NOSYS));
    }

    #[test]
    fn who_may_mount_may_have_user_namespaces() {
        let filter = CallFilter::of_container(true).unwrap();
        for Interface { arch, clone, unshare, keys } in INTERFACES {
            for call in [clone, unshare, CLONE3] {
                assert_eq!(answer(&filter, arch, call, NEW_USER), None);
            }
            assert_eq!(answer(&filter, arch, keys[0], 0), Some(Errno::NOSYS));
        }
    }
}
