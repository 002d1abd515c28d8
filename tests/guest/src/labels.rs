//! The label system: its policy, as the host built it, and in force.

use std::fs;
use std::path::Path;

use crate::cell::{Cell, Lsm};
use crate::mounts::mount;
use crate::{Result, program, succeed};

const SELINUX_POLICY: &str = "/etc/selinux/nsinit/policy";
const APPARMOR_PROFILES: &str = "/etc/apparmor.d/nsinit";
/// In this label run the tests, and everything that they start without another one.
const TESTS: &str = "system_u:system_r:unconfined_t:s0-s0:c0.c15";

/// Loads the policy, and checks that the kernel runs the system that was asked for.
pub(crate) fn load(cell: &Cell) -> Result {
    match cell.lsm {
        Lsm::Selinux => selinux(),
        Lsm::AppArmor => apparmor(),
        Lsm::None => none(),
    }
}

fn selinux() -> Result {
    mount("selinuxfs", "/sys/fs/selinux", "selinuxfs", "")?;
    let policy = fs::read(SELINUX_POLICY).map_err(|error| format!("{SELINUX_POLICY}: {error}"))?;
    // In one write: the kernel takes each for a whole policy.
    write("/sys/fs/selinux/load", &policy)?;
    write("/sys/fs/selinux/enforce", b"1")?;
    write("/proc/self/attr/current", TESTS.as_bytes())
}

fn apparmor() -> Result {
    let enabled = "/sys/module/apparmor/parameters/enabled";
    let text = fs::read_to_string(enabled).map_err(|error| format!("{enabled}: {error}"))?;
    if !text.starts_with('Y') {
        return Err("AppArmor is not on in this kernel".to_owned());
    }
    let profiles = fs::read_dir(APPARMOR_PROFILES)
        .map_err(|error| format!("{APPARMOR_PROFILES}: {error}"))?
        .filter_map(std::result::Result::ok);
    let mut parser = program("apparmor_parser");
    parser.args(["--replace", "--skip-cache", "--base", "/etc/apparmor.d"]);
    succeed(parser.args(profiles.map(|profile| profile.path())))
}

fn none() -> Result {
    let on = ["/sys/fs/selinux", "/sys/kernel/security/apparmor"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    on.map_or(Ok(()), |path| Err(format!("{path} is there, in a cell without labels")))
}

/// One write(2), whatever the size.
fn write(path: &str, bytes: &[u8]) -> Result {
    use std::io::Write;
    let file = fs::OpenOptions::new().write(true).open(path);
    let written = file.and_then(|mut file| file.write(bytes));
    match written {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(count) => Err(format!("{path}: took {count} of {} bytes", bytes.len())),
        Err(error) => Err(format!("{path}: {error}")),
    }
}
