//! Child: the five capability sets of a thread (capabilities(7)), set and read back.

use rustix::io::Errno;
use rustix::thread::{self, CapabilitySet as KernelSet, CapabilitySets};

use crate::capability_set::CapabilitySet;

/// What the five capability sets shall be.
///
/// The order that works, also for a user other than root: [`Capabilities::drop_bounding`],
/// [`User::apply`](crate::User::apply), [`Capabilities::apply`],
/// [`no_new_privileges`](crate::no_new_privileges), [`Capabilities::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Limits what any later execve can give.
    pub bounding: CapabilitySet,
    /// What the thread may make effective.
    pub permitted: CapabilitySet,
    /// What the kernel checks.
    pub effective: CapabilitySet,
    /// Kept over execve of files with inheritable capabilities.
    pub inheritable: CapabilitySet,
    /// Kept over execve for users other than root; a part of permitted and of inheritable.
    pub ambient: CapabilitySet,
}

impl Capabilities {
    /// For uid 0, where execve makes the bounding set permitted: nothing inheritable, nothing
    /// ambient (a program that changes its user then has none).
    #[must_use]
    pub const fn root(set: CapabilitySet) -> Capabilities {
        Capabilities {
            bounding: set,
            permitted: set,
            effective: set,
            inheritable: CapabilitySet::NONE,
            ambient: CapabilitySet::NONE,
        }
    }

    /// For other users, whose capabilities outlive execve only in the ambient set.
    #[must_use]
    pub const fn user(set: CapabilitySet) -> Capabilities {
        Capabilities {
            bounding: set,
            permitted: set,
            effective: set,
            inheritable: set,
            ambient: set,
        }
    }

    /// Takes out of the bounding set what is not in `self.bounding`, also capabilities that this
    /// crate has no name for; the rest stays as it is. Must precede the change of the user, which
    /// takes SETPCAP away.
    ///
    /// # Errors
    /// EPERM without SETPCAP, if there is anything to take out.
    pub fn drop_bounding(&self) -> Result<(), Errno> {
        for number in 0..u64::BITS {
            let one = KernelSet::from_bits_retain(1 << number);
            if self.bounding.bits() & one.bits() != 0 {
                continue;
            }
            // The bounding set of most callers is full: asking first would double the calls.
            match thread::remove_capability_from_bounding_set(one) {
                Ok(()) => {}
                Err(Errno::PERM) => match thread::capability_is_in_bounding_set(one) {
                    Ok(false) => {}
                    Err(Errno::INVAL) => break,
                    Ok(true) | Err(_) => return Err(Errno::PERM),
                },
                // The first number that the kernel does not know.
                Err(Errno::INVAL) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Sets permitted, effective and inheritable by one capset(2), then the ambient set.
    ///
    /// # Errors
    /// EPERM for what is not permitted now, or not in the bounding set.
    pub fn apply(&self) -> Result<(), Errno> {
        thread::set_capabilities(
            None,
            CapabilitySets {
                effective: self.effective.kernel(),
                permitted: self.permitted.kernel(),
                inheritable: self.inheritable.kernel(),
            },
        )?;
        // capset has lowered the ambient set to what is permitted and inheritable, and only that
        // can be raised in it (capabilities(7), "Ambient").
        if (self.permitted & self.inheritable) != self.ambient {
            thread::clear_ambient_capability_set()?;
        }
        for one in single_bits(self.ambient.bits()) {
            thread::configure_capability_in_ambient_set(one, true)?;
        }
        Ok(())
    }

    /// Reads all five sets of the calling thread back.
    ///
    /// # Errors
    /// EPERM if any of them differs from what was asked for.
    pub fn verify(&self) -> Result<(), Errno> {
        let sets = thread::capabilities(None)?;
        let same = sets.effective == self.effective.kernel()
            && sets.permitted == self.permitted.kernel()
            && sets.inheritable == self.inheritable.kernel()
            && ambient_set(sets)? == self.ambient
            && bounding_set() == self.bounding;
        if same { Ok(()) } else { Err(Errno::PERM) }
    }
}

/// The bounding set of the calling thread; the kernel ends the list by EINVAL.
pub(crate) fn bounding_set() -> CapabilitySet {
    let bits = (0..u64::BITS)
        .map(|number| KernelSet::from_bits_retain(1 << number))
        .map_while(|one| thread::capability_is_in_bounding_set(one).ok().map(|is| (one, is)))
        .filter(|(_, is)| *is)
        .fold(0, |bits, (one, _)| bits | one.bits());
    CapabilitySet::from_bits(bits)
}

/// The ambient set; the kernel keeps it a part of permitted and inheritable (capabilities(7)), so
/// that only those need to be asked for.
fn ambient_set(sets: CapabilitySets) -> Result<CapabilitySet, Errno> {
    let mut bits = 0;
    for one in single_bits((sets.permitted & sets.inheritable).bits()) {
        if thread::capability_is_in_ambient_set(one)? {
            bits |= one.bits();
        }
    }
    Ok(CapabilitySet::from_bits(bits))
}

fn single_bits(bits: u64) -> impl Iterator<Item = KernelSet> {
    (0..u64::BITS)
        .map(|number| 1 << number)
        .filter(move |bit| bits & bit != 0)
        .map(KernelSet::from_bits_retain)
}
