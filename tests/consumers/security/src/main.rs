//! `id` without most of what it could do; and no label without asking the kernel first.

use std::os::unix::process::CommandExt;

use nsinit_security::{Capability, CapabilitySet, Confinement, Error, Lsm};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lsm = Lsm::init()?; // before any mount namespace is set up
    let asked = "system_u:system_r:container_t:s0:c1,c2";
    let label = match lsm.selinux().and_then(|selinux| selinux.exec_label(asked)) {
        Ok(label) => Some(label),
        Err(Error::Disabled { asked, .. }) => {
            println!("no SELinux for {asked}");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let confinement = Confinement {
        capabilities: Some(CapabilitySet::CONTAINER - Capability::Setfcap),
        label,
        no_new_privileges: true,
        ..Confinement::NONE
    };
    let lock = match confinement.prepare() {
        Err(error @ Error::NotHeld { .. }) => {
            println!("SKIPPED: needs root: {error}");
            assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none());
            return Ok(());
        }
        other => other?,
    };
    let mut cmd = std::process::Command::new("grep");
    cmd.args(["-E", "^(CapEff|NoNewPrivs)", "/proc/self/status"]);
    // SAFETY: `apply` makes system calls and nothing else.
    unsafe { cmd.pre_exec(move || Ok(lock.apply()?)) }; // one capset, read back
    let output = cmd.output()?;
    let text = String::from_utf8(output.stdout)?;
    print!("{text}");
    assert!(output.status.success() && text.contains("NoNewPrivs:\t1"), "{text}");
    Ok(())
}
