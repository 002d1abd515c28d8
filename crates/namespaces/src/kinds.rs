//! Both: a set of kinds of namespaces.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub, SubAssign};

use crate::Namespace;

/// A set of kinds of namespaces, as clone(2), unshare(2) and setns(2) take it.
///
/// ```
/// use nsinit_namespaces::{Kinds, Namespace};
/// let kinds = Kinds::USER | Kinds::UTS;
/// assert!(kinds.contains(Kinds::UTS) && !kinds.contains(Kinds::PID));
/// assert_eq!(kinds.iter().collect::<Vec<_>>(), [Namespace::Uts, Namespace::User]);
/// assert_eq!(kinds.to_string(), "NEWUTS NEWUSER");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Kinds(u32);

impl Kinds {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// Only [`Namespace::Mount`].
    pub const MOUNT: Self = Self(Namespace::Mount.flag());
    /// Only [`Namespace::Uts`].
    pub const UTS: Self = Self(Namespace::Uts.flag());
    /// Only [`Namespace::Ipc`].
    pub const IPC: Self = Self(Namespace::Ipc.flag());
    /// Only [`Namespace::User`].
    pub const USER: Self = Self(Namespace::User.flag());
    /// Only [`Namespace::Pid`].
    pub const PID: Self = Self(Namespace::Pid.flag());
    /// Only [`Namespace::Net`].
    pub const NET: Self = Self(Namespace::Net.flag());
    /// Only [`Namespace::Cgroup`].
    pub const CGROUP: Self = Self(Namespace::Cgroup.flag());
    /// Only [`Namespace::Time`].
    pub const TIME: Self = Self(Namespace::Time.flag());
    /// All eight.
    pub const ALL: Self = Self(
        Self::MOUNT.0
            | Self::UTS.0
            | Self::IPC.0
            | Self::USER.0
            | Self::PID.0
            | Self::NET.0
            | Self::CGROUP.0
            | Self::TIME.0,
    );

    /// Whether every kind of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The kinds of both, where `|` cannot be used: in constants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds every kind of `other`.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Removes every kind of `other`.
    pub fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// The kinds in the order of [`Namespace::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Namespace> {
        Namespace::ALL.into_iter().filter(move |kind| self.0 & kind.flag() != 0)
    }

    /// The flags of clone(2), all within 31 bits.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// "new user and net namespaces", the object of messages.
    pub(crate) fn phrase(self, adjective: &str) -> String {
        let words: Vec<&str> = self.iter().map(Namespace::word).collect();
        match words.as_slice() {
            [] => format!("{adjective} process"),
            [one] => format!("{adjective} {one} namespace"),
            [first @ .., last] => {
                format!("{adjective} {} and {last} namespaces", first.join(", "))
            }
        }
    }
}

impl From<Namespace> for Kinds {
    fn from(kind: Namespace) -> Self {
        Self(kind.flag())
    }
}

impl FromIterator<Namespace> for Kinds {
    fn from_iter<I: IntoIterator<Item = Namespace>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, |set, kind| set | kind.into())
    }
}

impl BitOr for Kinds {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Kinds {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Kinds {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Kinds {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl SubAssign for Kinds {
    fn sub_assign(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

impl fmt::Display for Kinds {
    /// The names with a space between: `NEWUTS NEWUSER`; `none` when empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, kind) in self.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{kind}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kinds({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_flag_and_name() {
        let all: Kinds = Namespace::ALL.into_iter().collect();
        assert_eq!((all, all.iter().count()), (Kinds::ALL, 8));
        for kind in Namespace::ALL {
            assert_eq!(kind.name().parse::<Namespace>().unwrap(), kind);
            assert_eq!(Namespace::from_flag(kind.flag()), Some(kind));
        }
        assert_eq!(
            "newns".parse::<Namespace>().unwrap_err().to_string(),
            "newns: not a kind of namespace"
        );
    }

    #[test]
    fn flags_are_those_of_the_c_library() {
        let flags = libc::CLONE_NEWNS
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUSER
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWCGROUP
            | libc::CLONE_NEWTIME;
        assert_eq!(Kinds::ALL.bits(), u32::try_from(flags).unwrap());
        assert_eq!(Kinds::MOUNT.bits(), u32::try_from(libc::CLONE_NEWNS).unwrap());
        assert_eq!(Kinds::TIME.bits(), u32::try_from(libc::CLONE_NEWTIME).unwrap());
    }

    #[test]
    fn sets_behave_like_sets() {
        let mut set = Kinds::USER | Kinds::NET;
        assert!(set.contains(Kinds::NONE) && set.contains(Kinds::USER | Kinds::NET));
        assert!(!set.contains(Kinds::USER | Kinds::PID));
        set.insert(Kinds::PID);
        set.remove(Kinds::USER);
        assert_eq!(set, Kinds::PID | Kinds::NET);
        assert_eq!(set - Kinds::PID, Kinds::NET);
        assert_eq!(set & Kinds::PID, Kinds::PID);
        assert_eq!(format!("{:?} {}", set, Kinds::NONE), "Kinds(NEWPID NEWNET) none");
        assert_eq!(set.phrase("new"), "new pid and net namespaces");
    }
}
