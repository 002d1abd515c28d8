//! Parent: the ids that `/etc/subuid` and `/etc/subgid` give the caller.

use std::io;
use std::path::Path;

use crate::write_maps::Privilege;
use crate::{Error, IdMap, IdMaps, newidmap, regular_file};

pub(crate) const SUBUID: &str = "/etc/subuid";
pub(crate) const SUBGID: &str = "/etc/subgid";

/// `count` ids from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// A user as subuid(5) may name it.
pub(crate) struct Owner {
    name: Option<String>,
    uid: u32,
}

impl Owner {
    /// The effective user of the caller; without a line in /etc/passwd it has
    /// no name.
    pub(crate) fn caller() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let passwd = regular_file::read(Path::new("/etc/passwd")).unwrap_or_default();
        Self { name: name_in(&passwd, uid).map(str::to_owned), uid }
    }

    /// The name, or else the number.
    pub(crate) fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uid.to_string())
    }

    /// The ranges that the file gives to this user; none if it is missing.
    pub(crate) fn ranges_in(&self, file: &str) -> Result<Vec<Range>, Error> {
        match regular_file::read(Path::new(file)) {
            Ok(text) => Ok(ranges(&text, self.name.as_deref(), self.uid)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io(file, error)),
        }
    }
}

/// What `/etc/subuid` and `/etc/subgid` give the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubordinateIds {
    /// The user's name, or its id if it has none.
    pub user: String,
    /// How many user ids.
    pub uids: u64,
    /// How many group ids.
    pub gids: u64,
    /// Whether the caller can map them: by privilege, or by `newuidmap` and `newgidmap`.
    pub mappable: bool,
}

impl SubordinateIds {
    /// Reads the two files.
    ///
    /// # Errors
    /// When one of them cannot be read; a missing one gives nothing.
    pub fn of_the_caller() -> Result<Self, Error> {
        let owner = Owner::caller();
        let count = |file| -> Result<u64, Error> {
            Ok(owner.ranges_in(file)?.iter().map(|range| u64::from(range.count)).sum())
        };
        let mappable = Privilege::of_the_caller().both() || newidmap::installed();
        Ok(Self { user: owner.label(), uids: count(SUBUID)?, gids: count(SUBGID)?, mappable })
    }
}

pub(crate) fn maps_of_the_caller() -> Result<Option<IdMaps>, Error> {
    let owner = Owner::caller();
    let (uids, gids) = (owner.ranges_in(SUBUID)?, owner.ranges_in(SUBGID)?);
    let writable = Privilege::of_the_caller().both() || newidmap::installed();
    if uids.is_empty() || gids.is_empty() || !writable {
        return Ok(None);
    }
    let egid = rustix::process::getegid().as_raw();
    Ok(Some(IdMaps { uids: lay_out(owner.uid, &uids), gids: lay_out(egid, &gids) }))
}

/// The user's name in the text of passwd(5). A name of digits only is no name
/// in subuid(5): it would read as an id.
fn name_in(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        let is_name = name.bytes().any(|byte| !byte.is_ascii_digit());
        (found == uid && is_name).then_some(name)
    })
}

/// The user's ranges in the text of subuid(5), `owner:first:count`. Lines of
/// others and lines of another form are passed over, as shadow does.
fn ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<Range> {
    let uid = uid.to_string();
    let range = |line: &str| {
        let mut fields = line.trim_end().split(':');
        let owner = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let whole = fields.next().is_none();
        let ours = owner == uid || Some(owner) == name;
        let fits = u32::checked_add(first, count).is_some() && count > 0;
        (whole && ours && fits).then_some(Range { first, count })
    };
    text.lines().filter_map(range).collect()
}

/// Container id 0 is `own`; 1… are the ranges, one after the other.
fn lay_out(own: u32, ranges: &[Range]) -> Vec<IdMap> {
    let mut lines = vec![IdMap { container_id: 0, host_id: own, size: 1 }];
    let mut next = 1_u32;
    for range in ranges {
        let size = range.count.min(u32::MAX - next);
        let taken = |line: &IdMap| {
            range.first < line.host_id.saturating_add(line.size)
                && line.host_id < range.first.saturating_add(range.count)
        };
        if size > 0 && !lines.iter().any(taken) {
            lines.push(IdMap { container_id: next, host_id: range.first, size });
            next += size;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_in_passwd_by_its_id() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nkoye:x:1000:1000::/home/koye:\n\
                      7:x:1007:7::/:\n";
        assert_eq!(name_in(passwd, 1000), Some("koye"));
        assert_eq!(name_in(passwd, 0), Some("root"));
        assert_eq!((name_in(passwd, 2), name_in(passwd, 1007)), (None, None));
    }

    #[test]
    fn ranges_are_found_by_name_and_by_id_in_file_order() {
        let text = "other:1:5\nkoye:100000:65536\n1000:300000:10\nkoye:x:1\nkoye:1\n\
                    koye:5:0\nkoye:4294967295:2\nkoye:7:1:9\n# koye:1:1\n";
        let found = ranges(text, Some("koye"), 1000);
        let expected =
            [Range { first: 100_000, count: 65_536 }, Range { first: 300_000, count: 10 }];
        assert_eq!(found, expected);
        assert_eq!(ranges(text, None, 1000), expected[1..]);
        assert_eq!(ranges(text, None, 100), []);
    }

    #[test]
    fn a_hostile_file_is_read_without_harm() {
        for text in ["", ":::", "koye:99999999999999999999:1", "koye:-1:4", "\u{fffd}:1:1"] {
            assert_eq!(ranges(text, Some("koye"), 1000), [], "{text}");
        }
    }

    #[test]
    fn the_caller_is_root_and_the_ranges_follow() {
        let ranges = [
            Range { first: 100_000, count: 10 },
            Range { first: 100_005, count: 10 },
            Range { first: 990, count: 20 },
            Range { first: 300_000, count: u32::MAX - 300_000 },
        ];
        let lines = lay_out(1000, &ranges);
        let expected = [(0, 1000, 1), (1, 100_000, 10), (11, 300_000, u32::MAX - 300_000)];
        let expected =
            expected.map(|(container_id, host_id, size)| IdMap { container_id, host_id, size });
        assert_eq!(lines, expected);
        IdMaps { uids: lines.clone(), gids: lines }.validate().unwrap();
    }
}
