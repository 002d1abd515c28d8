//! Both ends: when each step was done, without new code in the child.
//!
//! Off by default: no ring is made then, and the step loop does one comparison.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::sys::SharedMemory;

/// One time stamp for init's beginning and one for each step, in memory that launcher
/// and init share.
#[derive(Clone, Debug)]
pub struct Ring(Arc<SharedMemory>);

impl Ring {
    /// Room for that many steps.
    pub(crate) fn new(steps: u32) -> Result<Ring, Errno> {
        SharedMemory::new(steps as usize + 1).map(|memory| Ring(Arc::new(memory)))
    }

    /// Child: it begins now.
    pub(crate) fn begin(&self) {
        self.stamp(0);
    }

    /// Child: that step is done now.
    pub(crate) fn mark(&self, step: u32) {
        self.stamp(step as usize + 1);
    }

    /// When init began, on the monotonic clock.
    #[must_use]
    pub fn began(&self) -> Option<Duration> {
        self.read(0)
    }

    /// When that step was done, on the monotonic clock; None while it is not.
    #[must_use]
    pub fn time(&self, step: u32) -> Option<Duration> {
        self.read(step as usize + 1)
    }

    fn stamp(&self, slot: usize) {
        if let Some(slot) = self.0.words().get(slot) {
            slot.store(now().as_nanos() as u64, Ordering::Relaxed);
        }
    }

    fn read(&self, slot: usize) -> Option<Duration> {
        let nanoseconds = self.0.words().get(slot)?.load(Ordering::Relaxed);
        (nanoseconds != 0).then(|| Duration::from_nanos(nanoseconds))
    }
}

/// The monotonic clock, which is one for all processes.
pub(super) fn now() -> Duration {
    time_of(ClockId::Monotonic)
}

pub(super) fn time_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_step_has_a_time_and_others_have_none() {
        let ring = Ring::new(2).unwrap();
        ring.mark(1);
        ring.mark(7);
        assert_eq!((ring.began(), ring.time(0)), (None, None));
        assert!(ring.time(1).is_some());
        assert_eq!(ring.time(7), None);
    }
}
