//! Both: tests on the real kernel, in namespaces that end with each test. What needs
//! no privilege runs as uid 65534 in a user namespace; as root everything runs three
//! times: as root, as root of a user namespace, as 65534; and each of them once more
//! with openat2 and mount_setattr refused by a filter, as on an old kernel. A child
//! that allocates ends with 99.

mod confinement;
mod destinations;
mod furnish;
mod support;
#[expect(unsafe_code, reason = "fork, unshare and seccomp for test children")]
mod sys;
