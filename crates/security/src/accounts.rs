//! Parent: passwd(5) and group(5) of a container, which are the image's and may be hostile.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;

use crate::error::Error;

pub(crate) const PASSWD: &str = "/etc/passwd";
pub(crate) const GROUP: &str = "/etc/group";

const MAX_FILE: usize = 1 << 20;
const MAX_LINE: usize = 64 << 10;
/// NGROUPS_MAX of setgroups(2).
const MAX_GROUPS: usize = 65_536;

/// A user or group as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id<'a> {
    Number(u32),
    Name(&'a str),
}

impl<'a> Id<'a> {
    /// All digits are a number and never a name; a name starts with a letter or `_`.
    ///
    /// Nothing odd becomes a number, least of all 0 (CVE-2016-3697, CVE-2024-40635).
    pub(crate) fn parse(what: &'static str, text: &'a str) -> Result<Id<'a>, Error> {
        if text.is_empty() {
            return Err(Error::invalid(what, text, "neither a name nor an id"));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            if text.len() > 1 && text.bytes().all(|byte| byte == b'0') {
                return Err(Error::invalid(what, text, "write 0"));
            }
            return number(text.as_bytes())
                .map(Id::Number)
                .ok_or_else(|| Error::invalid(what, text, "an id is at most 4294967294"));
        }
        let plain = text.strip_suffix('$').unwrap_or(text);
        let starts = plain.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let goes_on = |c: char| c.is_ascii_alphanumeric() || "_.-@".contains(c);
        if starts && plain.chars().all(goes_on) && plain.len() <= 256 {
            Ok(Id::Name(text))
        } else {
            Err(Error::invalid(what, text, "neither a name nor an id"))
        }
    }
}

/// What is used of a line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: Vec<u8>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: Option<String>,
}

/// The first line of passwd(5) with that name or uid.
pub(crate) fn find_user(passwd: &mut dyn Read, user: Id<'_>) -> Result<Option<Account>, Error> {
    let mut found = None;
    each_line(PASSWD, passwd, |line, text| {
        let mut fields = text.split(|byte| *byte == b':');
        let mut field = || fields.next();
        let (Some(name), Some(_), Some(uid), Some(gid)) = (field(), field(), field(), field())
        else {
            return Ok(ControlFlow::Continue(()));
        };
        let matches = match user {
            Id::Name(wanted) => name == wanted.as_bytes(),
            Id::Number(wanted) => number(uid) == Some(wanted),
        };
        if !matches {
            return Ok(ControlFlow::Continue(()));
        }
        let (Some(uid), Some(gid)) = (number(uid), number(gid)) else {
            return Err(Error::Accounts { file: PASSWD, line, reason: "no valid uid and gid" });
        };
        let home = fields.nth(1).and_then(|home| std::str::from_utf8(home).ok());
        found = Some(Account {
            name: name.to_vec(),
            uid,
            gid,
            home: home.filter(|home| home.starts_with('/')).map(str::to_owned),
        });
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// What is looked for in group(5), all in one reading.
#[derive(Default)]
pub(crate) struct GroupSearch<'a> {
    /// The groups that this login name is a member of.
    pub(crate) member: Option<&'a [u8]>,
    /// The ids of these names.
    pub(crate) names: Vec<&'a str>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupsFound {
    /// Groups with the member, in the order of the file.
    pub(crate) memberships: Vec<u32>,
    /// One for each of the names.
    pub(crate) ids: Vec<Option<u32>>,
}

impl GroupSearch<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.member.is_none() && self.names.is_empty()
    }

    pub(crate) fn run(&self, group: &mut dyn Read) -> Result<GroupsFound, Error> {
        let mut found = GroupsFound { memberships: Vec::new(), ids: vec![None; self.names.len()] };
        each_line(GROUP, group, |line, text| {
            let mut fields = text.split(|byte| *byte == b':');
            let (Some(name), Some(_), Some(gid)) = (fields.next(), fields.next(), fields.next())
            else {
                return Ok(ControlFlow::Continue(()));
            };
            let members = fields.next().unwrap_or_default();
            let is_member = self.member.is_some_and(|member| {
                members.split(|byte| *byte == b',').any(|listed| listed == member)
            });
            let wanted = |index: &usize| self.names[*index].as_bytes() == name;
            let named: Vec<usize> = (0..self.names.len()).filter(wanted).collect();
            if !is_member && named.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            let Some(gid) = number(gid) else {
                return Err(Error::Accounts { file: GROUP, line, reason: "no valid gid" });
            };
            if is_member {
                found.memberships.push(gid);
            }
            for index in named {
                found.ids[index].get_or_insert(gid);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

/// The groups without repetition, in their order.
pub(crate) fn distinct(groups: impl IntoIterator<Item = u32>) -> Result<Vec<u32>, Error> {
    let mut seen = HashSet::new();
    let distinct: Vec<u32> = groups.into_iter().filter(|gid| seen.insert(*gid)).collect();
    if distinct.len() > MAX_GROUPS {
        let count = distinct.len().to_string();
        return Err(Error::invalid("number of groups", &count, "more than 65536"));
    }
    Ok(distinct)
}

/// An id in decimal digits, up to 4294967294.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let id: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (id != u32::MAX).then_some(id)
}

/// Hands the lines over, without their ends and numbered from 1, and holds one at a time.
fn each_line(
    file: &'static str,
    reader: &mut dyn Read,
    mut each: impl FnMut(usize, &[u8]) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    let mut reader = BufReader::new(reader);
    let (mut text, mut total, mut line) = (Vec::new(), 0, 0);
    loop {
        text.clear();
        line += 1;
        let limit = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
        let read = (&mut reader).take(limit).read_until(b'\n', &mut text);
        total += read.map_err(|source| Error::io(file, source))?;
        let refused = |reason| Err(Error::Accounts { file, line, reason });
        if text.is_empty() {
            return Ok(());
        } else if text.contains(&0) {
            return refused("a NUL byte");
        } else if total > MAX_FILE {
            return refused("the file is longer than 1 MiB");
        } else if text.len() > MAX_LINE {
            return refused("longer than 64 KiB");
        }
        if text == b"\n" {
            continue;
        }
        if each(line, text.strip_suffix(b"\n").unwrap_or(&text))?.is_break() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn refusal(result: Result<impl std::fmt::Debug, Error>) -> String {
        result.unwrap_err().to_string()
    }

    /// A reader that never ends and counts what is taken from it.
    struct Endless(u8, usize);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(self.0);
            self.1 += buffer.len();
            Ok(buffer.len())
        }
    }

    #[test]
    fn endless_files_are_left_early() {
        for byte in [0, b'x', b'\n'] {
            let mut endless = Endless(byte, 0);
            assert!(find_user(&mut endless, Id::Name("www")).is_err(), "{byte}");
            assert!(endless.1 <= (MAX_FILE + (64 << 10)), "{byte}: read {}", endless.1);
        }
    }

    #[test]
    fn a_line_with_a_million_members_is_refused() {
        let text = format!("big:x:7:{}\n", "a,".repeat(1_000_000));
        let search = GroupSearch { member: Some(b"www"), names: vec![] };
        let told = refusal(search.run(&mut text.as_bytes()));
        assert_eq!(told, "the container's /etc/group: line 1: longer than 64 KiB");
    }

    #[test]
    fn a_mebibyte_of_short_lines_is_the_end() {
        let text = "a::1:www\n".repeat((1 << 20) / 9 + 2);
        let search = GroupSearch { member: Some(b"www"), names: vec![] };
        let told = refusal(search.run(&mut text.as_bytes()));
        assert!(told.ends_with("the file is longer than 1 MiB"), "{told}");
    }

    #[test]
    fn nul_bytes_are_refused() {
        let told = refusal(find_user(&mut b"a:x:1:1\nwww\0:x:2:2\n".as_slice(), Id::Name("www")));
        assert_eq!(told, "the container's /etc/passwd: line 2: a NUL byte");
    }

    #[test]
    fn reading_errors_name_the_file() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(5))
            }
        }
        assert_eq!(
            refusal(find_user(&mut Broken, Id::Number(1))),
            "/etc/passwd: Input/output error"
        );
    }

    #[test]
    fn more_groups_than_the_kernel_takes_are_refused_and_repetitions_are_not_counted() {
        assert_eq!(distinct([5, 6, 5]).unwrap(), [5, 6]);
        assert!(distinct(0..65_536).is_ok());
        assert!(distinct(0..65_537).is_err());
        assert_eq!(distinct(vec![7; 100_000]).unwrap(), [7]);
    }
}
