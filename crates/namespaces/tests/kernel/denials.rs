//! Parent: a refused clone names its cause.

use nsinit_namespaces::{CloneRequest, Denier, Error, IdMaps, Kinds};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::As::{Both, User};
use crate::scene::{code, mapped};
use crate::{Scenario, sys};

pub(crate) const ALL: &[Scenario] = &[
    ("without_privilege_the_capability_is_named", User, without_privilege),
    ("an_outer_filter_is_named", Both, outer_filter),
    ("a_limit_of_zero_is_named_by_its_file", Both, limit_of_zero),
    ("the_limit_of_processes_is_named", User, limit_of_processes),
    ("a_file_that_is_no_cgroup_is_an_error", Both, no_cgroup),
];

fn refused(kinds: Kinds) -> Error {
    let request = CloneRequest { kinds, ..CloneRequest::default() };
    sys::quiet_child(&request, || 0).unwrap_err()
}

fn without_privilege() {
    let error = refused(Kinds::NET);
    assert!(matches!(&error, Error::Denied { by: Denier::Kernel, .. }), "{error:?}");
    let text = "new net namespace: forbidden by the kernel: Operation not permitted";
    assert_eq!(error.to_string(), text);
    assert!(error.hint().unwrap().contains("NEWUSER"));
}

fn outer_filter() {
    sys::forbid_clone3();
    let error = refused(Kinds::USER);
    assert!(matches!(&error, Error::Denied { by: Denier::OuterFilter, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("seccomp"));
}

fn limit_of_zero() {
    // The limits belong to the user namespace, so a new one can be closed
    // without touching the host's.
    let child = mapped(Kinds::NONE, &IdMaps::caller_as_root(), || {
        let file = "/proc/sys/user/max_net_namespaces";
        std::fs::write(file, "0").unwrap();
        let error = refused(Kinds::NET | Kinds::UTS);
        let sysctl = Denier::Sysctl(file.into());
        assert!(matches!(&error, Error::Denied { by, .. } if *by == sysctl), "{error:?}");
        assert!(error.hint().unwrap().contains("user.max_net_namespaces="));
        0
    });
    assert_eq!(code(&child), 0);
}

fn limit_of_processes() {
    setrlimit(Resource::Nproc, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    let error = refused(Kinds::NONE);
    let limit = Denier::Limit { file: "/proc/self/limits".into(), value: Some(0) };
    assert!(matches!(&error, Error::Denied { by, .. } if *by == limit), "{error:?}");
}

fn no_cgroup() {
    let file = std::fs::File::open("/proc/self/status").unwrap();
    let into_cgroup = Some(std::os::fd::AsFd::as_fd(&file));
    let request = CloneRequest { into_cgroup, ..CloneRequest::default() };
    let error = sys::quiet_child(&request, || 0).unwrap_err();
    assert_eq!(error.to_string(), "new process: Bad file descriptor");
}
