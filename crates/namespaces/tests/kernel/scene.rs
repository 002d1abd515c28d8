//! Both: what the scenarios share.

use std::fs::Permissions;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use nsinit_namespaces::{CloneRequest, IdMaps, Kinds, Namespace, Process, become_root};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{DumpableBehavior, Gid, Pid, Signal, Uid, set_dumpable_behavior};

use crate::{SKIPPED, sys};

/// Ends the scenario as skipped unless the condition holds.
macro_rules! require {
    ($condition:expr, $what:expr) => {
        if !$condition {
            crate::scene::skip($what);
        }
    };
}
pub(crate) use require;

pub(crate) fn skip(what: &str) -> ! {
    let _ = writeln!(std::io::stderr(), "SKIPPED: needs {what}");
    sys::exit(SKIPPED)
}

/// Gives up root for good.
pub(crate) fn become_user(id: u32) {
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    rustix::thread::set_thread_groups(&[]).unwrap();
    rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
    rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
    // Else /proc/self belongs to root, and to newuidmap we are not ourselves.
    set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap();
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// From here on the file at each place is one with this text, for this process
/// and its children only.
pub(crate) fn bind_file(places: &[&str], text: &str, mode: u32) {
    nsinit_namespaces::unshare(Kinds::MOUNT).unwrap();
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(c"/", private).unwrap();
    let file = std::env::temp_dir().join(format!("nsinit-bind-{}", std::process::id()));
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    for place in places {
        mount_bind(&file, *place).unwrap();
    }
    std::fs::remove_file(file).unwrap();
}

/// One side waits until the other has opened it.
pub(crate) struct Gate(OwnedFd, OwnedFd);

impl Gate {
    pub(crate) fn new() -> Self {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        Self(reader, writer)
    }

    pub(crate) fn open(&self) {
        rustix::io::write(&self.1, b"o").unwrap();
    }

    pub(crate) fn wait(&self) {
        assert_eq!(rustix::io::read(&self.0, &mut [0; 1]), Ok(1));
    }
}

/// A child in new namespaces, a user namespace among them, in which it is root.
pub(crate) fn mapped(kinds: Kinds, maps: &IdMaps, body: impl FnOnce() -> i32) -> Process {
    let gate = Gate::new();
    let request = CloneRequest { kinds: kinds | Kinds::USER, ..CloneRequest::default() };
    let setgroups_allowed = !maps.denies_setgroups();
    let process = sys::child(&request, || {
        gate.wait();
        become_root(setgroups_allowed).unwrap();
        body()
    })
    .unwrap();
    maps.write(process.pid()).unwrap();
    gate.open();
    process
}

/// A process in new namespaces that waits to be joined; ended by
/// [`end`].
pub(crate) fn target(kinds: Kinds, prepare: impl FnOnce()) -> Process {
    let ready = Gate::new();
    let body = || {
        sys::die_with_parent();
        prepare();
        ready.open();
        loop {
            std::thread::park();
        }
    };
    let process = if kinds.contains(Kinds::USER) {
        mapped(kinds, &IdMaps::caller_as_root(), body)
    } else {
        sys::child(&CloneRequest { kinds, ..CloneRequest::default() }, body).unwrap()
    };
    ready.wait();
    process
}

pub(crate) fn end(process: Process) {
    process.kill(Signal::KILL).unwrap();
    process.wait().unwrap();
}

pub(crate) fn code(process: &Process) -> i32 {
    process.wait().unwrap().code().unwrap()
}

pub(crate) fn number(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

/// "net:[4026531840]" of the calling thread.
pub(crate) fn own(kind: Namespace) -> String {
    let link = std::fs::read_link(format!("/proc/thread-self/ns/{}", kind.file())).unwrap();
    link.into_os_string().into_string().unwrap()
}

pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_str().unwrap().to_owned()
}

/// A line of /proc/self/status, a signal set among others.
pub(crate) fn status_field(name: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once('\t').unwrap().1.to_owned()
}
