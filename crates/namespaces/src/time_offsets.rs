//! Child: a time namespace whose clocks are set forward or back.

use std::fmt::{self, Write};
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::{Kinds, unshare};

/// How far the clocks of a time namespace are from those of the host
/// (time_namespaces(7)), in nanoseconds; negative is earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeOffsets {
    /// `CLOCK_MONOTONIC` and its variants.
    pub monotonic: i64,
    /// `CLOCK_BOOTTIME`, and with it /proc/uptime.
    pub boottime: i64,
}

impl TimeOffsets {
    /// Moves the calling process into a new time namespace with these
    /// offsets, so that they hold at once, on every kernel: unshare(2), a
    /// write to `self/timens_offsets`, setns(2) into
    /// `self/ns/time_for_children`.
    ///
    /// `proc` is the directory of a procfs that shows the caller. A time
    /// namespace that was born in a clone cannot be used: its offsets are
    /// frozen. In a new user namespace this comes before
    /// [`become_root`](crate::become_root), which may leave the process not
    /// dumpable (prctl(2)), and then the file is not its own.
    ///
    /// # Errors
    /// `EACCES` when the process is not dumpable; `EUSERS` in a process with several threads; `EPERM` without
    /// `CAP_SYS_ADMIN` and `CAP_SYS_TIME`; `ERANGE` when a clock would be
    /// negative or far beyond a century; `EINVAL` from a kernel without time
    /// namespaces.
    pub fn enter(&self, proc: BorrowedFd<'_>) -> Result<(), Errno> {
        unshare(Kinds::TIME)?;
        let mut text = Text::default();
        // Nothing longer than the buffer can come of two numbers.
        self.write_to(&mut text).map_err(|_| Errno::OVERFLOW)?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let offsets = openat(proc, c"self/timens_offsets", flags, Mode::empty())?;
        // The kernel takes both lines in one write or none.
        let written = rustix::io::write(&offsets, text.bytes())?;
        if written != text.bytes().len() {
            return Err(Errno::IO);
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace = openat(proc, c"self/ns/time_for_children", flags, Mode::empty())?;
        let time = ThreadNameSpaceType::from_bits_retain(Kinds::TIME.bits());
        move_into_thread_name_spaces(rustix::fd::AsFd::as_fd(&namespace), time)
    }

    fn write_to(&self, text: &mut Text) -> fmt::Result {
        const SECOND: i64 = 1_000_000_000;
        for (clock, offset) in [("monotonic", self.monotonic), ("boottime", self.boottime)] {
            // The kernel wants nanoseconds from 0 on, for negative offsets too.
            let (seconds, rest) = (offset.div_euclid(SECOND), offset.rem_euclid(SECOND));
            writeln!(text, "{clock} {seconds} {rest}")?;
        }
        Ok(())
    }
}

/// A text that needs no allocation.
struct Text {
    buffer: [u8; 96],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { buffer: [0; 96], length: 0 }
    }
}

impl Text {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Write for Text {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        let end = self.length + words.len();
        let room = self.buffer.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(words.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(monotonic: i64, boottime: i64) -> String {
        let mut text = Text::default();
        TimeOffsets { monotonic, boottime }.write_to(&mut text).unwrap();
        String::from_utf8(text.bytes().to_vec()).unwrap()
    }

    #[test]
    fn nanoseconds_are_never_negative() {
        assert_eq!(lines(1_500_000_000, 0), "monotonic 1 500000000\nboottime 0 0\n");
        assert_eq!(lines(-1, -1_000_000_000), "monotonic -1 999999999\nboottime -1 0\n");
    }

    #[test]
    fn the_longest_offsets_fit() {
        assert_eq!(lines(i64::MIN, i64::MIN).lines().count(), 2);
    }
}
