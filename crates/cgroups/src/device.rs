//! Parent: which devices the processes of a cgroup may open and make.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// What kind of device node a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Character and block devices, `a`.
    All,
    /// Character devices, `c`.
    Char,
    /// Block devices, `b`.
    Block,
}

/// Devices that may be used; what no rule names may not.
///
/// The text form is the kernel's: `c 1:3 rwm`, `b *:* m`, `a` for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceRule {
    /// The kind of node.
    pub kind: DeviceKind,
    /// Major number; `None` is every one.
    pub major: Option<u32>,
    /// Minor number; `None` is every one.
    pub minor: Option<u32>,
    /// Opening for reading.
    pub read: bool,
    /// Opening for writing.
    pub write: bool,
    /// Making a node.
    pub mknod: bool,
}

impl DeviceRule {
    /// Everything.
    pub const ALL: DeviceRule = DeviceRule {
        kind: DeviceKind::All,
        major: None,
        minor: None,
        read: true,
        write: true,
        mknod: true,
    };

    /// A character device with all access; `None` is every minor number.
    pub const fn char(major: u32, minor: Option<u32>) -> DeviceRule {
        DeviceRule { kind: DeviceKind::Char, major: Some(major), minor, ..DeviceRule::ALL }
    }

    /// The devices of every container: null, zero, full, random, urandom, tty,
    /// ptmx and the pseudo terminals; the console when there is a terminal.
    pub fn container_defaults(tty: bool) -> Vec<DeviceRule> {
        let mut rules: Vec<DeviceRule> = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)]
            .into_iter()
            .map(|(major, minor)| DeviceRule::char(major, Some(minor)))
            .collect();
        rules.push(DeviceRule::char(136, None));
        if tty {
            rules.push(DeviceRule::char(5, Some(1)));
        }
        rules
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        if !(self.read || self.write || self.mknod) {
            return Err(Error::limit("device rule", self, "permits nothing"));
        }
        // The kernel's device numbers have 12 and 20 bits.
        if self.major.is_some_and(|n| n >= 1 << 12) || self.minor.is_some_and(|n| n >= 1 << 20) {
            return Err(Error::limit("device rule", self, "no such device number"));
        }
        Ok(())
    }

    fn is_everything(&self) -> bool {
        *self == DeviceRule::ALL
    }

    /// The same permission in rules for one kind each, but for "everything",
    /// because v1 takes `a` as everything whatever follows it.
    pub(crate) fn per_kind(&self) -> Vec<DeviceRule> {
        if self.kind != DeviceKind::All || self.is_everything() {
            return vec![*self];
        }
        [DeviceKind::Char, DeviceKind::Block].map(|kind| DeviceRule { kind, ..*self }).to_vec()
    }
}

/// Rules for one kind each, those for the same numbers made one, as v1 keeps them.
pub(crate) fn merged(rules: &[DeviceRule]) -> Vec<DeviceRule> {
    let mut merged: Vec<DeviceRule> = Vec::new();
    for rule in rules.iter().flat_map(DeviceRule::per_kind) {
        let same = |other: &&mut DeviceRule| {
            (other.kind, other.major, other.minor) == (rule.kind, rule.major, rule.minor)
        };
        match merged.iter_mut().find(same) {
            Some(other) => {
                other.read |= rule.read;
                other.write |= rule.write;
                other.mknod |= rule.mknod;
            }
            None => merged.push(rule),
        }
    }
    merged
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::All => 'a',
            DeviceKind::Char => 'c',
            DeviceKind::Block => 'b',
        };
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        write!(f, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        for (granted, letter) in [(self.read, "r"), (self.write, "w"), (self.mknod, "m")] {
            if granted {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl FromStr for DeviceRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<DeviceRule, Error> {
        let refuse = |reason: &str| Error::limit("device rule", format!("{text:?}"), reason);
        let mut words = text.split(' ');
        let kind = match words.next() {
            Some("a") => DeviceKind::All,
            Some("c") => DeviceKind::Char,
            Some("b") => DeviceKind::Block,
            _ => return Err(refuse("begins with neither a, b nor c")),
        };
        let (numbers, access) = match (words.next(), words.next(), words.next()) {
            (None, ..) if kind == DeviceKind::All => return Ok(DeviceRule::ALL),
            (Some(numbers), Some(access), None) => (numbers, access),
            _ => return Err(refuse("not of the form \"c 1:3 rwm\"")),
        };
        let Some((major, minor)) = numbers.split_once(':') else {
            return Err(refuse("the numbers are not of the form 1:3"));
        };
        let mut rule = DeviceRule {
            kind,
            major: number(major).ok_or_else(|| refuse("the major number is none"))?,
            minor: number(minor).ok_or_else(|| refuse("the minor number is none"))?,
            read: false,
            write: false,
            mknod: false,
        };
        for letter in access.chars() {
            let granted = match letter {
                'r' => &mut rule.read,
                'w' => &mut rule.write,
                'm' => &mut rule.mknod,
                _ => return Err(refuse("access is other than r, w and m")),
            };
            if std::mem::replace(granted, true) {
                return Err(refuse("an access letter is there twice"));
            }
        }
        rule.validate()?;
        Ok(rule)
    }
}

/// `Some(None)` for `*`.
fn number(text: &str) -> Option<Option<u32>> {
    if text == "*" {
        return Some(None);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        for text in ["c 1:3 rwm", "b *:* m", "c 136:* rw", "a *:* rwm"] {
            assert_eq!(text.parse::<DeviceRule>().expect(text).to_string(), text);
        }
        assert_eq!("a".parse::<DeviceRule>().expect("a"), DeviceRule::ALL);
    }

    #[test]
    fn malformed_rules_are_refused() {
        for text in [
            "",
            "x 1:3 r",
            "c",
            "c 1:3",
            "c 1:3 ",
            "c 1 r",
            "c 1:3 rr",
            "c 1:3 x",
            "c -1:3 r",
            "c +1:3 r",
            "c 1:3 r w",
            "c 4096:0 r",
            "c 1:1048576 r",
            "c  1:3 r",
        ] {
            assert!(text.parse::<DeviceRule>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_console_comes_with_a_terminal() {
        let text = |tty| {
            let rules = DeviceRule::container_defaults(tty);
            rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let common = "c 1:3 rwm, c 1:5 rwm, c 1:7 rwm, c 1:8 rwm, c 1:9 rwm, \
                      c 5:0 rwm, c 5:2 rwm, c 136:* rwm";
        assert_eq!(text(false), common);
        assert_eq!(text(true), format!("{common}, c 5:1 rwm"));
    }

    #[test]
    fn both_kinds_are_two_rules_unless_it_is_everything() {
        let reading: DeviceRule = "a *:* r".parse().expect("rule");
        let texts: Vec<String> = reading.per_kind().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["c *:* r", "b *:* r"]);
        assert_eq!(DeviceRule::ALL.per_kind(), [DeviceRule::ALL]);
    }

    #[test]
    fn rules_for_one_device_are_made_one() {
        let rules = ["c 1:3 r", "b 1:3 r", "a 1:3 w", "c 1:* r"];
        let merged = merged(&rules.map(|text| text.parse().expect(text)));
        let texts: Vec<String> = merged.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["c 1:3 rw", "b 1:3 rw", "c 1:* r"]);
    }
}
