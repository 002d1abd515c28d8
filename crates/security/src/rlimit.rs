//! Both: resource limits (getrlimit(2)).

use std::fmt;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::process;

use crate::error::{Error, nearest};

macro_rules! resources {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// What a limit is on; see getrlimit(2).
        ///
        /// Read from `nofile` or `RLIMIT_NOFILE`, in either case; printed as `nofile`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Resource { $($(#[$doc])* $variant,)* }

        impl Resource {
            /// All sixteen, in the order of their names.
            pub const ALL: &'static [Resource] = &[$(Resource::$variant),*];

            /// The name in lower case, without `RLIMIT_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Resource::$variant => $name,)* }
            }

            const fn kernel(self) -> process::Resource {
                match self { $(Resource::$variant => process::Resource::$variant,)* }
            }
        }
    };
}

resources! {
    /// Address space, in bytes.
    As "as";
    /// Size of a core dump, in bytes.
    Core "core";
    /// Processor time, in seconds.
    Cpu "cpu";
    /// Data segment, in bytes.
    Data "data";
    /// Size of a file, in bytes.
    Fsize "fsize";
    /// File locks (unused since Linux 2.4.25).
    Locks "locks";
    /// Locked memory, in bytes.
    Memlock "memlock";
    /// POSIX message queues of the user, in bytes.
    Msgqueue "msgqueue";
    /// 20 minus the lowest nice value.
    Nice "nice";
    /// One more than the highest file descriptor.
    Nofile "nofile";
    /// Threads of the user.
    Nproc "nproc";
    /// Resident memory, in bytes (unused since Linux 2.4.30).
    Rss "rss";
    /// The highest real-time priority.
    Rtprio "rtprio";
    /// Processor time of a real-time thread without a blocking call, in microseconds.
    Rttime "rttime";
    /// Queued signals of the user.
    Sigpending "sigpending";
    /// The main thread's stack, in bytes.
    Stack "stack";
}

impl Resource {
    /// The soft and the hard limit of this process; `None` is no limit.
    #[must_use]
    pub fn current(self) -> (Option<u64>, Option<u64>) {
        let limit = process::getrlimit(self.kernel());
        (limit.current, limit.maximum)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Resource {
    type Err = Error;

    /// `nofile`, `RLIMIT_NOFILE`; [`Error::Unknown`] with the nearest name.
    fn from_str(text: &str) -> Result<Self, Error> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("rlimit_").unwrap_or(&lower);
        Resource::ALL.iter().copied().find(|resource| resource.name() == name).ok_or_else(|| {
            Error::Unknown {
                what: "rlimit",
                name: text.to_owned(),
                suggestion: nearest(name, Resource::ALL.iter().map(|known| known.name())),
            }
        })
    }
}

/// A limit to set; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// What is limited, and its unit.
    pub resource: Resource,
    /// The limit that the kernel enforces; the program may raise it as far as the hard one.
    pub soft: Option<u64>,
    /// The highest soft limit.
    pub hard: Option<u64>,
}

impl Rlimit {
    /// Sets the limit for this process. Must precede a change of the user where it raises a hard
    /// limit, which needs SYS_RESOURCE.
    ///
    /// # Errors
    /// EPERM for a hard limit that may not be raised, EINVAL for a soft one above the hard one.
    pub fn apply(&self) -> Result<(), Errno> {
        let limit = process::Rlimit { current: self.soft, maximum: self.hard };
        process::setrlimit(self.resource.kernel(), limit)
    }

    /// Whether this hard limit is above the caller's own, so that setting it needs SYS_RESOURCE in
    /// the initial user namespace.
    #[must_use]
    pub fn exceeds_caller(&self) -> bool {
        above(self.hard, self.resource.current().1)
    }

    /// Whether the soft limit is above the hard one, which the kernel refuses.
    #[must_use]
    pub fn soft_exceeds_hard(&self) -> bool {
        above(self.soft, self.hard)
    }
}

impl fmt::Display for Rlimit {
    /// `nofile 1024:4096`, `core 0:unlimited`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.resource)?;
        for (separator, value) in [("", self.soft), (":", self.hard)] {
            f.write_str(separator)?;
            match value {
                Some(number) => write!(f, "{number}")?,
                None => f.write_str("unlimited")?,
            }
        }
        Ok(())
    }
}

/// RLIM_INFINITY is the highest number (getrlimit(2)).
fn above(one: Option<u64>, other: Option<u64>) -> bool {
    one.unwrap_or(u64::MAX) > other.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_names_in_both_forms() {
        assert_eq!(Resource::ALL.len(), 16);
        for resource in Resource::ALL {
            let long = format!("RLIMIT_{}", resource.name().to_uppercase());
            assert_eq!(long.parse::<Resource>().unwrap(), *resource);
            assert_eq!(resource.to_string().parse::<Resource>().unwrap(), *resource);
        }
        let error = "nofiles".parse::<Resource>().unwrap_err();
        assert_eq!(error.to_string(), "rlimit \"nofiles\": unknown, did you mean \"nofile\"?");
    }

    #[test]
    fn comparisons_know_that_none_is_the_highest() {
        let limit = |soft, hard| Rlimit { resource: Resource::Nofile, soft, hard };
        assert!(limit(None, Some(5)).soft_exceeds_hard());
        assert!(limit(Some(6), Some(5)).soft_exceeds_hard());
        assert!(
            !limit(Some(5), None).soft_exceeds_hard() && !limit(None, None).soft_exceeds_hard()
        );
        let hard = Resource::Nofile.current().1;
        assert!(!limit(Some(0), hard).exceeds_caller());
        assert_eq!(limit(Some(0), None).exceeds_caller(), hard.is_some());
        assert_eq!(limit(Some(1024), None).to_string(), "nofile 1024:unlimited");
    }
}
