//! Parent: init on another processor than the launcher, while both are at work.

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Init, which is asked away from this processor: schedulers may leave a new process where
/// its parent is, though another processor is idle.
#[derive(Debug)]
pub(crate) struct Apart(Pid);

impl Apart {
    /// Only if this thread may use every processor that there is: what init is given back in
    /// the end is that. Of a smaller set nobody can tell whether it was asked for, and the
    /// program would keep it although more become its own (sched_setaffinity(2)).
    pub(crate) fn ask(init: Pid) -> Option<Apart> {
        let mut processors = sched_getaffinity(None).ok()?;
        if (processors.count() as usize) < online()? {
            return None;
        }
        processors.unset(sched_getcpu());
        // Refused where there is none left.
        sched_setaffinity(Some(init), &processors).ok()?;
        Some(Apart(init))
    }

    /// Init may run everywhere again.
    pub(crate) fn end(self) -> Result<(), Errno> {
        let mut all = CpuSet::new();
        (0..CpuSet::MAX_CPU).for_each(|processor| all.set(processor));
        match sched_setaffinity(Some(self.0), &all) {
            // It has ended, and why is still to be read.
            Err(Errno::SRCH) => Ok(()),
            other => other,
        }
    }
}

/// How many processors there are (Documentation/admin-guide/cputopology.rst).
fn online() -> Option<usize> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(CWD, c"/sys/devices/system/cpu/online", flags, Mode::empty()).ok()?;
    let mut list = [0; 256];
    let length = rustix::io::read(&file, &mut list).ok()?;
    // A longer one is not understood.
    count(std::str::from_utf8(&list[..length]).ok()?.strip_suffix('\n')?)
}

/// The length of a list such as `0-3,6`.
fn count(list: &str) -> Option<usize> {
    let length = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<usize>().ok()?.checked_sub(first.parse().ok()?)? + 1)
    };
    list.split(',').map(length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted() {
        assert_eq!(count("0"), Some(1));
        assert_eq!(count("0-1"), Some(2));
        assert_eq!(count("0-3,6,8-9"), Some(7));
        assert_eq!(count(""), None);
        assert_eq!(count("3-0"), None);
        assert_eq!(count("0-"), None);
        assert!(online().is_some_and(|count| count > 0));
    }
}
