//! Both: a set of capabilities.

use std::fmt;
use std::fs;
use std::io;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub, SubAssign};

use rustix::thread::CapabilitySet as KernelSet;

use crate::capabilities::bounding_set;
use crate::capability::Capability;
use crate::error::Error;

/// A set of capabilities, one bit for each of the kernel's numbers.
///
/// ```
/// use nsinit_security::{Capability, CapabilitySet};
///
/// let set = CapabilitySet::CONTAINER - Capability::Setfcap | Capability::NetRaw;
/// assert!(set.contains(Capability::NetRaw) && !set.contains(Capability::Setfcap));
/// assert_eq!(CapabilitySet::from(Capability::Kill).to_string(), "KILL");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapabilitySet(u64);

const fn bit(capability: Capability) -> u64 {
    1 << capability.index()
}

impl CapabilitySet {
    /// The empty set.
    pub const NONE: CapabilitySet = CapabilitySet(0);

    /// Every capability that this crate has a name for.
    pub const ALL: CapabilitySet = CapabilitySet((1 << Capability::ALL.len()) - 1);

    /// The eleven that a container's root has when nothing else is asked for.
    pub const CONTAINER: CapabilitySet = CapabilitySet(
        bit(Capability::Chown)
            | bit(Capability::DacOverride)
            | bit(Capability::Fsetid)
            | bit(Capability::Fowner)
            | bit(Capability::Setgid)
            | bit(Capability::Setuid)
            | bit(Capability::Setfcap)
            | bit(Capability::Setpcap)
            | bit(Capability::NetBindService)
            | bit(Capability::SysChroot)
            | bit(Capability::Kill),
    );

    /// The set with these bits, also such as this crate has no name for.
    #[must_use]
    pub const fn from_bits(bits: u64) -> CapabilitySet {
        CapabilitySet(bits)
    }

    /// The bits, as `/proc/PID/status` prints them in hexadecimal.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether every capability of `other` is in this set.
    #[must_use]
    pub fn contains(self, other: impl Into<CapabilitySet>) -> bool {
        let other = other.into().0;
        self.0 & other == other
    }

    /// Whether no capability is in this set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many capabilities are in this set.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The capabilities of this set that this crate has a name for, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |capability| self.contains(*capability))
    }

    /// The bounding set of the calling thread, which limits what an execve can give.
    #[must_use]
    pub fn bounding_of_caller() -> CapabilitySet {
        bounding_set()
    }

    /// The permitted set of the calling thread.
    ///
    /// # Errors
    /// [`Error::Io`] where an outer filter refuses capget(2).
    pub fn permitted_of_caller() -> Result<CapabilitySet, Error> {
        rustix::thread::capabilities(None)
            .map(|sets| CapabilitySet(sets.permitted.bits()))
            .map_err(|errno| Error::io("capabilities of this process", errno))
    }

    /// Every capability that the running kernel knows (`/proc/sys/kernel/cap_last_cap`); a newer
    /// kernel may have some without a name here.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read or holds no number below 64.
    pub fn known_to_kernel() -> Result<CapabilitySet, Error> {
        const FILE: &str = "/proc/sys/kernel/cap_last_cap";
        let text = fs::read_to_string(FILE).map_err(|source| Error::io(FILE, source))?;
        match text.trim_end().parse::<u32>() {
            Ok(last) if last < 64 => Ok(CapabilitySet(u64::MAX >> (63 - last))),
            _ => Err(Error::io(FILE, io::Error::from(io::ErrorKind::InvalidData))),
        }
    }

    pub(crate) fn kernel(self) -> KernelSet {
        KernelSet::from_bits_retain(self.0)
    }
}

impl From<Capability> for CapabilitySet {
    fn from(capability: Capability) -> Self {
        CapabilitySet(bit(capability))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(CapabilitySet::NONE, |set, capability| set | capability)
    }
}

impl<T: Into<CapabilitySet>> BitOr<T> for CapabilitySet {
    type Output = CapabilitySet;
    fn bitor(self, other: T) -> CapabilitySet {
        CapabilitySet(self.0 | other.into().0)
    }
}

impl<T: Into<CapabilitySet>> BitOrAssign<T> for CapabilitySet {
    fn bitor_assign(&mut self, other: T) {
        *self = *self | other;
    }
}

impl<T: Into<CapabilitySet>> BitAnd<T> for CapabilitySet {
    type Output = CapabilitySet;
    fn bitand(self, other: T) -> CapabilitySet {
        CapabilitySet(self.0 & other.into().0)
    }
}

impl<T: Into<CapabilitySet>> Sub<T> for CapabilitySet {
    type Output = CapabilitySet;
    fn sub(self, other: T) -> CapabilitySet {
        CapabilitySet(self.0 & !other.into().0)
    }
}

impl<T: Into<CapabilitySet>> SubAssign<T> for CapabilitySet {
    fn sub_assign(&mut self, other: T) {
        *self = *self - other;
    }
}

impl fmt::Display for CapabilitySet {
    /// The names, separated by spaces; bits without a name in hexadecimal; `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for capability in self.iter() {
            write!(f, "{separator}{capability}")?;
            separator = " ";
        }
        let nameless = *self - CapabilitySet::ALL;
        if !nameless.is_empty() {
            write!(f, "{separator}{:#x}", nameless.0)?;
        } else if self.is_empty() {
            f.write_str("none")?;
        }
        Ok(())
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CapabilitySet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_set_is_the_eleven_of_the_format() {
        let names = "CHOWN DAC_OVERRIDE FSETID FOWNER SETGID SETUID SETFCAP SETPCAP \
                     NET_BIND_SERVICE SYS_CHROOT KILL";
        let set: CapabilitySet = names.split(' ').map(|name| name.parse().unwrap()).collect();
        assert_eq!((set, set.len()), (CapabilitySet::CONTAINER, 11));
    }

    #[test]
    fn operators() {
        let two = CapabilitySet::from(Capability::Chown) | Capability::Kill;
        assert_eq!(two.to_string(), "CHOWN KILL");
        assert_eq!((two - Capability::Chown).to_string(), "KILL");
        assert_eq!(two & CapabilitySet::NONE, CapabilitySet::NONE);
        assert!(CapabilitySet::ALL.contains(two) && !two.contains(CapabilitySet::ALL));
        assert_eq!(CapabilitySet::ALL.iter().count(), 41);
    }

    #[test]
    fn bits_without_a_name_are_shown() {
        assert_eq!((CapabilitySet::from_bits(1 << 50 | 1)).to_string(), "CHOWN 0x4000000000000");
        assert_eq!(CapabilitySet::NONE.to_string(), "none");
    }

    #[test]
    fn what_the_caller_has_agrees_with_the_caps_crate() {
        let read = |which| -> CapabilitySet {
            let set = caps::read(None, which).unwrap();
            set.iter().map(|capability| capability.to_string().parse().unwrap()).collect()
        };
        assert_eq!(CapabilitySet::bounding_of_caller(), read(caps::CapSet::Bounding));
        assert_eq!(CapabilitySet::permitted_of_caller().unwrap(), read(caps::CapSet::Permitted));
        assert!(CapabilitySet::known_to_kernel().unwrap().contains(CapabilitySet::ALL));
    }
}
