//! What init sends to the launcher, if init is somebody else by then: datagrams of any
//! size with any descriptors. A message is whole or refused, and no descriptor stays.
//!
//! An input is a list of datagrams: a byte with the number of descriptors, one with the
//! length, and the bytes.

#![no_main]
#![expect(dead_code, reason = "a file of nsinit is taken in whole")]

use std::fs::File;
use std::io::{ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

// What nsinit keeps to itself.
#[path = "../../../crates/nsinit/src/handshake.rs"]
mod handshake;

use handshake::{ParentEnd, Received, Tag};

/// More than the launcher has room for.
const MOST: usize = 7;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let before = next_descriptor();
    let (parent, child) = handshake::pair().unwrap();
    let mut rest = bytes;
    while let [descriptors, length, tail @ ..] = rest {
        let (datagram, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        let descriptors = usize::from(*descriptors) % (MOST + 1);
        if send(&child, datagram, descriptors) {
            receive(&parent, datagram, descriptors);
        }
    }
    waits(bytes);
    drop(child);
    assert!(matches!(parent.receive(), Ok(Received::End)));
    drop(parent);
    assert_eq!(next_descriptor(), before, "a descriptor stays open");
});

/// The number that the next descriptor would get: the lowest free one.
fn next_descriptor() -> i32 {
    File::open("/dev/null").unwrap().as_raw_fd()
}

fn send(socket: &impl AsFd, datagram: &[u8], descriptors: usize) -> bool {
    let null = File::open("/dev/null").unwrap();
    let all = [null.as_fd(); MOST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if descriptors > 0 {
        control.push(SendAncillaryMessage::ScmRights(&all[..descriptors]));
    }
    sendmsg(socket, &[IoSlice::new(datagram)], &mut control, SendFlags::NOSIGNAL).is_ok()
}

fn receive(parent: &ParentEnd, datagram: &[u8], descriptors: usize) {
    match parent.receive() {
        Ok(Received::Message(message, fd)) => {
            assert!(datagram.len() == 16 && descriptors < 8);
            assert_eq!(datagram[..4], (message.tag as u32).to_ne_bytes());
            assert_eq!(datagram[4..8], message.step.to_ne_bytes());
            assert_eq!(datagram[8..12], message.errno.to_ne_bytes());
            assert_eq!(datagram[12..16], message.detail.to_ne_bytes());
            assert!(descriptors <= 1, "{descriptors} descriptors were taken for one");
            assert_eq!(fd.is_some(), descriptors == 1);
        }
        // An empty datagram looks like the end.
        Ok(Received::End) => assert!(datagram.is_empty()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidData),
    }
}

/// Init's side: only the tag that it waits for is taken. The launcher is trusted: what is
/// too long is cut.
fn waits(bytes: &[u8]) {
    let (parent, child) = handshake::pair().unwrap();
    let datagram = &bytes[..bytes.len().min(64)];
    if !datagram.is_empty() && send(&parent, datagram, 0) {
        let taken = child.wait(Tag::Start).is_ok();
        let is_start = datagram.len() >= 16 && datagram[..4] == (Tag::Start as u32).to_ne_bytes();
        assert_eq!(taken, is_start);
    }
}
