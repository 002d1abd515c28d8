//! Both: the user and the groups of a program, found in the parent and taken on in the child.

use std::io::Read;

use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread;

use crate::accounts::{self, Account, GROUP, GroupSearch, Id, PASSWD};
use crate::error::Error;
use crate::sys;

/// The ids that a program runs with, and what its passwd(5) line says about them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct User {
    /// The user id; 4294967295 is none and is refused.
    pub uid: u32,
    /// The primary group id; 4294967295 is none and is refused.
    pub gid: u32,
    /// All groups for setgroups(2). [`User::resolve`] puts the primary one first: a program that
    /// could leave it would escape what is denied to that group (CVE-2022-36109).
    pub groups: Vec<u32>,
    /// The home directory, an absolute path; `None` where the passwd line has none.
    pub home: Option<String>,
    /// The login name, where there is a passwd line.
    pub name: Option<String>,
}

/// Whether the supplementary groups can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// setgroups(2) is called.
    Set,
    /// The user namespace forbids setgroups(2) (user_namespaces(7)): they stay the caller's.
    Denied,
}

impl User {
    /// Parent: finds the ids for `name`, `uid`, `name:group` or `uid:gid`.
    ///
    /// * Empty and `root` are 0:0 with the home `/root`, without a look-up.
    /// * All digits are an id, from 0 to 4294967294, and never a name. Gid, home and groups are
    ///   those of the first passwd line with that uid; without one the gid is 0.
    /// * A name is the first passwd line with it, and brings the groups that list it as a member.
    /// * A group after the colon replaces the primary group, and the memberships too.
    /// * `additional_groups`, names or ids, come on top.
    ///
    /// `passwd` and `group` are the container's own files, opened below its root file system;
    /// `None` where it has none. At most 1 MiB of each is read, in lines of at most 64 KiB.
    ///
    /// ```
    /// use nsinit_security::User;
    ///
    /// let mut passwd = b"www:x:33:33:web:/var/www:/bin/sh\n".as_slice();
    /// let mut group = b"www:x:33:\nmail:x:8:www\n".as_slice();
    /// let www = User::resolve("www", &[], Some(&mut passwd), Some(&mut group))?;
    /// assert_eq!((www.uid, www.gid, www.groups), (33, 33, vec![33, 8]));
    /// # Ok::<(), nsinit_security::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything that is neither a name nor an id, [`Error::NotFound`] for a
    /// name that is not there, [`Error::Accounts`] and [`Error::Io`] for files that cannot be read.
    pub fn resolve(
        spec: &str,
        additional_groups: &[String],
        passwd: Option<&mut dyn Read>,
        group: Option<&mut dyn Read>,
    ) -> Result<User, Error> {
        let (user, primary) = split(spec)?;
        let additional = additional_groups
            .iter()
            .map(|text| Id::parse("group", text))
            .collect::<Result<Vec<_>, _>>()?;
        let account = account(user, passwd)?;

        let listed = account.is_from_file && primary.is_none();
        let asked = || primary.iter().chain(&additional);
        let search = GroupSearch {
            member: listed.then_some(account.line.name.as_slice()),
            names: asked()
                .filter_map(|id| if let Id::Name(name) = id { Some(*name) } else { None })
                .collect(),
        };
        let (memberships, ids) = look_up(&search, group)?;
        let mut ids = ids.into_iter();
        let mut explicit = asked().map(|id| match id {
            Id::Number(gid) => *gid,
            Id::Name(_) => ids.next().unwrap_or(u32::MAX),
        });
        let gid = if primary.is_some() { explicit.next() } else { None };
        let gid = gid.unwrap_or(account.line.gid);
        Ok(User {
            uid: account.line.uid,
            gid,
            groups: accounts::distinct([gid].into_iter().chain(memberships).chain(explicit))?,
            home: account.line.home,
            name: String::from_utf8(account.line.name).ok().filter(|name| !name.is_empty()),
        })
    }

    /// Child: takes on the supplementary groups, the group and the user, in this order.
    ///
    /// For a user other than root the permitted capabilities outlive the change until
    /// [`Capabilities::apply`](crate::Capabilities::apply), which must follow, or execve; the
    /// effective ones are gone at once (capabilities(7), PR_SET_KEEPCAPS). Acts on the calling
    /// thread alone.
    ///
    /// # Errors
    /// EINVAL for an id without a place in the user namespace, EPERM without SETUID and SETGID.
    pub fn apply(&self, groups: Groups) -> Result<(), Errno> {
        self.take_on(groups, self.uid != 0)
    }

    pub(crate) fn take_on(&self, groups: Groups, keep_permitted: bool) -> Result<(), Errno> {
        if self.uid == u32::MAX || self.gid == u32::MAX || self.groups.contains(&u32::MAX) {
            // To the kernel this id means "leave it": the program would stay root.
            return Err(Errno::INVAL);
        }
        if groups == Groups::Set {
            sys::setgroups(&self.groups)?;
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        thread::set_thread_res_gid(gid, gid, gid)?;
        if self.uid != 0 {
            // Also switched off where it is not wanted: the caller may have left it on.
            thread::set_keep_capabilities(keep_permitted)?;
        }
        thread::set_thread_res_uid(uid, uid, uid)?;
        if keep_permitted {
            thread::set_keep_capabilities(false)?;
        }
        Ok(())
    }
}

/// The user, and the group after the colon.
fn split(spec: &str) -> Result<(Id<'_>, Option<Id<'_>>), Error> {
    if spec.is_empty() {
        return Ok((Id::Name(ROOT), None));
    }
    let whole = |_| Error::invalid("user", spec, "not one of name, uid, name:group, uid:gid");
    match spec.split_once(':') {
        None => Ok((Id::parse("user", spec)?, None)),
        Some((user, group)) => Ok((
            Id::parse("user", user).map_err(whole)?,
            Some(Id::parse("group", group).map_err(whole)?),
        )),
    }
}

const ROOT: &str = "root";

struct Found {
    line: Account,
    is_from_file: bool,
}

fn account(user: Id<'_>, passwd: Option<&mut dyn Read>) -> Result<Found, Error> {
    let without_a_line = |uid, name: &str, home| Found {
        line: Account { name: name.into(), uid, gid: 0, home },
        is_from_file: false,
    };
    if user == Id::Name(ROOT) {
        return Ok(without_a_line(0, ROOT, Some("/root".to_owned())));
    }
    let file_exists = passwd.is_some();
    let line = passwd.map(|file| accounts::find_user(file, user)).transpose()?.flatten();
    match (line, user) {
        (Some(line), _) => Ok(Found { line, is_from_file: true }),
        (None, Id::Number(uid)) => Ok(without_a_line(uid, "", None)),
        (None, Id::Name(name)) => {
            Err(Error::NotFound { what: "user", name: name.to_owned(), file: PASSWD, file_exists })
        }
    }
}

/// The memberships, and the ids of the names in their order.
fn look_up(
    search: &GroupSearch<'_>,
    group: Option<&mut dyn Read>,
) -> Result<(Vec<u32>, Vec<u32>), Error> {
    if search.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let missing = |name: &str, file_exists| Error::NotFound {
        what: "group",
        name: name.to_owned(),
        file: GROUP,
        file_exists,
    };
    let Some(group) = group else {
        return match search.names.first() {
            Some(name) => Err(missing(name, false)),
            None => Ok((Vec::new(), Vec::new())),
        };
    };
    let found = search.run(group)?;
    let ids = found.ids.into_iter().zip(&search.names);
    let ids = ids.map(|(id, name)| id.ok_or_else(|| missing(name, true)));
    Ok((found.memberships, ids.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every odd name that a parser ever took for something else, as root.
    const HOSTILE: &str = "1000:x:0:0::/:\n4294967296:x:0:0::/:\n-1:x:0:0::/:\n0x0:x:0:0::/:\n\
                           +5:x:0:0::/:\n 0:x:0:0::/:\n01:x:0:0::/:\n1:x:0:0::/:\n:x:0:0::/:\n\
                           4294967295:x:0:0::/:\n";
    const PASSWD_TEXT: &str = "root:x:1000:1000::/evil:/bin/sh\n# a comment\nshort:x\n\
                               www:x:33:34:web:/var/www:/bin/sh\nwww:x:0:0::/:\n\
                               bad:x:-1:0::/:\nbig:x:4294967295:0::/:\nrel:x:40:40::relative:\n\
                               toor:x:0:0::/root:/bin/sh";
    const GROUP_TEXT: &str = "root:x:0:\nwww:x:34:\nmail:x:8:www,rel\nstaff:x:50:wwww,www2\n\
                              adm:x:4:rel,www\nbad:x:oops:\nlast:x:99:www";

    fn resolve(spec: &str, additional: &[&str], passwd: &str) -> Result<User, Error> {
        let additional: Vec<String> = additional.iter().map(|text| (*text).to_owned()).collect();
        let (mut passwd, mut group) = (passwd.as_bytes(), GROUP_TEXT.as_bytes());
        User::resolve(spec, &additional, Some(&mut passwd), Some(&mut group))
    }

    fn ids(spec: &str) -> (u32, u32, Vec<u32>) {
        let user = resolve(spec, &[], PASSWD_TEXT).unwrap();
        (user.uid, user.gid, user.groups)
    }

    fn refusal(spec: &str, additional: &[&str]) -> String {
        resolve(spec, additional, PASSWD_TEXT).unwrap_err().to_string()
    }

    #[test]
    fn digits_are_ids_even_where_a_user_has_that_name() {
        let cases =
            [("1000", 1000), ("1", 1), ("01", 1), ("4294967294", 4_294_967_294), ("33", 33)];
        for (spec, uid) in cases {
            assert_eq!(resolve(spec, &[], HOSTILE).unwrap().uid, uid, "{spec}");
        }
    }

    #[test]
    fn odd_text_is_an_error_and_never_root() {
        let specs = [
            "4294967296",
            "4294967295",
            "99999999999999999999",
            "-1",
            "0x0",
            "+5",
            " 0",
            "0 ",
            "1:",
            ":1",
            ":",
            "1:2:3",
            "00",
            "000",
            "0:00",
            "0\n",
            "1.0",
            "1e3",
            "٣",
            "a b",
            "a\0",
            "-a",
            "1000:-1",
            "1:4294967295",
            "www:",
            ":www",
            "root:",
            "root:x:y",
            "root ",
            "Root\n",
        ];
        for spec in specs {
            let result = resolve(spec, &[], HOSTILE);
            assert!(matches!(result, Err(Error::Invalid { .. })), "{spec:?}: {result:?}");
        }
        assert_eq!(refusal("1:", &[]), "user \"1:\": not one of name, uid, name:group, uid:gid");
        assert_eq!(refusal("4294967295", &[]), "user \"4294967295\": an id is at most 4294967294");
    }

    #[test]
    fn root_is_not_looked_up() {
        let home = Some("/root".to_owned());
        for spec in ["", "root"] {
            let root = resolve(spec, &[], PASSWD_TEXT).unwrap();
            assert_eq!((root.uid, root.gid, root.groups, root.home), (0, 0, vec![0], home.clone()));
        }
        assert_eq!(User::resolve("root", &[], None, None).unwrap().uid, 0);
        assert_eq!(ids("root:mail"), (0, 8, vec![8]));
    }

    #[test]
    fn names_bring_their_groups_and_an_explicit_group_replaces_them() {
        assert_eq!(ids("www"), (33, 34, vec![34, 8, 4, 99]));
        assert_eq!(ids("33"), (33, 34, vec![34, 8, 4, 99]));
        assert_eq!(ids("www:staff"), (33, 50, vec![50]));
        assert_eq!(ids("www:7"), (33, 7, vec![7]));
        assert_eq!(ids("33:0"), (33, 0, vec![0]));
        assert_eq!(ids("5"), (5, 0, vec![0]));
        assert_eq!(ids("toor"), (0, 0, vec![0]));
    }

    #[test]
    fn home_is_an_absolute_path_of_the_line() {
        let home = |spec| resolve(spec, &[], PASSWD_TEXT).unwrap().home;
        assert_eq!(home("www").as_deref(), Some("/var/www"));
        assert_eq!(home("33:7").as_deref(), Some("/var/www"));
        assert_eq!((home("rel"), home("5")), (None, None));
    }

    #[test]
    fn additional_groups_are_names_or_ids() {
        let user = resolve("www", &["staff", "8", "77", "root"], PASSWD_TEXT).unwrap();
        assert_eq!(user.groups, [34, 8, 4, 99, 50, 77, 0]);
        let user = resolve("www:mail", &["staff"], PASSWD_TEXT).unwrap();
        assert_eq!((user.gid, user.groups), (8, vec![8, 50]));
        assert_eq!(refusal("1", &["-1"]), "group \"-1\": neither a name nor an id");
        assert_eq!(refusal("1", &["nix"]), "group \"nix\": not in the container's /etc/group");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(refusal("nix", &[]), "user \"nix\": not in the container's /etc/passwd");
        assert_eq!(refusal("1:nix", &[]), "group \"nix\": not in the container's /etc/group");
        assert_eq!(refusal("1:bad", &[]), "the container's /etc/group: line 6: no valid gid");
        for spec in ["bad", "big"] {
            assert!(refusal(spec, &[]).ends_with("no valid uid and gid"), "{spec}");
        }
        let told = |spec| User::resolve(spec, &[], None, None).unwrap_err().to_string();
        assert_eq!(told("www"), "user \"www\": the container has no /etc/passwd");
        assert_eq!(told("1:www"), "group \"www\": the container has no /etc/group");
        assert_eq!(User::resolve("5:6", &[], None, None).unwrap().groups, [6]);
    }

    #[test]
    fn the_id_that_means_leave_it_is_refused() {
        let none = u32::MAX;
        let users = [
            User { uid: none, ..User::default() },
            User { gid: none, ..User::default() },
            User { groups: vec![none], ..User::default() },
        ];
        for user in users {
            assert_eq!(user.apply(Groups::Denied), Err(Errno::INVAL));
        }
    }
}
