//! Parent: mount options in words → attributes of the mount, propagation, and
//! parameters of the filesystem.

use std::ffi::CString;

use crate::attributes::Attributes;
use crate::filesystem::Parameter;
use crate::mount::{Filesystem, Kind};
use crate::{Error, Mount, Propagation};

/// What a list of options comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) attributes: Attributes,
    pub(crate) recursive: Option<bool>,
    pub(crate) parameters: Vec<(String, Option<String>)>,
}

/// Flags of a mount: word, attribute, whether it sets it or takes an earlier word back.
/// None clears what the source of a bind mount has: that is the host's decision.
const FLAGS: &[(&str, u64, bool)] = &[
    ("ro", libc::MOUNT_ATTR_RDONLY, true),
    ("rro", libc::MOUNT_ATTR_RDONLY, true),
    ("rw", libc::MOUNT_ATTR_RDONLY, false),
    ("nosuid", libc::MOUNT_ATTR_NOSUID, true),
    ("suid", libc::MOUNT_ATTR_NOSUID, false),
    ("nodev", libc::MOUNT_ATTR_NODEV, true),
    ("dev", libc::MOUNT_ATTR_NODEV, false),
    ("noexec", libc::MOUNT_ATTR_NOEXEC, true),
    ("exec", libc::MOUNT_ATTR_NOEXEC, false),
    ("nodiratime", libc::MOUNT_ATTR_NODIRATIME, true),
    ("diratime", libc::MOUNT_ATTR_NODIRATIME, false),
];

/// Access times are one field of three values.
const ACCESS_TIMES: &[(&str, u64)] = &[
    ("relatime", libc::MOUNT_ATTR_RELATIME),
    ("atime", libc::MOUNT_ATTR_RELATIME),
    ("noatime", libc::MOUNT_ATTR_NOATIME),
    ("strictatime", libc::MOUNT_ATTR_STRICTATIME),
];

const PROPAGATIONS: &[(&str, Propagation)] = &[
    ("private", Propagation::Private),
    ("rprivate", Propagation::Private),
    ("slave", Propagation::Slave),
    ("rslave", Propagation::Slave),
    ("shared", Propagation::Shared),
    ("rshared", Propagation::Shared),
    ("unbindable", Propagation::Unbindable),
    ("runbindable", Propagation::Unbindable),
];

const LABELS: &[&str] = &["context", "fscontext", "defcontext", "rootcontext"];

/// What each filesystem knows (its section in filesystems(5), tmpfs(5), …).
fn known(filesystem: Filesystem) -> &'static [&'static str] {
    match filesystem {
        Filesystem::Proc => &["hidepid", "gid", "subset"],
        Filesystem::Dev | Filesystem::Tmpfs => {
            &["size", "nr_blocks", "nr_inodes", "mode", "uid", "gid", "huge", "mpol", "noswap"]
        }
        Filesystem::Devpts => &["newinstance", "ptmxmode", "mode", "uid", "gid", "max"],
        Filesystem::Cgroup => &["nsdelegate", "favordynmods", "memory_recursiveprot"],
        Filesystem::Sysfs | Filesystem::Mqueue => &[],
    }
}

impl Propagation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Propagation::Private => "private",
            Propagation::Slave => "slave",
            Propagation::Shared => "shared",
            Propagation::Unbindable => "unbindable",
        }
    }

    pub(crate) fn flag(self) -> u64 {
        match self {
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Shared => libc::MS_SHARED,
            Propagation::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// Understands the options of one mount; the last of contradicting ones wins.
pub(crate) fn parse(mount: &Mount) -> Result<Options, Error> {
    let mut options = Options::default();
    for option in &mount.options {
        if !flag(&mut options, option) {
            parameter(&mut options, mount, option)?;
        }
    }
    if let Some(propagation) = mount.propagation {
        options.attributes.propagation = propagation.flag();
    }
    if let Some(label) = &mount.label {
        if !matches!(mount.kind, Kind::Filesystem(_)) {
            let reason = "is for new filesystems: bind mounts and files are never relabelled";
            return Err(refuse(mount, "label", reason, None));
        }
        options.parameters.push(("context".to_owned(), Some(label.clone())));
    }
    Ok(options)
}

fn flag(options: &mut Options, option: &str) -> bool {
    let attributes = &mut options.attributes;
    if let Some(&(_, bit, sets)) = FLAGS.iter().find(|(word, ..)| *word == option) {
        match sets {
            true => attributes.set |= bit,
            false => attributes.set &= !bit, // what the source has stays
        }
    } else if let Some(&(_, value)) = ACCESS_TIMES.iter().find(|(word, _)| *word == option) {
        attributes.clear |= libc::MOUNT_ATTR__ATIME;
        attributes.set = (attributes.set & !libc::MOUNT_ATTR__ATIME) | value;
    } else if let Some((_, flow)) = PROPAGATIONS.iter().find(|(word, _)| *word == option) {
        attributes.propagation = flow.flag();
    } else {
        match option {
            "defaults" => {}
            "bind" => options.recursive = Some(false),
            "rbind" => options.recursive = Some(true),
            _ => return false,
        }
    }
    true
}

fn parameter(options: &mut Options, mount: &Mount, option: &str) -> Result<(), Error> {
    let (key, value) = match option.split_once('=') {
        Some((key, value)) => (key, Some(value.trim_matches('"').to_owned())),
        None => (option, None),
    };
    let own: &[&'static str] = match mount.kind {
        Kind::Filesystem(filesystem) => known(filesystem),
        _ => &[],
    };
    let label = matches!(mount.kind, Kind::Filesystem(_)) && LABELS.contains(&key);
    if !own.contains(&key) && !label {
        let words = FLAGS.iter().map(|(word, ..)| *word);
        let words = words.chain(ACCESS_TIMES.iter().map(|(word, _)| *word));
        let words = words.chain(PROPAGATIONS.iter().map(|(word, _)| *word));
        let near = words.chain(own.iter().copied()).find(|word| within_two(key, word));
        return Err(refuse(mount, option, "is not known here", near));
    }
    if option.contains('\0') {
        return Err(refuse(mount, option, "holds a NUL byte", None));
    }
    options.parameters.retain(|(earlier, _)| earlier != key);
    options.parameters.push((key.to_owned(), value));
    Ok(())
}

pub(crate) fn refuse(
    mount: &Mount,
    option: &str,
    reason: &'static str,
    suggestion: Option<&'static str>,
) -> Error {
    let (path, option) = (mount.destination.clone(), option.to_owned());
    Error::MountOption { path, option, reason, suggestion }
}

/// Parameters as the kernel takes them.
pub(crate) fn parameters(
    mount: &Mount,
    parameters: &[(String, Option<String>)],
) -> Result<Vec<Parameter>, Error> {
    let text =
        |text: &str| CString::new(text).map_err(|_| refuse(mount, text, "holds a NUL byte", None));
    parameters
        .iter()
        .map(|(key, value)| {
            Ok(Parameter { key: text(key)?, value: value.as_deref().map(text).transpose()? })
        })
        .collect()
}

/// Whether the words differ by at most two insertions, deletions or replacements,
/// and by less than half of the shorter one.
fn within_two(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()] <= 2 && row[b.len()] * 2 < a.len().min(b.len())
}

/// The words in parentheses that a plan shows.
pub(crate) fn words(attributes: Attributes, parameters: &[Parameter]) -> String {
    let mut words: Vec<String> = Vec::new();
    let shown = FLAGS.iter().filter(|(word, _, sets)| *sets && *word != "rro");
    for (word, bit, _) in shown {
        if attributes.set & bit != 0 {
            words.push((*word).to_owned());
        }
    }
    let time = attributes.set & libc::MOUNT_ATTR__ATIME;
    if attributes.clear & libc::MOUNT_ATTR__ATIME != 0 {
        words.extend(ACCESS_TIMES.iter().find(|(_, v)| *v == time).map(|(w, _)| (*w).to_owned()));
    }
    for Parameter { key, value } in parameters {
        let key = key.to_string_lossy();
        let value = value.as_ref().map(|value| value.to_string_lossy());
        words.push(value.map_or(key.clone().into(), |value| format!("{key}={value}")));
    }
    let flow = PROPAGATIONS.iter().find(|(_, flow)| flow.flag() == attributes.propagation);
    words.extend(flow.map(|(_, flow)| flow.name().to_owned()));
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_refused_with_a_suggestion() {
        let error = parse(&Mount::bind("/a", "/b").options(["nosuidd"])).expect_err("unknown");
        let text = "/b: option \"nosuidd\" is not known here, did you mean \"nosuid\"";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_parameter_of_another_filesystem_is_refused() {
        assert!(parse(&Mount::bind("/a", "/b").size(4096)).is_err());
        assert!(parse(&Mount::sysfs().options(["size=1"])).is_err());
    }

    #[test]
    fn the_last_of_contradicting_options_wins() {
        let parsed = parse(&Mount::bind("/a", "/b").options(["ro", "dev", "rw"])).expect("known");
        let set = libc::MOUNT_ATTR_NOSUID;
        assert_eq!(parsed.attributes, Attributes { set, clear: 0, propagation: 0 });
    }

    #[test]
    fn a_given_size_replaces_the_default_one() {
        let parsed = parse(&Mount::shm().size(4096)).expect("known");
        let mode = ("mode".to_owned(), Some("1777".to_owned()));
        let size = ("size".to_owned(), Some("4096".to_owned()));
        assert_eq!(parsed.parameters, [mode, size]);
    }

    #[test]
    fn a_label_on_a_bind_mount_is_refused() {
        assert!(parse(&Mount::bind("/a", "/b").label("system_u:object_r:x_t:s0")).is_err());
        assert!(parse(&Mount::bind("/a", "/b").options(["context=x"])).is_err());
    }

    #[test]
    fn access_times_are_one_field() {
        let parsed = parse(&Mount::tmpfs("/x").options(["noatime", "strictatime"])).expect("known");
        let time = parsed.attributes.set & libc::MOUNT_ATTR__ATIME;
        assert_eq!(time, libc::MOUNT_ATTR_STRICTATIME);
    }
}
