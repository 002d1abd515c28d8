//! A command with limits: v2, v1 or hybrid, no difference here.

use std::process::Command;

use nsinit_cgroups::{Cgroup, Error, Limits};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = format!("demo/job-{}", std::process::id());
    let limits =
        Limits { memory: Some(256 << 20), pids: Some(64), cpus: Some(0.5), ..Limits::NONE };
    let job = match Cgroup::create(&name, &limits) {
        Ok(job) => job,
        Err(error) => {
            if let Error::Controller { name, missing_at, .. } = &error {
                eprintln!("{} has no {name}", missing_at.display());
            }
            println!("SKIPPED: needs a cgroup that may be written: {error}");
            assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none());
            return Ok(());
        }
    };
    let mut child = job.spawn(Command::new("true").arg("-j8"))?; // born inside
    let status = child.wait()?;
    let s = job.stats()?;
    println!("{status}: peak {} MiB, {} OOM kills", s.memory.peak >> 20, s.memory.oom_kills);
    job.kill()?;
    job.remove()?; // never on drop, never moves survivors
    assert!(status.success());
    Ok(())
}
