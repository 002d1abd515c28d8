//! Without root: the parent has no rights on the host, the child is root of a
//! user namespace only.

use std::env;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nsinit_network::{
    Error, Interface, NetworkNamespace, Side, blocking, loopback_up, open_socket,
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::harness::{add_br0, as_host, eth0, only, require_namespaces};
use crate::sys::{allocations, in_user_namespace};

const NOBODY: u32 = 65534;
const ROLE: &str = "NSINIT_NETWORK_TEST_ROLE";

/// This test program again, for some of its tests.
fn again(role: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(arguments).args(["--test-threads", "2"]).env(ROLE, role);
    command
}

fn run(mut command: Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("SKIPPED"), "{text}");
}

/// A child of another user's must be able to execute this program.
fn nobody_can_run_this() -> bool {
    let mut command = again("", &["--list"]);
    command.uid(NOBODY).gid(NOBODY).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

macro_rules! require_nobody {
    () => {
        require_namespaces!();
        if env::var_os(ROLE).is_some() {
            return;
        }
        if !nobody_can_run_this() {
            assert!(
                env::var_os("NSINIT_TEST_REQUIRE").is_none(),
                "uid 65534 cannot run this test program"
            );
            eprintln!("SKIPPED: needs root: and a test program that uid 65534 can run");
            return;
        }
    };
}

#[test]
fn child_functions_allocate_nothing() {
    require_namespaces!();
    as_host(|| {
        let before = allocations();
        let socket = open_socket();
        let up = socket.as_ref().map(|socket| loopback_up(socket.as_fd()));
        assert_eq!(allocations(), before);
        assert_eq!(up, Ok(Ok(())));
        let flags = rustix::io::fcntl_getfd(socket.unwrap()).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    });
}

#[test]
fn all_tests_pass_in_a_user_namespace() {
    require_nobody!();
    let mut command = again("again", &["--skip", "unprivileged"]);
    command.env("NSINIT_TEST_REQUIRE", "1").uid(NOBODY).gid(NOBODY);
    in_user_namespace(&mut command, (NOBODY, NOBODY), || Ok(()));
    run(command);
}

#[test]
fn an_unprivileged_parent_configures_its_childs_namespace() {
    require_nobody!();
    as_host(|| {
        add_br0();
        let mut command = again("parent", &["--exact", "unprivileged::role_of_the_parent"]);
        command.uid(NOBODY).gid(NOBODY);
        run(command);
    });
}

#[test]
fn role_of_the_parent() {
    if env::var_os(ROLE).is_none_or(|role| role != "parent") {
        return;
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new("cat");
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    assert_eq!(uid, NOBODY);
    in_user_namespace(&mut command, (uid, gid), move || Ok(send(&theirs, open_socket()?)?));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    drop(command);

    let ns = NetworkNamespace::from_socket(receive(&ours)).unwrap();
    let has_loopback = || {
        let addresses = std::fs::read_to_string(format!("/proc/{}/net/fib_trie", child.id()));
        addresses.unwrap().contains("127.0.0.1")
    };
    assert!(!has_loopback());
    blocking::connect(&ns, &[Interface::Loopback]).unwrap().keep();
    assert!(has_loopback());
    let error = blocking::connect(&ns, &only(eth0())).unwrap_err();
    assert!(matches!(error, Error::Link { side: Side::Host, .. }), "{error:?}");
    assert!(
        error.hint().unwrap().contains("CAP_NET_ADMIN in the host's network namespace"),
        "{error}"
    );

    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

fn send(to: &UnixStream, socket: OwnedFd) -> Result<(), rustix::io::Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(to, &[IoSlice::new(b"s")], &mut ancillary, SendFlags::empty()).map(drop)
}

fn receive(from: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        .unwrap();
    let mut messages = ancillary.drain();
    let Some(RecvAncillaryMessage::ScmRights(mut sockets)) = messages.next() else {
        panic!("no socket")
    };
    sockets.next().unwrap()
}
