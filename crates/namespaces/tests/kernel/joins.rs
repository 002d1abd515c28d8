//! Both: joining by pidfd and by namespace file.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nsinit_namespaces::{
    CloneRequest, Denier, Error, Join, Kinds, Namespace, NamespaceFile, Process, become_root,
};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, getpid, pidfd_open, waitpid};

use crate::As::{Both, Root, User};
use crate::scene::{code, descriptors, end, host_name, number, own, target};
use crate::{Scenario, sys};

pub(crate) const ALL: &[Scenario] = &[
    ("all_kinds_are_joined_at_once", Both, all_kinds),
    ("joining_allocates_nothing", Both, quiet_join),
    ("kinds_that_are_shared_are_not_to_be_joined", Both, shared_kinds),
    ("a_process_that_is_gone_cannot_be_joined", Both, gone),
    ("a_pidfd_must_be_of_that_process", Both, pidfd_of_another),
    ("work_runs_in_there_and_the_caller_stays", Root, work_runs_in_there),
    ("work_without_privilege_is_denied", User, denied_work),
    ("no_thread_enters_a_user_namespace", Both, no_user_namespace_for_threads),
    ("a_file_of_another_type_is_refused", Both, wrong_files),
    ("a_namespace_file_is_entered", Both, file_is_entered),
];

fn join(process: &Process) -> Join {
    Join::process(number(process.pid())).unwrap()
}

fn named_target() -> Process {
    target(Kinds::ALL, || rustix::system::sethostname(b"target").unwrap())
}

fn all_kinds() {
    let target = named_target();
    let join = join(&target);
    let child = sys::child(&CloneRequest::default(), || {
        let kinds = join.kinds_to_join().unwrap();
        assert_eq!(kinds, Kinds::ALL);
        join.enter(kinds).unwrap();
        become_root(false).unwrap();
        assert_eq!(host_name(), "target");
        // A pid namespace is for the children.
        assert_eq!(join.kinds_to_join().unwrap(), Kinds::PID);
        let Some(inner) = sys::fork().unwrap() else {
            let good = getpid() == Pid::from_raw(2).unwrap() && join.shares(Namespace::Pid);
            sys::exit(i32::from(!good));
        };
        let (_, status) = waitpid(Some(inner), WaitOptions::empty()).unwrap().unwrap();
        status.exit_status().unwrap()
    });
    assert_eq!(code(&child.unwrap()), 0);
    end(target);
}

fn quiet_join() {
    let target = named_target();
    let path = format!("/proc/{}/ns/uts", number(target.pid()));
    let file = NamespaceFile::open(Path::new(&path), Namespace::Uts).unwrap();
    let join = join(&target);
    let kinds = join.kinds_to_join().unwrap() - Kinds::UTS;
    let proc = std::fs::File::open("/proc").unwrap();
    let offsets = nsinit_namespaces::TimeOffsets { monotonic: -1, boottime: 1 };
    let child = sys::quiet_child(&CloneRequest::default(), || {
        let entered = join.enter(kinds).and(become_root(false)).and(file.enter());
        let Ok(()) = entered.and(offsets.enter(proc.as_fd())) else { return 1 };
        match sys::fork() {
            Ok(None) => 0,
            Ok(inner) => i32::from(waitpid(inner, WaitOptions::empty()).is_err()),
            Err(_) => 2,
        }
    });
    assert_eq!(code(&child.unwrap()), 0);
    end(target);
}

fn shared_kinds() {
    let target = target(Kinds::USER | Kinds::NET, || ());
    let join = join(&target);
    assert_eq!(join.kinds_to_join().unwrap(), Kinds::USER | Kinds::NET);
    assert!(join.shares(Namespace::Uts) && !join.shares(Namespace::Net));
    end(target);
    let own = Join::process(number(getpid())).unwrap();
    assert_eq!(own.enter(Kinds::USER), Err(Errno::INVAL));
    assert!(own.kinds_to_join().unwrap().is_empty());
}

fn gone() {
    let before = descriptors();
    let child = sys::child(&CloneRequest::default(), || 0).unwrap();
    let pid = number(child.pid());
    // A zombie still has its number, but no namespaces.
    while !is_zombie(pid) {
        std::thread::yield_now();
    }
    assert!(matches!(Join::process(pid), Err(Error::Gone { pid: p }) if p == pid));
    child.wait().unwrap();
    for pid in [pid, 0, -1, i32::MAX] {
        let error = Join::process(pid).unwrap_err();
        assert!(matches!(error, Error::Gone { .. }), "{pid}: {error:?}");
    }
    drop(child);
    assert_eq!(descriptors(), before);
}

fn is_zombie(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") Z ")
}

fn pidfd_of_another() {
    let target = target(Kinds::NONE, || ());
    let pidfd = || pidfd_open(target.pid(), PidfdFlags::empty()).unwrap();
    let (right, wrong) = (number(target.pid()), number(getpid()));
    let found = Join::from_pidfd(pidfd(), right).unwrap();
    assert_eq!((found.pid(), found.start_time()), (right, join(&target).start_time()));
    let error = Join::from_pidfd(pidfd(), wrong).unwrap_err();
    let text = format!("process {wrong}: the pidfd is of process {right}");
    assert_eq!(error.to_string(), text);
    let file = std::fs::File::open("/proc/self/status").unwrap();
    let error = Join::from_pidfd(file.into(), wrong).unwrap_err();
    assert_eq!(error.to_string(), format!("process {wrong}: the descriptor is no pidfd"));
    end(target);
}

fn work_runs_in_there() {
    let kinds = Kinds::NET | Kinds::MOUNT | Kinds::UTS | Kinds::IPC | Kinds::CGROUP;
    let target = target(kinds, || rustix::system::sethostname(b"target").unwrap());
    let join = join(&target);
    // Not only namespaces: threads share a working directory, which goes with
    // a mount namespace.
    let here = || (host_name(), Namespace::ALL.map(own), std::env::current_dir().unwrap());
    let before = here();
    assert_ne!(before.2, Path::new("/"));
    let inside = join.run(kinds, || (host_name(), join.kinds_to_join().unwrap())).unwrap();
    assert_eq!(inside, ("target".to_owned(), Kinds::NONE));
    assert_eq!(here(), before);
    assert!(join.run(Kinds::MOUNT, || join.shares(Namespace::Mount)).unwrap());
    let panic = std::panic::AssertUnwindSafe(|| join.run(Kinds::NET, || panic!("on purpose")));
    let panic = std::panic::catch_unwind(panic).map(|_: Result<(), Error>| ()).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    end(target);
    let error = join.run(Kinds::NET, || ()).unwrap_err();
    assert!(matches!(error, Error::Gone { .. }), "{error:?}");
}

fn denied_work() {
    let target = target(Kinds::USER | Kinds::NET, || ());
    let error = join(&target).run(Kinds::NET, || ()).unwrap_err();
    assert!(matches!(&error, Error::Denied { by: Denier::Kernel, .. }), "{error:?}");
    let text = "the net namespace of process";
    assert!(error.to_string().starts_with(text) && error.hint().is_some(), "{error}");
    end(target);
}

fn no_user_namespace_for_threads() {
    let own = Join::process(number(getpid())).unwrap();
    for kinds in [Kinds::USER | Kinds::NET, Kinds::TIME] {
        let error = own.run(kinds, || ()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    }
}

fn wrong_files() {
    let open = |path: &str, kind| NamespaceFile::open(Path::new(path), kind);
    let text = |path: &str, kind| open(path, kind).unwrap_err().to_string();
    for kind in Namespace::ALL {
        let path = format!("/proc/self/ns/{}", kind.file());
        assert!(open(&path, kind).unwrap().is_callers_own());
        let other = if kind == Namespace::Net { Namespace::Uts } else { Namespace::Net };
        let error = open(&path, other).unwrap_err();
        assert!(matches!(error, Error::WrongNamespace { expected, found: Some(found), .. }
            if (expected, found) == (other, kind)));
    }
    let fifo: PathBuf = std::env::temp_dir().join(format!("nsinit-ns-{}", std::process::id()));
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let no_namespace = text(fifo.to_str().unwrap(), Namespace::Net);
    std::fs::remove_file(&fifo).unwrap();
    assert!(no_namespace.ends_with(": not a namespace (NEWNET expected)"), "{no_namespace}");
    assert!(text("/dev/null", Namespace::Net).contains("not a namespace"));
    assert!(text("/etc", Namespace::Net).contains("not a namespace"));
    assert_eq!(text("/no/such", Namespace::Net), "/no/such: No such file or directory");
}

fn file_is_entered() {
    let target = named_target();
    let open = |kind: Namespace| {
        let path = format!("/proc/{}/ns/{}", number(target.pid()), kind.file());
        NamespaceFile::open(Path::new(&path), kind).unwrap()
    };
    let (user, uts) = (open(Namespace::User), open(Namespace::Uts));
    assert!(!uts.is_callers_own());
    let child = sys::child(&CloneRequest::default(), || {
        user.enter().unwrap();
        uts.enter().unwrap();
        i32::from(!(host_name() == "target" && uts.is_callers_own()))
    });
    assert_eq!(code(&child.unwrap()), 0);
    end(target);
}
