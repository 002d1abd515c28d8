//! Parent: limits in the files of version 2 (kernel document `admin-guide/cgroup-v2.rst`).

use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::bpf::device_program;
use crate::cgroup::Member;
use crate::create::Absent;
use crate::device::{DeviceRule, merged};
use crate::dir::Dir;
use crate::error::Error;
use crate::limits::{Limits, Swap};
use crate::sys;

/// Writes the limits whose controller is switched on in this cgroup.
pub(crate) fn apply(member: &Member, limits: &Limits, absent: Absent) -> Result<(), Error> {
    let dir = member.leaf();
    if member.has("memory") {
        memory(dir, limits, absent)?;
    }
    if member.has("cpu") {
        if let Some(shares) = limits.cpu_shares {
            dir.write("cpu.weight", &shares_to_weight(shares).to_string())?;
        }
        if let Some((quota, period)) = limits.bandwidth() {
            let quota = quota.map_or_else(|| "max".to_owned(), |us| us.to_string());
            dir.write("cpu.max", &format!("{quota} {period}"))?;
        }
    }
    if member.has("cpuset") {
        if let Some(list) = &limits.cpuset_cpus {
            dir.write("cpuset.cpus", list)?;
        }
        if let Some(list) = &limits.cpuset_mems {
            dir.write("cpuset.mems", list)?;
        }
    }
    if let (true, Some(most)) = (member.has("pids"), limits.pids) {
        dir.write("pids.max", &most.to_string())?;
    }
    for (file, value) in &limits.unified {
        dir.write(file, value)?;
    }
    Ok(())
}

fn memory(dir: &Dir, limits: &Limits, absent: Absent) -> Result<(), Error> {
    // The throttle before the limit: a lower one has effect at once.
    if let Some(bytes) = limits.memory_high {
        dir.write("memory.high", &bytes.to_string())?;
    }
    if let Some(bytes) = limits.memory {
        dir.write("memory.max", &bytes.to_string())?;
    }
    if let Some(bytes) = limits.memory_reservation {
        dir.write("memory.low", &bytes.to_string())?;
    }
    let given = absent == Absent::Defaults || limits.memory_swap.is_some();
    if let Some(swap) = limits.swap_above_memory().filter(|_| given) {
        let value = swap.map_or_else(|| "max".to_owned(), |bytes| bytes.to_string());
        match (dir.has("memory.swap.max"), limits.memory_swap) {
            (true, _) => dir.write("memory.swap.max", &value)?,
            (false, Some(Swap::Total(total))) => {
                let reason =
                    "this kernel does not account swap (swapaccount=1 on its command line)";
                return Err(Error::limit("memory_swap", total, reason));
            }
            (false, _) => {}
        }
    }
    if let Some(group) = limits.oom_group {
        dir.write("memory.oom.group", if group { "1" } else { "0" })?;
    }
    Ok(())
}

/// Converts v1's CPU shares into v2's weight.
///
/// Both are relative weights, with the ranges 2…262144 and 1…10000 and the
/// defaults 1024 and 100. A line through the ends would make the default 39, so
/// that a converted container would lose against everything else on the host.
/// The exponents are therefore joined by the parabola through all three points:
///
/// ```text
/// weight = 10 ^ ((l² + 125 l − 126) / 612)      with l = log₂(shares)
/// ```
///
/// rounded up; l = 1, 10, 18 give 10⁰, 10², 10⁴. Current OCI runtimes use the
/// same curve, so that the same number means the same under all of them.
///
/// ```
/// use nsinit_cgroups::shares_to_weight;
/// assert_eq!([2, 512, 1024, 2048, 262_144].map(shares_to_weight), [1, 59, 100, 174, 10_000]);
/// ```
pub fn shares_to_weight(shares: u64) -> u64 {
    let l = (shares.clamp(2, 262_144) as f64).log2();
    let weight = 10_f64.powf((l * l + 125.0 * l - 126.0) / 612.0);
    (weight.ceil() as u64).clamp(1, 10_000)
}

/// More rules than any list of devices has, and well below the verifier's limits.
const MOST_RULES: usize = 500;

/// Attaches the program for the rules and asks the kernel whether it is there.
pub(crate) fn devices(dir: &Dir, rules: &[DeviceRule]) -> Result<(), Error> {
    let rules = merged(rules);
    if rules.len() > MOST_RULES {
        let reason = format!("more than {MOST_RULES}");
        return Err(Error::limit("devices", format!("{} rules", rules.len()), reason));
    }
    let refused = |what: &str| {
        let (path, what) = (dir.path().to_owned(), what.to_owned());
        move |errno: Errno| Error::DeviceRules { path, what, source: Some(errno.into()) }
    };
    let program =
        sys::bpf_load(&device_program(&rules)).map_err(refused("load the device program (bpf)"))?;
    sys::bpf_attach(dir.fd(), program.as_fd())
        .map_err(refused("attach the device program (bpf)"))?;
    let id = sys::bpf_id(program.as_fd()).map_err(refused("identify the device program (bpf)"))?;
    let attached =
        sys::bpf_attached(dir.fd()).map_err(refused("read back the device programs (bpf)"))?;
    if attached.contains(&id) {
        return Ok(());
    }
    Err(Error::DeviceRules {
        path: dir.path().to_owned(),
        what: format!("device program {id} is not among those in force: {attached:?}"),
        source: None,
    })
}

#[cfg(test)]
#[path = "v2_tests.rs"]
mod tests;
