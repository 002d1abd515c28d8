//! Both ends: when each step was done, without new code in the child.
//!
//! Off by default: no ring is made then, and the step loop does one comparison.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::sys::SharedMemory;

/// One time stamp for each step, in memory that launcher and init share.
#[derive(Debug)]
pub struct Ring(SharedMemory);

impl Ring {
    /// Room for that many steps.
    pub(crate) fn new(steps: usize) -> Result<Ring, Errno> {
        SharedMemory::new(steps).map(Ring)
    }

    /// Child: that step is done now.
    pub(crate) fn mark(&self, step: u32) {
        if let Some(slot) = self.slot(step) {
            slot.store(now(), Ordering::Relaxed);
        }
    }

    /// When that step was done, on the monotonic clock; None while it is not.
    #[must_use]
    pub fn time(&self, step: u32) -> Option<Duration> {
        let nanoseconds = self.slot(step)?.load(Ordering::Relaxed);
        (nanoseconds != 0).then(|| Duration::from_nanos(nanoseconds))
    }

    fn slot(&self, step: u32) -> Option<&AtomicU64> {
        self.0.words().get(step as usize)
    }
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_step_has_a_time_and_others_have_none() {
        let ring = Ring::new(2).unwrap();
        ring.mark(1);
        ring.mark(7);
        assert_eq!(ring.time(0), None);
        assert!(ring.time(1).is_some());
        assert_eq!(ring.time(7), None);
    }
}
