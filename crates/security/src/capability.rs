//! Both: one capability of the kernel, its number and its names.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, nearest};

macro_rules! capabilities {
    ($($(#[$doc:meta])* $variant:ident = $index:literal, $name:literal;)*) => {
        /// A capability, as capabilities(7) lists them; the value is the kernel's number.
        ///
        /// Read from text with or without `CAP_`, in upper or lower case; printed as `SYS_ADMIN`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Capability { $($(#[$doc])* $variant = $index,)* }

        impl Capability {
            /// Every capability that this crate has a name for, in the order of their numbers.
            pub const ALL: &'static [Capability] = &[$(Capability::$variant),*];

            /// The name without `CAP_`, in upper case: `SYS_ADMIN`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Capability::$variant => $name,)* }
            }
        }
    };
}

capabilities! {
    /// Change the owner and group of any file.
    Chown = 0, "CHOWN";
    /// Ignore the permission bits for reading, writing and executing.
    DacOverride = 1, "DAC_OVERRIDE";
    /// Ignore the permission bits for reading files and searching directories.
    DacReadSearch = 2, "DAC_READ_SEARCH";
    /// Act as the owner of any file.
    Fowner = 3, "FOWNER";
    /// Keep set-user-id and set-group-id bits when a file changes.
    Fsetid = 4, "FSETID";
    /// Send signals to processes of any user.
    Kill = 5, "KILL";
    /// Change group ids and supplementary groups.
    Setgid = 6, "SETGID";
    /// Change user ids.
    Setuid = 7, "SETUID";
    /// Change the bounding set and add to the inheritable set.
    Setpcap = 8, "SETPCAP";
    /// Change the immutable and append-only flags of files.
    LinuxImmutable = 9, "LINUX_IMMUTABLE";
    /// Bind ports below 1024.
    NetBindService = 10, "NET_BIND_SERVICE";
    /// Broadcast and listen to multicast (unused by the kernel).
    NetBroadcast = 11, "NET_BROADCAST";
    /// Configure the network.
    NetAdmin = 12, "NET_ADMIN";
    /// Open raw and packet sockets.
    NetRaw = 13, "NET_RAW";
    /// Lock memory.
    IpcLock = 14, "IPC_LOCK";
    /// Ignore the permissions of System V IPC objects.
    IpcOwner = 15, "IPC_OWNER";
    /// Load and unload kernel modules.
    SysModule = 16, "SYS_MODULE";
    /// Access I/O ports and raw memory.
    SysRawio = 17, "SYS_RAWIO";
    /// Call chroot(2), and enter mount namespaces.
    SysChroot = 18, "SYS_CHROOT";
    /// Trace and inspect any process.
    SysPtrace = 19, "SYS_PTRACE";
    /// Switch process accounting.
    SysPacct = 20, "SYS_PACCT";
    /// Mount, set host names, and much else.
    SysAdmin = 21, "SYS_ADMIN";
    /// Reboot, and load another kernel.
    SysBoot = 22, "SYS_BOOT";
    /// Raise priorities, and set the scheduling of any process.
    SysNice = 23, "SYS_NICE";
    /// Exceed limits and quotas.
    SysResource = 24, "SYS_RESOURCE";
    /// Set the clocks.
    SysTime = 25, "SYS_TIME";
    /// Configure terminals; call vhangup(2).
    SysTtyConfig = 26, "SYS_TTY_CONFIG";
    /// Make device nodes.
    Mknod = 27, "MKNOD";
    /// Take leases on any file.
    Lease = 28, "LEASE";
    /// Write records to the audit log.
    AuditWrite = 29, "AUDIT_WRITE";
    /// Configure auditing.
    AuditControl = 30, "AUDIT_CONTROL";
    /// Set capabilities of files.
    Setfcap = 31, "SETFCAP";
    /// Override mandatory access control (Smack).
    MacOverride = 32, "MAC_OVERRIDE";
    /// Configure mandatory access control.
    MacAdmin = 33, "MAC_ADMIN";
    /// Read and configure the kernel log.
    Syslog = 34, "SYSLOG";
    /// Set timers that wake the machine.
    WakeAlarm = 35, "WAKE_ALARM";
    /// Keep the machine from suspending.
    BlockSuspend = 36, "BLOCK_SUSPEND";
    /// Read the audit log by multicast.
    AuditRead = 37, "AUDIT_READ";
    /// Observe performance (Linux 5.8).
    Perfmon = 38, "PERFMON";
    /// Load BPF programs (Linux 5.8).
    Bpf = 39, "BPF";
    /// Checkpoint and restore processes (Linux 5.9).
    CheckpointRestore = 40, "CHECKPOINT_RESTORE";
}

impl Capability {
    /// The kernel's number, which is the bit in a set.
    #[must_use]
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// The capability with this number, where this crate has a name for it.
    #[must_use]
    pub fn from_index(index: u32) -> Option<Capability> {
        Capability::ALL.get(usize::try_from(index).ok()?).copied()
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Capability {
    type Err = Error;

    /// `SYS_ADMIN`, `CAP_SYS_ADMIN`, `cap_sys_admin`; [`Error::Unknown`] with the nearest name.
    fn from_str(text: &str) -> Result<Self, Error> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        Capability::ALL.iter().copied().find(|capability| capability.name() == name).ok_or_else(
            || Error::Unknown {
                what: "capability",
                name: text.to_owned(),
                suggestion: nearest(name, Capability::ALL.iter().map(|known| known.name())),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions() {
        for (position, capability) in Capability::ALL.iter().enumerate() {
            assert_eq!(usize::try_from(capability.index()).ok(), Some(position));
            assert_eq!(Capability::from_index(capability.index()), Some(*capability));
        }
        assert_eq!(Capability::from_index(41), None);
    }

    #[test]
    fn names_and_numbers_agree_with_the_caps_crate() {
        assert_eq!(Capability::ALL.len(), caps::all().len());
        for capability in Capability::ALL {
            let long = format!("CAP_{capability}");
            let oracle: caps::Capability = long.parse().unwrap();
            assert_eq!(u32::from(oracle.index()), capability.index(), "{long}");
            assert_eq!(long.parse::<Capability>().unwrap(), *capability);
            assert_eq!(long.to_lowercase().parse::<Capability>().unwrap(), *capability);
            assert_eq!(capability.name().parse::<Capability>().unwrap(), *capability);
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let error = "CAP_SYS_ADMNI".parse::<Capability>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "capability \"CAP_SYS_ADMNI\": unknown, did you mean \"SYS_ADMIN\"?"
        );
        for text in ["", "CAP_", "CAP_CAP_CHOWN", " CHOWN", "CHOWN\n", "ALL"] {
            assert!(text.parse::<Capability>().is_err(), "{text:?}");
        }
    }
}
