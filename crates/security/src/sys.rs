//! Both: the system calls that rustix does not have.

use rustix::io::Errno;

/// setgroups(2) for the calling thread alone, without the C library's lock and signals.
pub(crate) fn setgroups(groups: &[u32]) -> Result<(), Errno> {
    // On these the plain number is the old call with ids of 16 bits.
    #[cfg(any(target_arch = "x86", target_arch = "arm", target_arch = "sparc"))]
    const NUMBER: libc::c_long = libc::SYS_setgroups32;
    #[cfg(not(any(target_arch = "x86", target_arch = "arm", target_arch = "sparc")))]
    const NUMBER: libc::c_long = libc::SYS_setgroups;
    // SAFETY: the kernel reads exactly `len` ids of 32 bits from the slice, and keeps no pointer.
    let returned = unsafe { libc::syscall(NUMBER, groups.len(), groups.as_ptr()) };
    result(returned)
}

/// keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL): a new anonymous session keyring.
pub(crate) fn join_new_session_keyring() -> Result<(), Errno> {
    let no_name: *const libc::c_char = core::ptr::null();
    // SAFETY: the only pointer is the name, for which NULL is defined (keyctl(2)).
    let returned =
        unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, no_name) };
    result(returned)
}

/// `struct sock_filter`: one instruction of a classic packet filter (linux/filter.h).
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Instruction(libc::sock_filter);

impl Instruction {
    /// Ends with the call being made.
    pub(crate) const ALLOW: Instruction =
        Instruction::new(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW);

    const fn new(code: u32, jt: u8, jf: u8, k: u32) -> Instruction {
        Instruction(libc::sock_filter { code: code as u16, jt, jf, k })
    }

    /// Loads 32 bits of `struct seccomp_data`.
    pub(crate) const fn load(offset: u32) -> Instruction {
        Instruction::new(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
    }

    pub(crate) const fn and(mask: u32) -> Instruction {
        Instruction::new(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, mask)
    }

    /// Skips so many instructions unless that was loaded.
    pub(crate) const fn unless_equal(value: u32, skip: u8) -> Instruction {
        Instruction::new(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, value)
    }

    /// Skips so many instructions if that was loaded.
    pub(crate) const fn if_equal(value: u32, skip: u8) -> Instruction {
        Instruction::new(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skip, 0, value)
    }

    /// Skips so many instructions unless one of these bits was loaded.
    pub(crate) const fn unless_bits(mask: u32, skip: u8) -> Instruction {
        Instruction::new(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, skip, mask)
    }

    /// Ends with the call having failed.
    pub(crate) const fn refuse(errno: Errno) -> Instruction {
        let answer = libc::SECCOMP_RET_ERRNO | errno.raw_os_error() as u32;
        Instruction::new(libc::BPF_RET | libc::BPF_K, 0, 0, answer)
    }

    fn fields(self) -> (u16, u8, u8, u32) {
        let libc::sock_filter { code, jt, jf, k } = self.0;
        (code, jt, jf, k)
    }

    /// Does what the kernel would: how many instructions are skipped, or the end.
    #[cfg(test)]
    pub(crate) fn step(
        self,
        value: &mut u32,
        load: impl Fn(u32) -> u32,
    ) -> (usize, Option<Option<Errno>>) {
        let (code, jt, jf, k) = self.fields();
        let jump = |taken: bool| (usize::from(if taken { jt } else { jf }), None);
        match u32::from(code) {
            code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => *value = load(k),
            code if code == libc::BPF_ALU | libc::BPF_AND => *value &= k,
            code if code == libc::BPF_JMP | libc::BPF_JEQ => return jump(*value == k),
            code if code == libc::BPF_JMP | libc::BPF_JSET => return jump(*value & k != 0),
            _ if k == libc::SECCOMP_RET_ALLOW => return (0, Some(None)),
            _ => return (0, Some(Some(Errno::from_raw_os_error((k & 0xffff) as i32)))),
        }
        (0, None)
    }
}

impl PartialEq for Instruction {
    fn eq(&self, other: &Instruction) -> bool {
        self.fields() == other.fields()
    }
}

impl Eq for Instruction {}

impl std::fmt::Debug for Instruction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x?}", self.fields())
    }
}

/// seccomp(SECCOMP_SET_MODE_FILTER): the calling thread has this filter, too. It is not slowed
/// down for it as older kernels do otherwise (`SECCOMP_FILTER_FLAG_SPEC_ALLOW`).
pub(crate) fn set_call_filter(program: &[Instruction]) -> Result<(), Errno> {
    let Ok(len) = u16::try_from(program.len()) else { return Err(Errno::INVAL) };
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel reads `len` instructions, which have the layout of `sock_filter`, and
    // keeps a copy.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            &raw const program,
        )
    };
    result(returned)
}

fn result(returned: libc::c_long) -> Result<(), Errno> {
    if returned >= 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

/// A mount namespace for the calling thread, which then may cover what it likes.
#[cfg(test)]
pub(crate) fn unshare_mounts() -> Result<(), Errno> {
    // SAFETY: the call takes a number; descriptors stay shared with the other threads.
    result(unsafe { libc::c_long::from(libc::unshare(libc::CLONE_NEWNS)) })
}
