//! Parent: the key `parent_death_signal`.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

/// A signal for `PR_SET_PDEATHSIG` (prctl(2)), by name; in JSON `"KILL"`,
/// `"SIGKILL"` or `"NONE"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeathSignal(i32);

/// Standard signals with the numbers they have on every architecture this
/// runs on but MIPS and SPARC (signal(7)).
const SIGNALS: [(&str, i32); 29] = [
    ("NONE", 0),
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("IO", 29),
    ("SYS", 31),
];

const NAMES: [&str; SIGNALS.len()] = {
    let mut names = [""; SIGNALS.len()];
    let mut i = 0;
    while i < SIGNALS.len() {
        names[i] = SIGNALS[i].0;
        i += 1;
    }
    names
};

impl DeathSignal {
    /// No signal: the container outlives its launcher.
    pub const NONE: DeathSignal = DeathSignal(0);
    /// SIGKILL.
    pub const KILL: DeathSignal = DeathSignal(9);
    /// SIGTERM.
    pub const TERM: DeathSignal = DeathSignal(15);

    /// The number for `PR_SET_PDEATHSIG`; 0 is no signal.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The name without `SIG`.
    pub fn name(self) -> &'static str {
        SIGNALS.iter().find(|signal| signal.1 == self.0).map_or("NONE", |signal| signal.0)
    }
}

impl fmt::Display for DeathSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DeathSignal {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<DeathSignal, UnknownSignal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let known = SIGNALS.iter().find(|signal| signal.0 == name);
        known.map(|signal| DeathSignal(signal.1)).ok_or(UnknownSignal)
    }
}

/// The text is not the name of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSignal;

impl fmt::Display for UnknownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown signal")
    }
}

impl std::error::Error for UnknownSignal {}

impl Serialize for DeathSignal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for DeathSignal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::forms::word(deserializer, |text| {
            text.parse().map_err(|_| Error::unknown_variant(text, &NAMES))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_what_they_are_called() {
        let numbers = [DeathSignal::NONE, DeathSignal::KILL, DeathSignal::TERM]
            .map(|signal| (signal.name(), signal.number()));
        assert_eq!(numbers, [("NONE", 0), ("KILL", 9), ("TERM", 15)]);
    }

    #[test]
    fn prefix_and_case_do_not_matter() {
        for text in ["TERM", "SIGTERM", "sigterm", "term"] {
            assert_eq!(text.parse(), Ok(DeathSignal::TERM));
        }
        assert_eq!("SIGFOO".parse::<DeathSignal>(), Err(UnknownSignal));
    }
}
