//! `/proc/self/mountinfo`, as the child of a launch reads it in a fixed buffer, and as
//! the launcher finds the cgroup hierarchies in it; then `/proc/self/cgroup` and
//! `/proc/cgroups`, with a NUL byte between the three.

#![no_main]
#![expect(dead_code, reason = "a file of rootfs is taken in whole")]

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;

use nsinit_cgroups::Hierarchies;
use rustix::fs::{MemfdFlags, memfd_create};

// What rootfs keeps to itself.
#[path = "../../../crates/rootfs/src/mountinfo.rs"]
mod child;

/// A directory in the place of /proc, and its `self/mountinfo`.
struct Procfs {
    directory: File,
    mountinfo: File,
}

impl Procfs {
    fn new() -> Procfs {
        let mountinfo = File::from(memfd_create("mountinfo", MemfdFlags::CLOEXEC).unwrap());
        let path = std::env::temp_dir().join(format!("nsinit-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(path.join("self")).unwrap();
        let target = format!("/proc/{}/fd/{}", std::process::id(), mountinfo.as_raw_fd());
        std::os::unix::fs::symlink(target, path.join("self/mountinfo")).unwrap();
        Procfs { directory: File::open(&path).unwrap(), mountinfo }
    }
}

thread_local! {
    static PROC: RefCell<Option<Procfs>> = const { RefCell::new(None) };
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    PROC.with_borrow_mut(|proc| by_the_child(proc.get_or_insert_with(Procfs::new), bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        by_the_launcher(text);
    }
});

fn by_the_child(proc: &Procfs, bytes: &[u8]) {
    proc.mountinfo.set_len(0).unwrap();
    proc.mountinfo.write_all_at(bytes, 0).unwrap();
    let mut lines = child::Lines::open(proc.directory.as_fd()).unwrap();
    let (mut count, mut top) = (0, 0);
    let mut buffer = [0; 4096];
    while let Ok(Some(entry)) = lines.next() {
        count += 1;
        top = entry.id;
        if let Some(plain) = child::unescape(entry.point, &mut buffer) {
            assert!(plain.len() <= entry.point.len());
        }
    }
    assert!(count <= bytes.split(|byte| *byte == b'\n').count());
    if let Ok(tree) = child::Ids::below(proc.directory.as_fd(), top) {
        assert!(tree.contains(top));
    }
}

fn by_the_launcher(text: &str) {
    let mut texts = text.splitn(3, '\0');
    let mut text = || texts.next().unwrap_or_default();
    let found = Hierarchies::parse(text(), text(), text());
    for tree in found.v1().iter().chain(found.v2()) {
        assert!(tree.own.as_ref().is_none_or(|own| own.starts_with(&tree.mount_point)));
    }
    let _ = (found.mode().to_string(), found.unusable());
}
