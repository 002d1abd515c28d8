//! Parent: devices → the steps that make or bind them.

use std::path::PathBuf;

use rustix::fs::{FileType, Stat};

use crate::node::{Node, Source};
use crate::place::Place;
use crate::plan::Planner;
use crate::{Device, DeviceKind, Error, Step, examine};

/// What `/dev` holds besides device nodes.
const TAKEN: &[&str] =
    &["fd", "stdin", "stdout", "stderr", "ptmx", "pts", "console", "shm", "mqueue"];

pub(crate) fn plan(planner: &mut Planner<'_>, devices: &[Device]) -> Result<(), Error> {
    for (index, device) in devices.iter().enumerate() {
        if devices[index + 1..].iter().all(|later| later.path != device.path) {
            let step = node(device, planner.facts.can_mknod && !planner.facts.user_namespace)?;
            planner.steps.push(Step::Device(step));
        }
    }
    Ok(())
}

fn node(device: &Device, can_mknod: bool) -> Result<Node, Error> {
    let path = &device.path;
    let relative = examine::relative(path)?;
    let below: PathBuf = match relative.strip_prefix("dev") {
        Ok(below) if !below.as_os_str().is_empty() => below.to_owned(),
        _ => return Err(Error::device(path, "device nodes are made below /dev only")),
    };
    if below.iter().next().is_some_and(|first| TAKEN.iter().any(|taken| first == *taken)) {
        return Err(Error::device(path, "the runtime puts something else there"));
    }
    if device.mode & !0o777 != 0 {
        return Err(Error::device(path, "mode has more than the nine permission bits"));
    }
    let kind = match device.kind {
        DeviceKind::Char => FileType::CharacterDevice,
        DeviceKind::Block => FileType::BlockDevice,
        DeviceKind::Fifo => FileType::Fifo,
    };
    let from = if can_mknod || kind == FileType::Fifo {
        Source::Mknod { mode: device.mode, uid: device.uid, gid: device.gid }
    } else {
        let stat = rustix::fs::lstat(path).ok().filter(|stat| same(device, kind, stat));
        if stat.is_none() {
            let reason = "cannot be made here, and the host has no such node to bind";
            return Err(Error::device(path, reason));
        }
        Source::Host(examine::c_string(path)?)
    };
    let at = Place::new(path, &below)?;
    Ok(Node { at, kind, major: device.major, minor: device.minor, from })
}

fn same(device: &Device, kind: FileType, stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
        && stat.st_rdev == rustix::fs::makedev(device.major, device.minor)
}
