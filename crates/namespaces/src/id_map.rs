//! Both: which ids of a user namespace are which ids of its parent.

use std::fmt;

use rustix::process::Pid;

use crate::{Error, subordinate, write_maps};

/// The kernel's limit of lines per map (`UID_GID_MAP_MAX_EXTENTS`).
const MAX_LINES: usize = 340;

/// A map is written at once, and a write must be shorter than a page.
const MAX_BYTES: usize = 4095;

/// One line of `/proc/PID/uid_map` or `gid_map` (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdMap {
    /// First id in the user namespace.
    pub container_id: u32,
    /// First id in the namespace of the process that writes the map.
    pub host_id: u32,
    /// How many ids, one after the other; at least 1.
    pub size: u32,
}

impl IdMap {
    /// Whether both ranges, inside and outside, end at 2³² - 1 or before: that
    /// last id is "none" to the kernel.
    fn fits(self) -> bool {
        let end = |first: u32| first.checked_add(self.size).is_some();
        self.size > 0 && end(self.container_id) && end(self.host_id)
    }

    fn overlaps(self, other: Self) -> bool {
        let meet =
            |a: u32, b: u32| a < b.saturating_add(other.size) && b < a.saturating_add(self.size);
        meet(self.container_id, other.container_id) || meet(self.host_id, other.host_id)
    }
}

impl fmt::Display for IdMap {
    /// The line as the kernel reads it, without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.container_id, self.host_id, self.size)
    }
}

/// The id maps of a user namespace.
///
/// ```
/// use nsinit_namespaces::{IdMap, IdMaps};
/// let lines = vec![IdMap { container_id: 0, host_id: 100_000, size: 65_536 }];
/// let maps = IdMaps { uids: lines.clone(), gids: lines };
/// maps.validate()?;
/// assert_eq!((maps.host_uid(33), maps.host_uid(65_536)), (Some(100_033), None));
/// # Ok::<(), nsinit_namespaces::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdMaps {
    /// The lines of `uid_map`.
    pub uids: Vec<IdMap>,
    /// The lines of `gid_map`.
    pub gids: Vec<IdMap>,
}

impl IdMaps {
    /// Only the caller: its effective user and group are 0 inside.
    pub fn caller_as_root() -> Self {
        let only = |host_id| vec![IdMap { container_id: 0, host_id, size: 1 }];
        Self {
            uids: only(rustix::process::geteuid().as_raw()),
            gids: only(rustix::process::getegid().as_raw()),
        }
    }

    /// The caller is 0 inside, and 1… are the caller's ranges of `/etc/subuid`
    /// and `/etc/subgid` (subuid(5)) in the order of the lines, which name the
    /// user by name or by uid. A range that overlaps an earlier one, or the
    /// caller's own id, is left out.
    ///
    /// `None` where one of the files gives the caller nothing, or where the
    /// caller may not write the maps itself and `newuidmap` or `newgidmap` is
    /// not installed. Ranges that only a name service knows are not seen.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that is there and cannot be read.
    pub fn subordinate() -> Result<Option<Self>, Error> {
        subordinate::maps_of_the_caller()
    }

    /// Checks what can be known without the kernel: at least one line and at
    /// most 340 per map, at most 4095 bytes, no size of 0, nothing beyond
    /// 2³² - 2, and no overlap inside or outside.
    ///
    /// # Errors
    /// [`Error::InvalidMap`] with the offending line or pair.
    pub fn validate(&self) -> Result<(), Error> {
        validate("uid map", &self.uids)?;
        validate("gid map", &self.gids)
    }

    /// Writes the maps of the user namespace of `pid`, which was born in it.
    ///
    /// `pid` must be the caller's own child, not yet reaped: only then the
    /// number is surely that process. It must still be dumpable (prctl(2)).
    ///
    /// Each map is written directly where the kernel permits it: with
    /// `CAP_SETUID` (`CAP_SETGID`) in the caller's user namespace, or when it
    /// is the one line for the caller's own id. Else `newuidmap`
    /// (`newgidmap`) does it, found in fixed directories, with an empty
    /// environment, at most 64 KiB of output and 10 seconds. setgroups(2) is
    /// denied to the namespace where the kernel wants that:
    /// [`denies_setgroups`](Self::denies_setgroups).
    ///
    /// After an error the first map may have been written and the second not:
    /// end the child.
    ///
    /// # Errors
    /// [`Error::InvalidMap`], [`Error::IdRange`], [`Error::MapProgram`],
    /// [`Error::Denied`], [`Error::Gone`], [`Error::Io`].
    pub fn write(&self, pid: Pid) -> Result<(), Error> {
        write_maps::write(self, pid)
    }

    /// The id outside of a user id inside; `None` when it is not mapped.
    pub fn host_uid(&self, container: u32) -> Option<u32> {
        host_id(&self.uids, container)
    }

    /// The id outside of a group id inside; `None` when it is not mapped.
    pub fn host_gid(&self, container: u32) -> Option<u32> {
        host_id(&self.gids, container)
    }

    /// Whether this user id exists inside.
    pub fn maps_uid(&self, container: u32) -> bool {
        self.host_uid(container).is_some()
    }

    /// Whether this group id exists inside.
    pub fn maps_gid(&self, container: u32) -> bool {
        self.host_gid(container).is_some()
    }

    /// Whether setgroups(2) fails inside: because [`write`](Self::write) has to
    /// deny it (the one line for the own group of a caller without
    /// `CAP_SETGID`), or because it is denied in the caller's own namespace.
    pub fn denies_setgroups(&self) -> bool {
        write_maps::denies_setgroups(&self.gids)
    }
}

fn host_id(lines: &[IdMap], container: u32) -> Option<u32> {
    lines.iter().find_map(|line| {
        let offset = container.checked_sub(line.container_id)?;
        if offset < line.size { line.host_id.checked_add(offset) } else { None }
    })
}

fn validate(map: &str, lines: &[IdMap]) -> Result<(), Error> {
    let invalid = |what: String, reason: &str| {
        Err(Error::InvalidMap { map: what, reason: reason.to_owned() })
    };
    if lines.is_empty() {
        return invalid(map.to_owned(), "no line");
    }
    if lines.len() > MAX_LINES {
        return invalid(format!("{map}: {} lines", lines.len()), "the kernel's limit is 340");
    }
    if text(lines).len() > MAX_BYTES {
        return invalid(format!("{map}: {} lines", lines.len()), "longer than 4095 bytes");
    }
    for (index, line) in lines.iter().enumerate() {
        if line.size == 0 {
            return invalid(format!("{map}: {line}"), "the size is 0");
        }
        if !line.fits() {
            return invalid(format!("{map}: {line}"), "goes beyond id 4294967294");
        }
        if let Some(other) = lines[..index].iter().find(|other| line.overlaps(**other)) {
            return invalid(format!("{map}: {other} and {line}"), "the ranges overlap");
        }
    }
    Ok(())
}

/// The map as the kernel reads it.
pub(crate) fn text(lines: &[IdMap]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(lines: &[(u32, u32, u32)]) -> String {
        let one = vec![IdMap { container_id: 0, host_id: 0, size: 1 }];
        let uids = lines
            .iter()
            .map(|&(container_id, host_id, size)| IdMap { container_id, host_id, size })
            .collect();
        let maps = IdMaps { uids, gids: one };
        maps.validate().map_or_else(|error| error.to_string(), |()| "valid".to_owned())
    }

    #[test]
    fn maps_that_the_kernel_refuses_are_refused_with_the_pair() {
        assert_eq!(fault(&[]), "uid map: no line");
        assert_eq!(fault(&[(0, 1, 0)]), "uid map: 0 1 0: the size is 0");
        assert_eq!(
            fault(&[(1, 0, u32::MAX)]),
            "uid map: 1 0 4294967295: goes beyond id 4294967294"
        );
        assert_eq!(
            fault(&[(0, 1, u32::MAX)]),
            "uid map: 0 1 4294967295: goes beyond id 4294967294"
        );
        assert_eq!(
            fault(&[(u32::MAX, 0, 1)]),
            "uid map: 4294967295 0 1: goes beyond id 4294967294"
        );
        assert_eq!(fault(&[(0, 0, u32::MAX)]), "valid");
        assert_eq!(
            fault(&[(0, 100, 10), (5, 500, 1)]),
            "uid map: 0 100 10 and 5 500 1: the ranges overlap"
        );
        assert_eq!(
            fault(&[(0, 100, 10), (20, 109, 5)]),
            "uid map: 0 100 10 and 20 109 5: the ranges overlap"
        );
        assert_eq!(fault(&[(0, 100, 10), (10, 110, 5)]), "valid");
    }

    #[test]
    fn the_number_of_lines_and_bytes_is_bounded() {
        let lines = |n: u32| (0..n).map(|i| (i, i, 1)).collect::<Vec<_>>();
        assert_eq!(fault(&lines(340)), "valid");
        assert_eq!(fault(&lines(341)), "uid map: 341 lines: the kernel's limit is 340");
        let long: Vec<_> = (0..340).map(|i| (1_000_000 + i, 2_000_000 + i, 1)).collect();
        assert_eq!(fault(&long), "uid map: 340 lines: longer than 4095 bytes");
    }

    #[test]
    fn ids_are_translated_within_their_line() {
        let lines = [
            IdMap { container_id: 0, host_id: 1000, size: 1 },
            IdMap { container_id: 1, host_id: 100_000, size: 10 },
        ];
        let outside = [0, 1, 10, 11, u32::MAX].map(|id| host_id(&lines, id));
        assert_eq!(outside, [Some(1000), Some(100_000), Some(100_009), None, None]);
        assert_eq!(text(&lines), "0 1000 1\n1 100000 10\n");
    }
}
