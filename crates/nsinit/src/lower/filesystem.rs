//! Parent: what the mount namespace will hold.

use std::path::{Path, PathBuf};

use nsinit_config::{Container, MountKind};
use nsinit_namespaces::Kinds;
use nsinit_rootfs::{self as rootfs, CgroupMode, Facts, Furniture, Mount, NewNamespaces, Pivot};
use nsinit_security::Lsm;

use super::{Namespaces, Source, refuse, refused};
use crate::directory::CONFIG_FILE;
use crate::error::{Error, Result};
use crate::step::Step;

pub(super) fn steps(
    source: &Source<'_>,
    namespaces: &Namespaces,
    terminal: bool,
) -> Result<Vec<rootfs::Step>> {
    let container = source.container;
    let own_files = [CONFIG_FILE].into_iter().chain(source.pid_file.then_some("pid"));
    let mut furniture = Furniture {
        mounts: all_mounts(source)?,
        devices: devices(container),
        read_only_root: container.readonly_fs,
        pivot: if container.no_pivot_root { Pivot::MoveMount } else { Pivot::PivotRoot },
        console: terminal,
        label: mount_label(source)?,
        covered: own_files.map(|name| source.directory.join(name)).collect(),
        ..Furniture::of(facts(source, namespaces))
    };
    if let Some(masked) = &container.masked_paths {
        furniture.masked.clone_from(masked);
    }
    if let Some(read_only) = &container.readonly_paths {
        furniture.read_only.clone_from(read_only);
    }
    source.rootfs.steps(&furniture).map_err(Error::Rootfs)
}

/// The default mounts, then the configuration's; one on the same destination replaces
/// the default in its place.
pub(super) fn all_mounts(source: &Source<'_>) -> Result<Vec<Mount>> {
    let mut mounts = Mount::defaults();
    for (index, mount) in source.container.mounts.iter().enumerate() {
        mounts.push(lower_mount(source, index, mount)?);
    }
    Ok(mounts)
}

fn mount_label(source: &Source<'_>) -> Result<Option<String>> {
    let labels = source.container.context.as_ref();
    let Some(asked) = labels.and_then(|labels| labels.mount_label.as_deref()) else {
        return Ok(None);
    };
    checked_label(&source.host.lsm, "context.mount_label", asked).map(Some)
}

fn checked_label(lsm: &Lsm, key: &str, asked: &str) -> Result<String> {
    let selinux = lsm.selinux().map_err(refused(key))?;
    let label = selinux.mount_label(asked).map_err(refused(key))?;
    Ok(label.as_str().to_owned())
}

fn lower_mount(source: &Source<'_>, index: usize, mount: &nsinit_config::Mount) -> Result<Mount> {
    let at = mount.destination.clone();
    let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
    let content = || mount.content.clone().unwrap_or_default();
    let mut lowered = match mount.kind {
        MountKind::Bind => Mount::bind(path(&mount.source), at),
        // As mount(8) makes one: anybody may write, and delete only what is theirs.
        MountKind::Tmpfs => Mount::tmpfs(at).options(["mode=1777"]),
        MountKind::Proc => Mount::proc().at(at),
        MountKind::Sysfs => Mount::sysfs().at(at),
        MountKind::Devpts => Mount::devpts().at(at),
        MountKind::Mqueue => Mount::mqueue().at(at),
        MountKind::Cgroup => Mount::cgroup().at(at),
        MountKind::File => Mount::file(at, content(), mount.mode.unwrap_or(0o644)),
        MountKind::Symlink => Mount::symlink(at, path(&mount.target)),
        kind => {
            let message = format!("{} is not supported", kind.name());
            return Err(refuse(&format!("mounts[{index}].type"), &message, None));
        }
    };
    lowered = lowered.options(mount.options.iter().cloned());
    if mount.kind == MountKind::Bind {
        if !mount.writable {
            lowered = lowered.read_only();
        }
        lowered =
            lowered.recursive(mount.recursive.unwrap_or(true)).propagation(propagation(mount));
    }
    if let Some(asked) = &mount.label {
        let key = format!("mounts[{index}].label");
        lowered = lowered.label(checked_label(&source.host.lsm, &key, asked)?);
    }
    Ok(if mount.optional { lowered.optional() } else { lowered })
}

fn propagation(mount: &nsinit_config::Mount) -> rootfs::Propagation {
    match mount.propagation {
        Some(nsinit_config::Propagation::Private) => rootfs::Propagation::Private,
        Some(nsinit_config::Propagation::Slave) => rootfs::Propagation::Slave,
        Some(nsinit_config::Propagation::Shared) => rootfs::Propagation::Shared,
        None if mount.private => rootfs::Propagation::Private,
        None => rootfs::Propagation::Slave,
    }
}

/// The default nodes and the configuration's; one on the same path replaces the default.
fn devices(container: &Container) -> Vec<rootfs::Device> {
    let mut devices = rootfs::Device::defaults();
    for asked in &container.devices {
        devices.retain(|default| default.path != asked.path);
        devices.push(device(asked));
    }
    devices
}

fn device(device: &nsinit_config::Device) -> rootfs::Device {
    rootfs::Device {
        path: device.path.clone(),
        kind: match device.kind {
            nsinit_config::DeviceKind::Char => rootfs::DeviceKind::Char,
            nsinit_config::DeviceKind::Block => rootfs::DeviceKind::Block,
            nsinit_config::DeviceKind::Fifo => rootfs::DeviceKind::Fifo,
        },
        major: device.major.unwrap_or(0),
        minor: device.minor.unwrap_or(0),
        mode: device.mode.unwrap_or(0o666),
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    }
}

fn facts(source: &Source<'_>, namespaces: &Namespaces) -> Facts {
    let maps = namespaces.id_maps.as_ref();
    Facts {
        user_namespace: namespaces.is_user() || !source.host.first_user_namespace,
        new: NewNamespaces {
            pid: namespaces.has(Kinds::PID),
            net: namespaces.has(Kinds::NET),
            ipc: namespaces.has(Kinds::IPC),
            cgroup: namespaces.has(Kinds::CGROUP),
        },
        cgroup: match namespaces.has(Kinds::CGROUP) {
            true => source.host.cgroup_mode().clone(),
            false => CgroupMode::None,
        },
        maps_tty_gid: maps.map_or(source.host.highest_gid >= 5, |maps| maps.maps_gid(5)),
        ..source.host.rootfs.clone()
    }
}

/// Init makes a new network namespace when there is a procfs, by which its parameters are set;
/// the launcher's it enters as late as can be, before sysfs, which shows it.
pub(super) fn interleave(
    steps: &mut Vec<Step>,
    furniture: Vec<rootfs::Step>,
    make: Vec<Step>,
    enter: Vec<Step>,
) {
    steps.reserve(furniture.len() + make.len() + enter.len() + 8);
    let (mut make, mut enter) = (Some(make), Some(enter));
    for step in furniture {
        if matches!(step, rootfs::Step::Pivot(_)) || step.filesystem() == Some("sysfs") {
            steps.extend(enter.take().unwrap_or_default());
        }
        let opened = matches!(step, rootfs::Step::Procfs(_));
        steps.push(Step::Rootfs(step));
        if opened {
            steps.extend(make.take().unwrap_or_default());
        }
    }
}

/// Whether a device of the configuration must be made, which a user namespace forbids.
pub(super) fn check_devices(source: &Source<'_>, namespaces: &Namespaces) -> Result<()> {
    let asked = source.container.devices.iter().position(|device| device.access.is_some());
    match asked {
        Some(index) if namespaces.is_user() => Err(refuse(
            &format!("devices[{index}].access"),
            "device rules cannot be set from a user namespace",
            Some("remove \"access\", or run as root without NEWUSER"),
        )),
        _ => Ok(()),
    }
}

/// What only the mounts can show is left to the step.
pub(super) fn expect_working_directory(source: &Source<'_>) -> Result<()> {
    let Some(path) = &source.container.working_dir else { return Ok(()) };
    let found = source.rootfs.expect_directory(&all_mounts(source)?, path);
    found.map_err(|error| {
        let hint = "it must be in the root filesystem, or be made by a mount";
        refuse("working_dir", &error.to_string(), Some(hint))
    })
}

/// A file of the container's accounts, as the container will see it.
pub(super) fn account_file(source: &Source<'_>, path: &str) -> Result<Option<Vec<u8>>> {
    /// As much as the accounts' parser takes.
    const LIMIT: u64 = 1 << 20;
    let mounts = all_mounts(source)?;
    source.rootfs.read_as_mounted(&mounts, Path::new(path), LIMIT).map_err(Error::Rootfs)
}
