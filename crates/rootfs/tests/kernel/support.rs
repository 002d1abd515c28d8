//! Both: a container for one test, in namespaces that end with it.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys;
use nsinit_rootfs::{Child, Facts, Furniture, Mount, NewNamespaces, Rootfs, Step};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// Says that a test did not run, or fails where that is forbidden.
macro_rules! require_root {
    () => {
        if !rustix::process::geteuid().is_root() {
            if std::env::var_os("NSINIT_TEST_REQUIRE").is_some_and(|value| value == "1") {
                panic!("needs root");
            }
            eprintln!("SKIPPED: needs root: {}:{}", file!(), line!());
            return;
        }
    };
}
pub(crate) use require_root;

/// Ends a probe with the line of the claim that does not hold.
macro_rules! check {
    ($claim:expr) => {
        if !$claim {
            return Err(line!());
        }
    };
}
pub(crate) use check;

/// A directory that goes when the test ends.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Temporary {
    /// With `root` (an image with the usual directories) and `canary` (a directory of
    /// the host with some files, which nobody may change).
    pub(crate) fn new() -> Temporary {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nsinit-rootfs-{}-{number}", std::process::id());
        let path = std::env::temp_dir().canonicalize().expect("a temporary directory").join(name);
        let this = Temporary(path);
        for directory in
            ["root/proc", "root/sys", "root/dev", "root/data", "root/etc", "canary/sub", "source"]
        {
            fs::create_dir_all(this.0.join(directory)).expect("directory");
        }
        fs::write(this.0.join("canary/file"), "alive").expect("file");
        fs::write(this.0.join("canary/ptmx"), "").expect("file");
        fs::write(this.0.join("source/file"), "content").expect("file");
        this
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    pub(crate) fn canary(&self) -> PathBuf {
        self.0.join("canary")
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.0.join("source")
    }

    pub(crate) fn link(&self, target: impl AsRef<Path>, name: &str) {
        let path = self.0.join(name);
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            fs::remove_dir(&path).expect("an empty directory");
        }
        std::os::unix::fs::symlink(target, path).expect("symbolic link");
    }

    /// Everything that can be told about the canary.
    pub(crate) fn fingerprint(&self) -> Vec<String> {
        let mut told = Vec::new();
        let mut todo = vec![self.canary()];
        while let Some(path) = todo.pop() {
            let seen = path.symlink_metadata().expect("metadata");
            let (mode, uid, gid, size) = (seen.mode(), seen.uid(), seen.gid(), seen.size());
            let (time, nanoseconds) = (seen.mtime(), seen.mtime_nsec());
            let bytes = if seen.is_file() { fs::read(&path).expect("bytes") } else { Vec::new() };
            told.push(format!(
                "{path:?} {mode:o} {uid} {gid} {size} {time}.{nanoseconds} {bytes:?}"
            ));
            if seen.is_dir() {
                todo.extend(
                    fs::read_dir(&path).expect("list").map(|entry| entry.expect("entry").path()),
                );
            }
        }
        told.sort();
        told
    }

    pub(crate) fn give_to(&self, id: u32) {
        let mut todo = vec![self.0.clone()];
        while let Some(path) = todo.pop() {
            std::os::unix::fs::lchown(&path, Some(id), Some(id)).expect("lchown");
            if path.symlink_metadata().expect("metadata").is_dir() {
                todo.extend(
                    fs::read_dir(&path).expect("list").map(|entry| entry.expect("entry").path()),
                );
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Who furnishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    /// Root of the machine.
    Root,
    /// Root of a user namespace made by root.
    UserNamespace,
    /// Root of a user namespace made by uid 65534 (or by whoever runs the test).
    Nobody,
}

/// Namespaces of the container besides the mount namespace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sandbox {
    pub(crate) who: As,
    pub(crate) new: NewNamespaces,
    /// Before the namespaces: what the host is like.
    pub(crate) host: fn(&Paths) -> Result<(), Errno>,
    /// One that lacks openat2 and mount_setattr; this one may lack the latter, too.
    pub(crate) old_kernel: bool,
}

/// Paths as C strings, for children.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(crate) source_sub: std::ffi::CString,
    pub(crate) source_file: std::ffi::CString,
    uid_map: Vec<u8>,
    gid_map: Vec<u8>,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    /// A step failed.
    Step(String, Errno),
    /// A claim of the probe does not hold, on this line of the test.
    Claim(u32),
    /// The child ended otherwise: 99 = it allocated, 90… = the namespaces.
    Exit(i32),
}

pub(crate) const ALL: NewNamespaces =
    NewNamespaces { pid: true, net: true, ipc: true, cgroup: false };

impl Sandbox {
    pub(crate) fn new(who: As) -> Sandbox {
        Sandbox { who, new: ALL, host: |_| Ok(()), old_kernel: false }
    }

    /// Whoever the test runs as: everything that needs no privilege runs as both.
    pub(crate) fn everyone() -> Vec<Sandbox> {
        let mut all = vec![Sandbox::new(As::Nobody)];
        if rustix::process::geteuid().is_root() {
            all.extend([Sandbox::new(As::Root), Sandbox::new(As::UserNamespace)]);
        } else {
            let _ = writeln!(std::io::stderr(), "SKIPPED: needs root: the privileged half");
            assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none_or(|v| v != "1"), "needs root");
        }
        let old = all.clone().into_iter().map(|this| Sandbox { old_kernel: true, ..this });
        let old: Vec<_> = old.collect();
        all.into_iter().chain(old).collect()
    }

    pub(crate) fn facts(&self) -> Facts {
        let (user_namespace, probed) = (self.who != As::Root, Facts::probe());
        Facts {
            user_namespace,
            new: self.new,
            maps_tty_gid: !user_namespace,
            openat2: probed.openat2 && !self.old_kernel,
            mount_setattr: probed.mount_setattr && !self.old_kernel,
            ..probed
        }
    }

    pub(crate) fn furniture(&self, more: impl IntoIterator<Item = Mount>) -> Furniture {
        let mounts = Mount::defaults().into_iter().chain(more).collect();
        Furniture { mounts, facts: self.facts(), ..Furniture::default() }
    }

    /// Plans, then furnishes in new namespaces and runs the probe inside.
    pub(crate) fn run(
        &self,
        temporary: &Temporary,
        furniture: &Furniture,
        probe: impl Fn(&mut Child) -> Result<(), u32>,
    ) -> Ended {
        if self.who == As::Nobody && rustix::process::geteuid().is_root() {
            temporary.give_to(65534);
        }
        let root = Rootfs::open(temporary.root()).expect("root");
        let steps = root.steps(furniture).expect("plan");
        self.walk(temporary, &steps, probe)
    }

    pub(crate) fn walk(
        &self,
        temporary: &Temporary,
        steps: &[Step],
        probe: impl Fn(&mut Child) -> Result<(), u32>,
    ) -> Ended {
        let paths = self.paths(temporary);
        let (reader, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
        let pid = sys::fork(|| {
            self.enter(&paths, || {
                let mut child = Child::new();
                for (index, step) in steps.iter().enumerate() {
                    if let Err(errno) = step.apply(&mut child) {
                        let told = [index as i32, errno.raw_os_error()].map(i32::to_ne_bytes);
                        let _ = rustix::io::write(&writer, told.as_flattened());
                        return 1;
                    }
                }
                match probe(&mut child) {
                    Ok(()) => 0,
                    Err(line) => {
                        let told = [-1, line as i32].map(i32::to_ne_bytes);
                        let _ = rustix::io::write(&writer, told.as_flattened());
                        1
                    }
                }
            })
        });
        let status = wait(pid.expect("fork"));
        drop(writer);
        let mut told = [0u8; 8];
        let got = rustix::io::read(reader.as_fd(), &mut told).expect("read");
        let word = |at: usize| i32::from_ne_bytes(told[at..at + 4].try_into().expect("four bytes"));
        match (status, got) {
            (0, 0) => Ended::Well,
            (_, 8) if word(0) == -1 => Ended::Claim(word(4) as u32),
            (_, 8) => {
                let step = steps[word(0) as usize].to_string();
                Ended::Step(step, Errno::from_raw_os_error(word(4)))
            }
            (code, _) => Ended::Exit(code),
        }
    }

    fn paths(&self, temporary: &Temporary) -> Paths {
        let c =
            |path: PathBuf| std::ffi::CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
        let id = |own: u32| if self.who == As::Nobody && own == 0 { 65534 } else { own };
        let uid = id(rustix::process::geteuid().as_raw());
        let gid = id(rustix::process::getegid().as_raw());
        Paths {
            source_sub: c(temporary.source().join("sub")),
            source_file: c(temporary.source().join("file")),
            uid_map: format!("0 {uid} 1").into_bytes(),
            gid_map: format!("0 {gid} 1").into_bytes(),
        }
    }

    /// As root: a mount namespace that plays the host, and stays while the container
    /// lives. Exit code 88: the host had other mounts afterwards.
    fn enter(&self, paths: &Paths, act: impl FnOnce() -> i32) -> i32 {
        let inner = || match self.unshare(paths) {
            Ok(()) => sys::fork(act).map_or(95, wait),
            Err((stage, _)) => stage,
        };
        if !rustix::process::geteuid().is_root() {
            return if (self.host)(paths).is_ok() { inner() } else { 92 };
        }
        if let Err((stage, _)) = self.play_host(paths) {
            return stage;
        }
        let before = mounts();
        match sys::fork(inner).map_or(95, wait) {
            0 if mounts() != before => 88,
            code => code,
        }
    }

    fn play_host(&self, paths: &Paths) -> Result<(), (i32, Errno)> {
        sys::unshare(libc::CLONE_NEWNS).map_err(|errno| (90, errno))?;
        let slave = rustix::mount::MountPropagationFlags::DOWNSTREAM
            | rustix::mount::MountPropagationFlags::REC;
        rustix::mount::mount_change(c"/", slave).map_err(|errno| (91, errno))?;
        (self.host)(paths).map_err(|errno| (92, errno))
    }

    fn unshare(&self, paths: &Paths) -> Result<(), (i32, Errno)> {
        if self.who == As::Nobody && rustix::process::geteuid().is_root() {
            sys::become_user(65534).map_err(|errno| (93, errno))?;
        }
        let mut flags = libc::CLONE_NEWNS;
        for (wanted, flag) in [
            (self.who != As::Root, libc::CLONE_NEWUSER),
            (self.new.pid, libc::CLONE_NEWPID),
            (self.new.net, libc::CLONE_NEWNET),
            (self.new.ipc, libc::CLONE_NEWIPC),
            (self.new.cgroup, libc::CLONE_NEWCGROUP),
        ] {
            flags |= if wanted { flag } else { 0 };
        }
        sys::unshare(flags).map_err(|errno| (94, errno))?;
        if self.who != As::Root {
            write(c"/proc/self/setgroups", b"deny").map_err(|errno| (96, errno))?;
            write(c"/proc/self/uid_map", &paths.uid_map).map_err(|errno| (97, errno))?;
            write(c"/proc/self/gid_map", &paths.gid_map).map_err(|errno| (98, errno))?;
        }
        if self.old_kernel {
            sys::old_kernel().map_err(|errno| (89, errno))?;
        }
        Ok(())
    }
}

/// How many mounts this process sees.
fn mounts() -> usize {
    let mut buffer = [0; 4096];
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(CWD, c"/proc/self/mountinfo", flags, Mode::empty()) else {
        return 0;
    };
    let mut lines = 0;
    while let Ok(got @ 1..) = rustix::io::read(&file, &mut buffer) {
        lines += buffer[..got].iter().filter(|&&byte| byte == b'\n').count();
    }
    lines
}

/// Waits; the exit code, or 256 + the signal.
pub(crate) fn wait(pid: rustix::process::Pid) -> i32 {
    loop {
        match rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                return status
                    .exit_status()
                    .unwrap_or_else(|| 256 + status.terminating_signal().unwrap_or(0));
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => return 512,
        }
    }
}

/// Writes to a file that exists.
pub(crate) fn write(path: &std::ffi::CStr, bytes: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    rustix::io::write(&file, bytes).map(|_| ())
}

/// Makes a file, if that is possible.
pub(crate) fn create(path: &std::ffi::CStr) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644)).map(|_| ())
}

/// Reads the beginning of a file; the number of bytes.
pub(crate) fn read(path: &std::ffi::CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::read(&file, buffer)
}

pub(crate) fn exists(path: &std::ffi::CStr) -> bool {
    rustix::fs::statat(CWD, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

pub(crate) fn mount_flags(path: &std::ffi::CStr) -> rustix::fs::StatVfsMountFlags {
    rustix::fs::statvfs(path).map_or(rustix::fs::StatVfsMountFlags::empty(), |seen| seen.f_flag)
}
