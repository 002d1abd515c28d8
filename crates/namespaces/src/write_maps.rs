//! Parent: write the id maps of a child's user namespace.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities};

use crate::subordinate::{Owner, Range, SUBGID, SUBUID};
use crate::{Denier, Error, IdMap, IdMaps, id_map, newidmap, regular_file};

/// What the caller may do in its own user namespace.
#[derive(Clone, Copy, Default)]
pub(crate) struct Privilege {
    setuid: bool,
    setgid: bool,
    setfcap: bool,
}

impl Privilege {
    pub(crate) fn of_the_caller() -> Self {
        let Ok(sets) = capabilities(None) else { return Self::default() };
        let has = |capability| sets.effective.contains(capability);
        Self {
            setuid: has(CapabilitySet::SETUID),
            setgid: has(CapabilitySet::SETGID),
            setfcap: has(CapabilitySet::SETFCAP),
        }
    }

    /// Whether any uid map and any gid map may be written.
    pub(crate) fn both(self) -> bool {
        self.setuid && self.setgid
    }
}

/// Who writes a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// We do, by privilege.
    Privileged,
    /// We do: the one line for the own id needs none (user_namespaces(7)).
    OwnId,
    /// `newuidmap` or `newgidmap`.
    Program,
}

/// One of the two maps.
struct Map<'a> {
    /// The file in /proc/PID.
    file: &'static str,
    program: &'static str,
    /// Who may map what.
    ranges: &'static str,
    lines: &'a [IdMap],
    own: u32,
    privileged: bool,
}

impl<'a> Map<'a> {
    fn of_uids(lines: &'a [IdMap]) -> Self {
        Self {
            file: "uid_map",
            program: "newuidmap",
            ranges: SUBUID,
            lines,
            own: geteuid().as_raw(),
            privileged: Privilege::of_the_caller().setuid,
        }
    }

    fn of_gids(lines: &'a [IdMap]) -> Self {
        Self {
            file: "gid_map",
            program: "newgidmap",
            ranges: SUBGID,
            lines,
            own: getegid().as_raw(),
            privileged: Privilege::of_the_caller().setgid,
        }
    }

    fn route(&self) -> Route {
        match self.lines {
            _ if self.privileged => Route::Privileged,
            [only] if only.size == 1 && only.host_id == self.own => Route::OwnId,
            _ => Route::Program,
        }
    }
}

pub(crate) fn denies_setgroups(gids: &[IdMap]) -> bool {
    let inherited = || {
        regular_file::read(Path::new("/proc/self/setgroups"))
            .is_ok_and(|word| word.trim_end() == "deny")
    };
    Map::of_gids(gids).route() == Route::OwnId || inherited()
}

pub(crate) fn write(maps: &IdMaps, pid: Pid) -> Result<(), Error> {
    maps.validate()?;
    let target = Target::open(pid)?;
    let gids = Map::of_gids(&maps.gids);
    if gids.route() == Route::OwnId {
        // Must precede the gid map: the kernel wants it so of callers without
        // CAP_SETGID since CVE-2014-8989 (a group that one belongs to may be
        // there to take rights away).
        target.write("setgroups", "deny").map_err(|errno| target.io("setgroups", errno))?;
    }
    target.write_map(&gids)?;
    target.write_map(&Map::of_uids(&maps.uids))
}

/// The directory /proc/PID of the child.
struct Target {
    pid: Pid,
    directory: OwnedFd,
}

impl Target {
    fn open(pid: Pid) -> Result<Self, Error> {
        let path = format!("/proc/{}", pid.as_raw_nonzero());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(CWD, &path, flags, Mode::empty()) {
            Ok(directory) => Ok(Self { pid, directory }),
            Err(Errno::NOENT) => Err(Error::Gone { pid: pid.as_raw_nonzero().get() }),
            Err(errno) => Err(Error::io(path, errno)),
        }
    }

    fn path(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.pid.as_raw_nonzero())
    }

    fn io(&self, file: &str, errno: Errno) -> Error {
        match errno {
            Errno::SRCH | Errno::NOENT => Error::Gone { pid: self.pid.as_raw_nonzero().get() },
            errno => Error::io(self.path(file), errno),
        }
    }

    /// These files take one write that has it all.
    fn write(&self, file: &str, text: &str) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(&self.directory, file, flags, Mode::empty())?;
        let written = rustix::io::write(&file, text.as_bytes())?;
        if written == text.len() { Ok(()) } else { Err(Errno::IO) }
    }

    fn write_map(&self, map: &Map<'_>) -> Result<(), Error> {
        if map.route() == Route::Program {
            let written = newidmap::write(map.program, self.pid, map.lines);
            return written.map_err(|error| why_not_by_program(map, error));
        }
        let text = id_map::text(map.lines);
        self.write(map.file, &text).map_err(|errno| self.why_not(map, errno))
    }

    /// The reason of a refused write, looked for only now.
    fn why_not(&self, map: &Map<'_>, errno: Errno) -> Error {
        if !matches!(errno, Errno::PERM | Errno::ACCESS) {
            return self.io(map.file, errno);
        }
        if !map.privileged {
            return match Denier::of_user_namespaces() {
                Some(by) => Error::denied(by, self.path(map.file), errno),
                None => self.io(map.file, errno),
            };
        }
        let own = regular_file::read(&Path::new("/proc/self").join(map.file)).unwrap_or_default();
        if let Some(line) = map.lines.iter().find(|line| !exists(&own, line)) {
            return Error::InvalidMap {
                map: format!("{}: {line}", map.file),
                reason: "these host ids do not exist in the caller's own user namespace".into(),
            };
        }
        let with_root = map.file == "uid_map" && map.lines.iter().any(|line| line.host_id == 0);
        if with_root && !Privilege::of_the_caller().setfcap {
            let what = self.path(map.file);
            let remedy = "a map with host user 0 takes CAP_SETFCAP too (Linux 5.12)".to_owned();
            return Error::Denied {
                by: Denier::Kernel,
                what,
                source: errno.into(),
                remedy: Some(remedy),
            };
        }
        self.io(map.file, errno)
    }
}

/// Whether the host's ids of `line` exist in the namespace whose map this is;
/// the kernel wants them in one line of it.
fn exists(own_map: &str, line: &IdMap) -> bool {
    own_map.lines().any(|own| {
        let mut fields = own.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) =
            (fields.next(), fields.next(), fields.next())
        else {
            return false;
        };
        let host = u64::from(line.host_id);
        first <= host && host + u64::from(line.size) <= first + count
    })
}

/// A program's refusal is mostly a line that is missing; then that line is
/// the better message.
fn why_not_by_program(map: &Map<'_>, error: Error) -> Error {
    let owner = Owner::caller();
    let Ok(ranges) = owner.ranges_in(map.ranges) else { return error };
    match missing(map, &ranges) {
        Some(line) => {
            let user = owner.label();
            let line = format!("{user}:{}:{}", line.host_id, line.size);
            Error::IdRange { file: map.ranges.into(), user, line }
        }
        None => error,
    }
}

/// The first line of the map that no range allows.
fn missing<'a>(map: &Map<'a>, ranges: &[Range]) -> Option<&'a IdMap> {
    let allowed = |line: &IdMap| {
        let own = line.size == 1 && line.host_id == map.own;
        let end = line.host_id.saturating_add(line.size);
        own || ranges
            .iter()
            .any(|range| range.first <= line.host_id && end <= range.first + range.count)
    };
    map.lines.iter().find(|line| !allowed(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[IdMap], privileged: bool) -> Map<'_> {
        Map { own: 1000, privileged, ..Map::of_gids(lines) }
    }

    const OWN: IdMap = IdMap { container_id: 0, host_id: 1000, size: 1 };
    const MORE: IdMap = IdMap { container_id: 1, host_id: 100_000, size: 10 };

    #[test]
    fn only_the_own_id_is_written_without_privilege() {
        assert_eq!(map(&[OWN], false).route(), Route::OwnId);
        assert_eq!(map(&[OWN, MORE], false).route(), Route::Program);
        assert_eq!(map(&[MORE], false).route(), Route::Program);
        assert_eq!(map(&[IdMap { size: 2, ..OWN }], false).route(), Route::Program);
        assert_eq!(map(&[OWN, MORE], true).route(), Route::Privileged);
        assert_eq!(map(&[OWN], true).route(), Route::Privileged);
    }

    #[test]
    fn the_line_that_no_range_allows_is_found() {
        let ranges = |first, count| [Range { first, count }];
        assert_eq!(missing(&map(&[OWN, MORE], false), &ranges(100_000, 10)), None);
        assert_eq!(missing(&map(&[OWN, MORE], false), &ranges(100_000, 9)), Some(&MORE));
        assert_eq!(missing(&map(&[OWN, MORE], false), &[]), Some(&MORE));
    }

    #[test]
    fn ids_exist_where_one_line_of_the_own_map_has_them() {
        assert!(exists("         0          0 4294967295\n", &MORE));
        assert!(exists("0 1000 1\n100000 5 10\n", &MORE));
        assert!(!exists("0 1000 1\n100000 5 9\n", &MORE));
        assert!(!exists("", &MORE) && !exists("x\n1 2\n", &MORE));
    }
}
