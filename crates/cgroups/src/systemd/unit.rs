//! Parent: the name of a scope unit, and the properties that it may be given.

use std::fmt::Write as _;

use zbus::zvariant::Value;

use crate::error::Error;
use crate::place;

/// systemd's `UNIT_NAME_MAX`, which counts a final zero byte.
const LONGEST: usize = 255;

const PREFIX: &str = "nsinit-";

/// The unit for a cgroup's path. Characters that a unit's name cannot have are
/// escaped in systemd's way (systemd.unit(5), "string escaping").
pub(super) fn name(path: &str) -> Result<String, Error> {
    let joined = place::components(path)?.join("-");
    let mut unit = String::from(PREFIX);
    for byte in joined.strip_prefix(PREFIX).unwrap_or(&joined).bytes() {
        match byte {
            b'-' | b'_' | b'.' | b':' => unit.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => unit.push(char::from(byte)),
            _ => {
                let _ = write!(unit, "\\x{byte:02x}");
            }
        }
    }
    unit.push_str(".scope");
    if unit.len() > LONGEST {
        let reason = "the name of the systemd unit would be longer than 255 bytes";
        return Err(Error::Path { path: path.to_owned(), reason });
    }
    Ok(unit)
}

/// One property that is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Property {
    Slice(String),
    Text(&'static str, String),
    Switch(&'static str, bool),
    Microseconds(&'static str, u64),
    Units(&'static str, Vec<String>),
}

const DEPENDENCIES: [&str; 7] =
    ["After", "Before", "Wants", "Requires", "BindsTo", "PartOf", "Conflicts"];

impl Property {
    pub(super) fn parse(name: &str, value: &str) -> Result<Property, Error> {
        let refuse = |reason: &'static str| {
            Err(Error::UnitProperty { name: name.to_owned(), value: value.to_owned(), reason })
        };
        if value.is_empty() || value.chars().any(char::is_control) {
            return refuse("the value is empty or has a control character");
        }
        match name {
            "Slice" if is_slice(value) => Ok(Property::Slice(value.to_owned())),
            "Slice" => refuse("not the name of a slice, like machine.slice"),
            "Description" => Ok(Property::Text("Description", value.to_owned())),
            "CollectMode" => match value {
                "inactive" | "inactive-or-failed" => {
                    Ok(Property::Text("CollectMode", value.to_owned()))
                }
                _ => refuse("neither inactive nor inactive-or-failed"),
            },
            "DefaultDependencies" => match value {
                "yes" | "true" => Ok(Property::Switch("DefaultDependencies", true)),
                "no" | "false" => Ok(Property::Switch("DefaultDependencies", false)),
                _ => refuse("neither yes nor no"),
            },
            "TimeoutStopUSec" => match value.parse() {
                Ok(number) => Ok(Property::Microseconds("TimeoutStopUSec", number)),
                Err(_) => refuse("not a number of microseconds"),
            },
            "Delegate" | "PIDs" => refuse("belongs to the runtime and cannot be given"),
            _ if is_limit(name) => {
                refuse("is a limit or its accounting; limits are given to the cgroup, not the unit")
            }
            _ => match DEPENDENCIES.iter().find(|known| **known == name) {
                Some(known) => {
                    let units = value.split_ascii_whitespace().map(str::to_owned).collect();
                    Ok(Property::Units(known, units))
                }
                None => refuse("is not among the properties that are passed on to a scope"),
            },
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Property::Slice(_) => "Slice",
            Property::Text(name, _)
            | Property::Switch(name, _)
            | Property::Microseconds(name, _)
            | Property::Units(name, _) => name,
        }
    }

    /// With the type that the D-Bus interface of systemd has for it.
    pub(super) fn value(&self) -> Value<'static> {
        match self {
            Property::Slice(text) | Property::Text(_, text) => text.clone().into(),
            Property::Switch(_, on) => (*on).into(),
            Property::Microseconds(_, number) => (*number).into(),
            Property::Units(_, units) => units.clone().into(),
        }
    }
}

/// `-.slice`, or words between single dashes (systemd.slice(5)).
fn is_slice(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '\\' | '-');
    let Some(stem) = name.strip_suffix(".slice") else { return false };
    let words = stem == "-" || stem.split('-').all(|word| !word.is_empty());
    words && name.len() <= LONGEST && stem.chars().all(legal)
}

/// Resource control (systemd.resource-control(5)): what this crate does itself.
fn is_limit(name: &str) -> bool {
    const STARTS: [&str; 10] = [
        "Memory", "CPU", "Tasks", "IO", "BlockIO", "Device", "Allowed", "Startup", "IP", "Managed",
    ];
    STARTS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_named_after_the_path() {
        let of = |path: &str| name(path).expect("legal path");
        assert_eq!(of("web"), "nsinit-web.scope");
        assert_eq!(of("nsinit/web"), "nsinit-web.scope");
        assert_eq!(of("nsinit/nsinit-00ff"), "nsinit-nsinit-00ff.scope");
        assert_eq!(of("a/b_c.d"), "nsinit-a-b_c.d.scope");
        assert_eq!(of("a b@é\\"), "nsinit-a\\x20b\\x40\\xc3\\xa9\\x5c.scope");
        assert!(matches!(name("../x"), Err(Error::Path { .. })));
        assert!(matches!(name(&"x".repeat(250)), Err(Error::Path { .. })));
    }

    #[test]
    fn slices_are_names_and_not_paths() {
        for good in ["machine.slice", "a-b-c.slice", "-.slice"] {
            assert!(is_slice(good), "{good}");
        }
        for bad in ["machine", ".slice", "a--b.slice", "-a.slice", "a/b.slice", "a b.slice", ""] {
            assert!(!is_slice(bad), "{bad}");
        }
    }

    #[test]
    fn a_refusal_names_the_property() {
        let text = |name, value| match Property::parse(name, value) {
            Ok(property) => property.name().to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            text("MemoryMax", "1G"),
            "unit property MemoryMax \"1G\": is a limit or its accounting; limits are given to \
             the cgroup, not the unit"
        );
        for name in ["Delegate", "PIDs", "ExecStart", "memorymax", "CPUQuotaPerSecUSec", "IOWeight"]
        {
            assert!(text(name, "1").starts_with(&format!("unit property {name} \"1\": ")));
        }
        assert!(text("Slice", "a/b").contains("Slice"));
        assert!(text("TimeoutStopUSec", "5s").contains("TimeoutStopUSec \"5s\""));
        assert!(text("Description", "a\nb").contains("control character"));
        assert_eq!(text("TimeoutStopUSec", "5000000"), "TimeoutStopUSec");
        assert_eq!(text("DefaultDependencies", "no"), "DefaultDependencies");
    }

    #[test]
    fn values_have_the_types_of_the_interface() {
        let signature = |name, value| {
            let property = Property::parse(name, value).expect("passed on");
            property.value().value_signature().to_string()
        };
        assert_eq!(signature("Slice", "a.slice"), "s");
        assert_eq!(signature("Description", "text"), "s");
        assert_eq!(signature("DefaultDependencies", "no"), "b");
        assert_eq!(signature("TimeoutStopUSec", "5"), "t");
        assert_eq!(signature("After", "a.service b.target"), "as");
    }
}
