//! Parent: checks of `devices`.

use std::collections::BTreeMap;

use super::{Findings, paths};
use crate::key_path::At;
use crate::suggest::quoted;
use crate::{Container, Device, DeviceKind};

/// Twelve bits of major number and twenty of minor (makedev(3)).
const LARGEST_MAJOR: u32 = (1 << 12) - 1;
const LARGEST_MINOR: u32 = (1 << 20) - 1;

pub(super) fn check(found: &mut Findings, container: &Container) {
    let all = At::Root.key("devices");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, device) in container.devices.iter().enumerate() {
        let at = all.index(index);
        if let Some(path) = node_path(found, at, device) {
            if let Some(first) = seen.insert(path, index) {
                let message = format!("is already the path of {}", all.index(first).text());
                found.fault(at.key("path"), message);
            }
        }
        numbers(found, at, device);
        if let Some(mode) = device.mode {
            found.permission_bits(at.key("mode"), mode);
        }
        for (key, id) in [("uid", device.uid), ("gid", device.gid)] {
            if id == Some(u32::MAX) {
                found.fault(at.key(key), "must be at most 4294967294, got 4294967295");
            }
        }
        if let Some(access) = &device.access {
            access_letters(found, at.key("access"), device.kind, access);
        }
    }
}

fn node_path(found: &mut Findings, at: At<'_>, device: &Device) -> Option<String> {
    if !found.container_path(at.key("path"), &device.path) {
        return None;
    }
    let path = paths::normal(&device.path);
    let kernel = ["/proc", "/sys"].into_iter().find(|&fs| path == fs || paths::is_below(&path, fs));
    if let Some(kernel) = kernel {
        found.fault(at.key("path"), format!("must not be below {kernel}, got {}", quoted(&path)));
    } else if path == "/" || path == "/dev" {
        found.fault(at.key("path"), format!("is a directory, got {}", quoted(&path)));
    }
    Some(path)
}

fn numbers(found: &mut Findings, at: At<'_>, device: &Device) {
    for (key, number, largest) in
        [("major", device.major, LARGEST_MAJOR), ("minor", device.minor, LARGEST_MINOR)]
    {
        let at_number = at.key(key);
        match (device.kind, number) {
            (DeviceKind::Fifo, Some(_)) => {
                found.fault(at_number, "a named pipe has no device numbers").help("remove it");
            }
            (DeviceKind::Char | DeviceKind::Block, None) => {
                found.fault(at, format!("missing key \"{key}\"")).because(at_number);
            }
            (_, Some(number)) if number > largest => {
                found.fault(at_number, format!("must be at most {largest}, got {number}"));
            }
            _ => {}
        }
    }
}

fn access_letters(found: &mut Findings, at: At<'_>, kind: DeviceKind, access: &str) {
    if kind == DeviceKind::Fifo {
        found.fault(at, "a named pipe needs no device rule").help("remove it");
        return;
    }
    let letters: Vec<char> = access.chars().collect();
    let twice = |(index, letter): (usize, &char)| letters[..index].contains(letter);
    let valid = letters.iter().all(|letter| "rwm".contains(*letter));
    if letters.is_empty() || !valid || letters.iter().enumerate().any(twice) {
        let message = format!("must be letters of \"rwm\", each once, got {}", quoted(access));
        found.fault(at, message);
    }
}
