//! System calls that rustix lacks or marks unsafe.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr::{null, null_mut};

use rustix::thread::UnshareFlags;

/// Where the C library enters. Rust's own start would ignore SIGPIPE, catch
/// SIGSEGV and open missing descriptors before the facts about them are read.
#[unsafe(no_mangle)]
extern "C" fn main(count: libc::c_int, arguments: *const *const libc::c_char) -> libc::c_int {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: the C library passes an array of that many C strings.
    let arguments = unsafe { std::slice::from_raw_parts(arguments, count) };
    // SAFETY: each of them is a C string for the program's whole life.
    let text = |pointer: &*const libc::c_char| unsafe { CStr::from_ptr(*pointer) };
    let words: Vec<String> =
        arguments.iter().skip(1).map(|word| text(word).to_string_lossy().into_owned()).collect();
    crate::run(&words)
}

/// `-1` as the error of the call.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Ends at once, with any status byte.
pub(crate) fn exit(code: i32) -> ! {
    drop(io::Write::flush(&mut io::stdout()));
    // SAFETY: ends the process, whose only thread this is.
    unsafe { libc::_exit(code) }
}

/// kill(2); pid 0 is this process.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    let pid = if pid == 0 { i32::try_from(std::process::id()).unwrap_or(0) } else { pid };
    // SAFETY: no memory is passed.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// Calls `handler` at every such signal; it may only store to an atomic.
pub(crate) fn handle(signal: i32, handler: extern "C" fn(libc::c_int)) -> io::Result<()> {
    // SAFETY: the handler is a function for the program's whole life.
    let before = unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn ignore(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_IGN is a disposition.
    let before = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Default dispositions and nothing blocked, whatever the caller has arranged.
pub(crate) fn default_signals() -> io::Result<()> {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is a disposition. It is refused for KILL, STOP and what the C
        // library keeps for itself.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: empties the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was emptied above; the old mask is not asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), null_mut()) }.into())
        .map(drop)
}

pub(crate) fn block_all() -> io::Result<()> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: fills the set.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: the set was filled above; the old mask is not asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), null_mut()) }.into()).map(drop)
}

/// CLOCK_MONOTONIC in nanoseconds.
pub(crate) fn monotonic() -> io::Result<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills the structure.
    check(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) }.into())?;
    Ok(time.tv_sec * 1_000_000_000 + time.tv_nsec)
}

/// A signal that is blocked, so that it can be waited for.
pub(crate) struct Awaited(libc::sigset_t);

impl Awaited {
    pub(crate) fn block(signal: i32) -> io::Result<Awaited> {
        // SAFETY: a signal set of zeroes is the empty set.
        let mut set: libc::sigset_t = unsafe { zeroed() };
        // SAFETY: the set is initialised.
        check(unsafe { libc::sigaddset(&raw mut set, signal) }.into())?;
        // SAFETY: as above; the old mask is not asked for.
        check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, null_mut()) }.into())?;
        Ok(Awaited(set))
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        // SAFETY: the set is initialised; no details are asked for.
        check(unsafe { libc::sigwaitinfo(&raw const self.0, null_mut()) }.into()).map(drop)
    }
}

/// A child that runs `act` and ends; the parent gets its pid.
pub(crate) fn fork(act: impl FnOnce()) -> io::Result<i32> {
    let Some(pid) = split()? else {
        act();
        exit(0)
    };
    Ok(pid)
}

/// Goes on as two processes: the child gets nothing, the parent its pid.
pub(crate) fn split() -> io::Result<Option<i32>> {
    // SAFETY: this program has one thread, so that the child may do anything.
    match check(unsafe { libc::fork() }.into())? {
        0 => Ok(None),
        pid => Ok(Some(i32::try_from(pid).unwrap_or(i32::MAX))),
    }
}

/// A process in a user namespace of its own, by clone(2), which ends at once.
pub(crate) fn clone_user_namespace() -> io::Result<()> {
    let flags = libc::c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    // SAFETY: no stack is given: the child goes on with a copy of this one.
    match check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })? {
        0 => exit(0),
        _ => Ok(()),
    }
}

/// clone3(2) without an argument: EINVAL where there is such a call.
pub(crate) fn clone3_of_nothing() -> io::Result<()> {
    // SAFETY: a size of 0 has the kernel read nothing.
    check(unsafe { libc::syscall(libc::SYS_clone3, 0_i64, 0_i64) }).map(drop)
}

/// unshare(2) as a program of 32 bits calls it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn unshare_by_i386(kinds: UnshareFlags) -> io::Result<()> {
    const UNSHARE: i64 = 310;
    let answer: i64;
    // SAFETY: the call takes numbers only; the upper registers may be lost.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {flags}", "int 0x80", "xchg rbx, {flags}",
            flags = inout(reg) i64::from(kinds.bits()) => _,
            inout("rax") UNSHARE => answer,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let errno = answer as i32;
    if errno < 0 { Err(io::Error::from_raw_os_error(-errno)) } else { Ok(()) }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn unshare_by_i386(_: UnshareFlags) -> io::Result<()> {
    Err(io::Error::other("this is no x86"))
}

/// keyctl(KEYCTL_LINK): what is in the user's keyring is then the session's.
pub(crate) fn link_user_keyring() -> io::Result<()> {
    let (link, user, session) = (8_i64, -4_i64, -3_i64);
    // SAFETY: all arguments are numbers.
    check(unsafe { libc::syscall(libc::SYS_keyctl, link, user, session) }).map(drop)
}

/// Waits for ever.
pub(crate) fn pause() {
    loop {
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
}

/// Waits for every child that has ended.
pub(crate) fn reap() {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(-1, null_mut(), libc::WNOHANG) } > 0 {}
}

pub(crate) fn close(fd: i32) {
    // SAFETY: nothing in this program owns the descriptor; it is about to exec.
    unsafe { libc::close(fd) };
}

/// Opens `/` as descriptor `number`, which execve keeps.
pub(crate) fn leak_root(number: i32) -> io::Result<()> {
    // SAFETY: the path is a C string.
    let fd = check(unsafe { libc::open(c"/".as_ptr(), libc::O_PATH) }.into())?;
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd == number {
        return Ok(());
    }
    // SAFETY: nothing in this program owns `number`.
    check(unsafe { libc::dup2(fd, number) }.into())?;
    close(fd);
    Ok(())
}

/// execvp(3) without std's changes to signals: what a setting made must stay.
pub(crate) fn exec(program: &str, arguments: &[String]) -> io::Error {
    let texts = std::iter::once(program).chain(arguments.iter().map(String::as_str));
    let Ok(texts) = texts.map(CString::new).collect::<Result<Vec<_>, _>>() else {
        return io::Error::other("NUL byte in an argument");
    };
    let pointers: Vec<_> = texts.iter().map(|text| text.as_ptr()).chain([null()]).collect();
    // SAFETY: a null-terminated array of C strings that live until here.
    unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// The uid and the gid of that number, and no groups.
pub(crate) fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: an empty list.
    check(unsafe { libc::setgroups(0, null()) }.into())?;
    // SAFETY: no memory is passed.
    check(unsafe { libc::setresgid(id, id, id) }.into())?;
    // SAFETY: no memory is passed.
    check(unsafe { libc::setresuid(id, id, id) }.into()).map(drop)
}

pub(crate) fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::setuid(uid) }.into()).map(drop)
}

pub(crate) fn unshare(kinds: UnshareFlags) -> io::Result<()> {
    // SAFETY: descriptors are not unshared, and this program has one thread.
    Ok(unsafe { rustix::thread::unshare_unsafe(kinds) }?)
}

/// From here on these calls give this error, also to whoever is executed (seccomp(2)).
pub(crate) fn refuse(calls: &[libc::c_long], errno: i32) -> io::Result<()> {
    let statement =
        |code: u32, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let (load, equal) = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JEQ);
    let answer = libc::SECCOMP_RET_ERRNO | errno.unsigned_abs();
    let mut program = vec![statement(load, 0, 0)];
    for call in calls {
        let call = u32::try_from(*call).map_err(io::Error::other)?;
        program.extend([statement(equal, 1, call), statement(libc::BPF_RET, 0, answer)]);
    }
    program.push(statement(libc::BPF_RET, 0, libc::SECCOMP_RET_ALLOW));
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the filter and its statements outlive the call, and the kernel copies them.
    let set =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    check(set.into()).map(drop)
}

pub(crate) fn type_into_terminal(byte: u8) -> io::Result<()> {
    // SAFETY: TIOCSTI reads one byte.
    check(unsafe { libc::ioctl(0, libc::TIOCSTI, &raw const byte) }.into()).map(drop)
}

pub(crate) fn ptrace_seize(pid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SEIZE, pid, 0, 0).map(drop)
}

/// Gives the parent every stop of this process (ptrace(2)).
pub(crate) fn be_traced() -> io::Result<()> {
    ptrace(libc::PTRACE_TRACEME, 0, 0, 0).map(drop)
}

/// From now on the tracee stops at system calls, and its children are traced like it.
pub(crate) fn trace_calls_and_children(pid: i32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    ptrace(libc::PTRACE_SETOPTIONS, pid, 0, i64::from(options)).map(drop)
}

/// Lets a tracee go on to its next system call, with this signal or none.
pub(crate) fn resume(pid: i32, signal: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SYSCALL, pid, 0, signal.into()).map(drop)
}

/// Leaves a tracee alone.
pub(crate) fn let_go(pid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_DETACH, pid, 0, 0).map(drop)
}

/// The number of a system call that a tracee begins, and its first two arguments; none
/// when it is at the end of one.
pub(crate) fn begun_call(pid: i32) -> io::Result<Option<(i64, [u64; 2])>> {
    const GET_SYSCALL_INFO: libc::c_uint = 0x420e;
    const ENTRY: u8 = 1;
    // op in the first byte, instruction and stack pointer, number, six arguments
    let mut words = [0_u64; 11];
    let (size, place) = (size_of_val(&words), words.as_mut_ptr().expose_provenance());
    let (size, place) = (i64::try_from(size), i64::try_from(place));
    ptrace(GET_SYSCALL_INFO, pid, size.unwrap_or(0), place.unwrap_or(0))?;
    let number = i64::try_from(words[3]).unwrap_or(-1);
    Ok((words[0].to_ne_bytes()[0] == ENTRY).then_some((number, [words[4], words[5]])))
}

fn ptrace(request: libc::c_uint, pid: i32, address: i64, data: i64) -> io::Result<libc::c_long> {
    // SAFETY: of the requests here only one stores into this process, and its place is as
    // long as it says.
    check(unsafe { libc::ptrace(request as _, pid, address, data) })
}

/// The next child, of whatever kind, that stops or ends, and how (wait(2)).
pub(crate) fn wait_for_any() -> io::Result<(i32, i32)> {
    let mut status = 0;
    // SAFETY: a place for the status.
    let pid = check(unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) }.into())?;
    Ok((i32::try_from(pid).unwrap_or(i32::MAX), status))
}

/// The id of the session keyring (keyctl(2)).
pub(crate) fn session_keyring() -> io::Result<i64> {
    let (get_id, session) = (0_i64, -3_i64);
    // SAFETY: no memory is passed.
    check(unsafe { libc::syscall(libc::SYS_keyctl, get_id, session, 0_i64) })
}

pub(crate) fn search_key(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    let (search, session) = (10_i64, -3_i64);
    // SAFETY: two C strings.
    let found = unsafe {
        libc::syscall(libc::SYS_keyctl, search, session, c"user".as_ptr(), name.as_ptr(), 0_i64)
    };
    check(found).map(drop)
}

/// Joins a new, empty session keyring.
pub(crate) fn new_session_keyring() -> io::Result<()> {
    let join = 1_i64;
    // SAFETY: an anonymous keyring has no name.
    check(unsafe { libc::syscall(libc::SYS_keyctl, join, 0_i64) }).map(drop)
}

/// Adds a key to the session keyring.
pub(crate) fn add_key(name: &str) -> io::Result<()> {
    let (name, session, secret) = (CString::new(name)?, -3_i64, b"secret");
    let (kind, data) = (c"user".as_ptr(), secret.as_ptr());
    // SAFETY: two C strings, and a buffer with its length.
    check(unsafe {
        libc::syscall(libc::SYS_add_key, kind, name.as_ptr(), data, secret.len(), session)
    })
    .map(drop)
}

pub(crate) fn add_key_in_new_session(name: &str) -> io::Result<()> {
    new_session_keyring()?;
    add_key(name)?;
    let (set_permissions, session, everything) = (5_i64, -3_i64, 0x3f3f_3f3f_i64);
    // SAFETY: no memory is passed.
    let shared = unsafe { libc::syscall(libc::SYS_keyctl, set_permissions, session, everything) };
    check(shared).map(drop)
}

/// ICMP without a raw socket (icmp(7): `ping_group_range`).
pub(crate) fn ping_socket() -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP) }.into())
        .map(drop)
}

/// Opens inode 2 of the filesystem of `path`, past every mount and root.
pub(crate) fn open_root_by_handle(path: &str) -> io::Result<()> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        inode: [u32; 2],
    }
    let path = CString::new(path)?;
    // SAFETY: the path is a C string.
    let mount = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) }.into())?;
    let mut handle = Handle { bytes: 8, kind: 1, inode: [2, 0] };
    // SAFETY: a file handle with the 8 bytes that its first field announces.
    check(unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount, &raw mut handle, libc::O_RDONLY)
    })
    .map(drop)
}

/// `eth0 10.7.0.2` for each address of each interface that is up, sorted.
pub(crate) fn addresses() -> io::Result<Vec<String>> {
    let mut list: *mut libc::ifaddrs = null_mut();
    // SAFETY: getifaddrs(3) makes the list.
    check(unsafe { libc::getifaddrs(&raw mut list) }.into())?;
    let mut lines = Vec::new();
    let mut at = list;
    while !at.is_null() {
        // SAFETY: an element of the list, which is freed only below.
        let element = unsafe { *at };
        at = element.ifa_next;
        // SAFETY: the name of an element is a C string.
        let name = unsafe { CStr::from_ptr(element.ifa_name) }.to_string_lossy();
        lines.extend(address(element.ifa_addr).map(|address| format!("{name} {address}")));
    }
    // SAFETY: the list of getifaddrs, not used any more.
    unsafe { libc::freeifaddrs(list) };
    lines.sort();
    Ok(lines)
}

fn address(socket: *const libc::sockaddr) -> Option<String> {
    if socket.is_null() {
        return None;
    }
    // SAFETY: not null, so a socket address that begins with its family.
    match i32::from(unsafe { (*socket).sa_family }) {
        libc::AF_INET => {
            // SAFETY: the family says which structure this is.
            let v4 = unsafe { *socket.cast::<libc::sockaddr_in>() };
            Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).to_string())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says which structure this is.
            let v6 = unsafe { *socket.cast::<libc::sockaddr_in6>() };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).to_string())
        }
        _ => None,
    }
}

const _: () =
    assert!(size_of::<libc::c_long>() == 8, "keyctl's arguments are written as 64-bit numbers");
