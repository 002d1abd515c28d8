//! Parent: SELinux by selinuxfs and the attributes of processes, without a library.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use rustix::io::Errno;

use crate::error::Error;

const SELINUXFS: &str = "/sys/fs/selinux";
const SELINUX_MAGIC: u64 = 0xf97c_ff8c;

/// Whether SELinux is on and has a policy.
pub(crate) fn is_enabled() -> Result<bool, Error> {
    Ok(is_selinuxfs(SELINUXFS)? && has_policy()?)
}

/// Refuses a label that the loaded policy does not have.
pub(crate) fn ask_policy(what: &'static str, label: &str) -> Result<(), Error> {
    ask(Path::new(SELINUXFS), what, label)
}

/// Writing to `context` succeeds for what the loaded policy has.
fn ask(selinuxfs: &Path, what: &'static str, label: &str) -> Result<(), Error> {
    let file = selinuxfs.join("context");
    let answer = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&file)
        .and_then(|mut context| context.write_all(label.as_bytes()));
    match answer.map_err(|source| (source.raw_os_error(), source)) {
        Ok(()) => Ok(()),
        Err((Some(errno), _)) if errno == Errno::INVAL.raw_os_error() => {
            Err(Error::invalid(what, label, "the loaded policy does not have it"))
        }
        // The caller may not ask beforehand; the kernel decides at the write of the label itself.
        Err((Some(errno), _)) if errno == Errno::ACCESS.raw_os_error() => Ok(()),
        Err((_, source)) => Err(Error::io(file, source)),
    }
}

fn is_selinuxfs(path: &str) -> Result<bool, Error> {
    match rustix::fs::statfs(path) {
        // The type is signed on some architectures and has 32 bits on others.
        Ok(statfs) => Ok(statfs.f_type as u64 & 0xffff_ffff == SELINUX_MAGIC),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(Error::io(path, errno)),
    }
}

/// Before a policy is loaded every process has the label `kernel`.
fn has_policy() -> Result<bool, Error> {
    const OWN: &str = "/proc/thread-self/attr/current";
    match fs::read(OWN) {
        Ok(label) => Ok(!matches!(label.as_slice(), b"" | b"kernel" | b"kernel\0")),
        Err(source) if source.kind() == io::ErrorKind::InvalidInput => Ok(false),
        Err(source) => Err(Error::io(OWN, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    fn directory(name: &str) -> PathBuf {
        let name = format!("nsinit-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        directory
    }

    #[test]
    fn the_label_is_written_for_the_policy_to_judge() {
        let selinuxfs = directory("selinuxfs");
        let told = ask(&selinuxfs, "label", "u:r:t:s0").unwrap_err().to_string();
        assert!(told.ends_with("/context: No such file or directory"), "{told}");
        fs::write(selinuxfs.join("context"), "").unwrap();
        ask(&selinuxfs, "label", "u:r:t:s0").unwrap();
        assert_eq!(fs::read_to_string(selinuxfs.join("context")).unwrap(), "u:r:t:s0");
        fs::remove_dir_all(&selinuxfs).unwrap();
    }

    #[test]
    fn a_label_that_the_policy_does_not_have_is_refused() {
        let selinuxfs = directory("no-such-label");
        // Writing to this file gives EINVAL for anything that is no number.
        symlink("/proc/thread-self/oom_score_adj", selinuxfs.join("context")).unwrap();
        let told = ask(&selinuxfs, "label", "u:r:t").unwrap_err().to_string();
        fs::remove_dir_all(&selinuxfs).unwrap();
        assert_eq!(told, "label \"u:r:t\": the loaded policy does not have it");
    }

    #[test]
    fn another_file_system_is_not_selinuxfs() {
        assert!(!is_selinuxfs("/proc").unwrap());
        assert!(!is_selinuxfs("/nonexistent/selinux").unwrap());
    }
}
