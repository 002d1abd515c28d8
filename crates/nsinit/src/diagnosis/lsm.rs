//! Parent: whether a security module refused: what the kernel's log says of it, and what
//! the caller is confined by.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use nsinit_security::Module;
use rustix::io::Errno;

use super::program::Fault;
use super::read;
use crate::plan::Plan;
use crate::step::Step;

/// What was written to the kernel's log about a process, or might have been.
pub(super) fn denial(pid: u32) -> Option<String> {
    logged(pid).or_else(|| {
        confinement(
            &read("/sys/module/apparmor/parameters/enabled"),
            &read("/sys/fs/selinux/enforce"),
            &read("/proc/self/attr/current"),
        )
    })
}

/// Who refused to start the program.
pub(super) fn of_program(plan: &Plan, errno: Errno, pid: u32) -> Option<Fault> {
    let label = plan.all_steps().find_map(|step| match step {
        Step::Label(label) if label.module() == Module::Selinux => Some(label),
        _ => None,
    });
    let flag = plan.all_steps().any(|step| matches!(step, Step::NoNewPrivileges));
    match label {
        // To a label that the flag forbids this is the answer; to any other it is EACCES.
        Some(label) if flag && errno == Errno::PERM => Some(Fault::Transition(label.to_string())),
        _ => record(pid).map(Fault::Refused),
    }
}

/// What was written to the kernel's log about a process, as a reason.
pub(super) fn logged(pid: u32) -> Option<String> {
    record(pid).map(|record| format!("a security module refused it: {record}"))
}

/// The record itself.
fn record(pid: u32) -> Option<String> {
    kernel_log().iter().rev().find_map(|record| refusal(record, pid))
}

/// What the audit subsystem has written to the log about that process.
fn refusal(record: &str, pid: u32) -> Option<String> {
    let start = record.find("apparmor=\"DENIED\"").or_else(|| record.find("avc:  denied"))?;
    let message = &record[start..];
    let own = format!("pid={pid}");
    let named = message.split_ascii_whitespace().any(|word| word == own);
    named.then(|| message.trim_end().escape_debug().to_string().replace("\\\"", "\""))
}

/// The records of /dev/kmsg, where this user may read them: the newest thousands.
fn kernel_log() -> Vec<String> {
    /// More than any kernel keeps.
    const MOST: usize = 100_000;
    let mut records = Vec::new();
    let log = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
    let Ok(mut log) = log else { return records };
    // One read is one record (Documentation/ABI/testing/dev-kmsg); at the end EAGAIN.
    let mut record = [0; 8192];
    for _ in 0..MOST {
        match log.read(&mut record) {
            Ok(length) if length > 0 => {
                records.push(String::from_utf8_lossy(&record[..length]).into_owned());
            }
            // Records were overwritten while they were read.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            _ => break,
        }
    }
    records
}

/// By what the caller is confined: the texts of AppArmor's and SELinux's switches, and
/// of /proc/self/attr/current.
fn confinement(apparmor: &str, selinux: &str, label: &str) -> Option<String> {
    let label = label.trim_end_matches(['\0', '\n']);
    if selinux.trim() == "1" {
        return Some(format!(
            "SELinux is enforcing, and the caller is {}: `ausearch -m avc -ts recent` tells \
             whether that is the reason",
            label.escape_debug()
        ));
    }
    let confined = apparmor.starts_with('Y') && !matches!(label, "" | "unconfined");
    confined.then(|| {
        format!(
            "the caller is confined by the AppArmor profile {}: the kernel's log (dmesg) tells \
             whether that is the reason",
            label.escape_debug()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_a_denial_is_found_by_its_process() {
        let apparmor = "5,1,2,-;audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" \
                        operation=\"mount\" profile=\"p\" name=\"/\" pid=77 comm=\"nsinit\"\n";
        let told = refusal(apparmor, 77).unwrap();
        assert!(
            told.starts_with("apparmor=\"DENIED\" operation=\"mount\" profile=\"p\""),
            "{told}"
        );
        let selinux = "5,1,2,-;audit: type=1400 audit(1.2:3): avc:  denied  { mounton } for  \
                       pid=77 comm=\"nsinit\" path=\"/x\" permissive=0\n";
        assert!(refusal(selinux, 77).unwrap().starts_with("avc:  denied  { mounton } for"));
        assert_eq!((refusal(apparmor, 7), refusal(selinux, 777)), (None, None));
        assert_eq!(refusal("6,1,2,-;pid=77 apparmor=\"ALLOWED\"", 77), None);
    }

    #[test]
    fn only_confinement_is_told() {
        assert_eq!(confinement("Y\n", "", "unconfined\n"), None);
        assert_eq!(confinement("N\n", "0", "p (enforce)"), None);
        assert_eq!(confinement("", "", ""), None);
        assert!(confinement("Y", "", "p (enforce)\n").unwrap().contains("profile p (enforce):"));
        let selinux = confinement("N", "1", "u:r:t:s0\0").unwrap();
        assert!(selinux.starts_with("SELinux is enforcing, and the caller is u:r:t:s0:"));
    }
}
