//! Child: the clocks of a time namespace.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Instant;

use nsinit_namespaces::{CloneRequest, IdMap, IdMaps, Kinds, TimeOffsets, become_root};
use rustix::io::Errno;

use crate::As::{Both, Root};
use crate::scene::{Gate, code, mapped, require};
use crate::{Scenario, sys};

pub(crate) const ALL: &[Scenario] = &[
    ("offsets_hold_at_once_and_for_children", Both, offsets_hold),
    ("offsets_come_before_becoming_another_root", Root, before_another_root),
    ("an_offset_below_zero_uptime_is_refused", Both, out_of_range),
];

const HOUR: i64 = 3600;
const SECOND: i64 = 1_000_000_000;

fn uptime() -> i64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    text.split_once('.').unwrap().0.parse().unwrap()
}

fn offsets_hold() {
    require!(File::open("/proc/self/ns/time").is_ok(), "time namespaces");
    let before = uptime();
    let child = mapped(Kinds::PID, &IdMaps::caller_as_root(), || {
        let proc = File::open("/proc").unwrap();
        let offsets = TimeOffsets { monotonic: HOUR * SECOND, boottime: 1000 * HOUR * SECOND };
        let start = Instant::now();
        offsets.enter(proc.as_fd()).unwrap();
        // At once, without another clone or execve; std's clock is the vdso's.
        assert!((3600..3720).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        let gained = uptime() - before;
        assert!((1000 * HOUR..1000 * HOUR + 120).contains(&gained), "{gained}");
        let status = std::process::Command::new("sh")
            .args(["-c", &format!("test $(cut -d. -f1 /proc/uptime) -ge {}", 1000 * HOUR)])
            .status();
        i32::from(!status.unwrap().success())
    });
    assert_eq!(code(&child), 0);
    assert!(uptime() - before < 120);
}

fn out_of_range() {
    require!(File::open("/proc/self/ns/time").is_ok(), "time namespaces");
    let child = mapped(Kinds::NONE, &IdMaps::caller_as_root(), || {
        let proc = File::open("/proc").unwrap();
        let offsets = TimeOffsets { monotonic: 0, boottime: i64::MIN };
        assert_eq!(offsets.enter(proc.as_fd()), Err(Errno::RANGE));
        0
    });
    assert_eq!(code(&child), 0);
}

fn before_another_root() {
    require!(File::open("/proc/self/ns/time").is_ok(), "time namespaces");
    let lines = vec![IdMap { container_id: 0, host_id: 100_000, size: 1000 }];
    let maps = IdMaps { uids: lines.clone(), gids: lines };
    let gate = Gate::new();
    let proc = File::open("/proc").unwrap();
    let offsets = TimeOffsets { monotonic: SECOND, boottime: SECOND };
    let request = CloneRequest { kinds: Kinds::USER, ..CloneRequest::default() };
    let child = sys::quiet_child(&request, || {
        gate.wait();
        let good = offsets.enter(proc.as_fd()).is_ok() && become_root(true).is_ok();
        // The other way round the file belongs to the host's root.
        i32::from(!good || offsets.enter(proc.as_fd()) != Err(Errno::ACCESS))
    })
    .unwrap();
    maps.write(child.pid()).unwrap();
    gate.open();
    assert_eq!(code(&child), 0);
}
