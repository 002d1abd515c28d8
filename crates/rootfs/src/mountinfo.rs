//! Child: `/proc/self/mountinfo` (proc_pid_mountinfo(5)) in a fixed buffer.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

/// The longest line that is understood: two paths of PATH_MAX, every byte escaped,
/// would need more, and is answered with ENAMETOOLONG.
const LINE: usize = 16384;

/// Reads one line after the other.
pub(crate) struct Lines {
    file: OwnedFd,
    buffer: [u8; LINE],
    start: usize,
    end: usize,
}

/// The fields that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    /// Mount point as the reader's root sees it, octal escapes as the kernel wrote them.
    pub(crate) point: &'a [u8],
    pub(crate) filesystem: &'a [u8],
}

impl Lines {
    /// Opens the list of the calling process below a procfs.
    pub(crate) fn open(proc: BorrowedFd<'_>) -> Result<Lines, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(proc, c"self/mountinfo", flags, Mode::empty())?;
        Ok(Lines { file, buffer: [0; LINE], start: 0, end: 0 })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Entry<'_>>, Errno> {
        loop {
            let pending = &self.buffer[self.start..self.end];
            if let Some(length) = pending.iter().position(|&byte| byte == b'\n') {
                let line = self.start..self.start + length;
                self.start = line.end + 1;
                return parse(&self.buffer[line]).map(Some).ok_or(Errno::INVAL);
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == LINE {
                return Err(Errno::NAMETOOLONG);
            }
            let got = match rustix::io::read(&self.file, &mut self.buffer[self.end..]) {
                Err(Errno::INTR) => continue,
                answer => answer?,
            };
            if got == 0 {
                return if self.end == 0 { Ok(None) } else { Err(Errno::INVAL) };
            }
            self.end += got;
        }
    }
}

fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let point = fields.nth(2)?; // device, root, mount point
    let filesystem = fields.skip_while(|&field| field != b"-").nth(1)?;
    Some(Entry { id, parent, point, filesystem })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Undoes the kernel's escapes (`\040` for a space) into `buffer`, followed by a NUL.
/// `None`: it does not fit.
pub(crate) fn unescape<'a>(text: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                (((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), tail)
            }
            _ => (first, tail),
        };
        *buffer.get_mut(length)? = byte;
        (length, rest) = (length + 1, tail);
    }
    *buffer.get_mut(length)? = 0;
    Some(&buffer[..length])
}

/// More mounts than this in one tree are refused with E2BIG.
const MOST_MOUNTS: usize = 1024;

/// A set of mount ids.
pub(crate) struct Ids {
    ids: [u64; MOST_MOUNTS],
    length: usize,
}

impl Ids {
    pub(crate) fn new() -> Ids {
        Ids { ids: [0; MOST_MOUNTS], length: 0 }
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.ids[..self.length].contains(&id)
    }

    pub(crate) fn insert(&mut self, id: u64) -> Result<(), Errno> {
        *self.ids.get_mut(self.length).ok_or(Errno::TOOBIG)? = id;
        self.length += 1;
        Ok(())
    }

    /// The mount `top` and everything below it, whatever the order of the list is.
    pub(crate) fn below(proc: BorrowedFd<'_>, top: u64) -> Result<Ids, Errno> {
        let mut tree = Ids::new();
        tree.insert(top)?;
        loop {
            let before = tree.length;
            let mut lines = Lines::open(proc)?;
            while let Some(entry) = lines.next()? {
                if tree.contains(entry.parent) && !tree.contains(entry.id) {
                    tree.insert(entry.id)?;
                }
            }
            if tree.length == before {
                return Ok(tree);
            }
        }
    }
}

/// The id of the mount that `file` was opened on (statx(2), kernel 5.8).
pub(crate) fn mount_id(file: BorrowedFd<'_>) -> Result<u64, Errno> {
    let seen = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    match seen.stx_mask & StatxFlags::MNT_ID.bits() {
        0 => Err(Errno::NOSYS),
        _ => Ok(seen.stx_mnt_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_is_understood() {
        let line = b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw";
        let entry = parse(line).expect("a valid line");
        assert_eq!((entry.id, entry.parent), (36, 35));
        assert_eq!((entry.point, entry.filesystem), (&b"/mnt\\0402"[..], &b"ext3"[..]));
    }

    #[test]
    fn a_torn_line_is_none() {
        assert_eq!(parse(b"36 35 98:0 /mnt1"), None);
        assert_eq!(parse(b"36 35 98:0 / / rw -"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn escapes_are_undone_within_the_buffer() {
        let mut buffer = [0; 8];
        assert_eq!(unescape(b"a\\040b\\134", &mut buffer), Some(&b"a b\\"[..]));
        assert_eq!(unescape(b"\\9", &mut buffer), Some(&b"\\9"[..]));
        assert_eq!(unescape(b"12345678", &mut buffer), None);
    }
}
