//! Both: runs a shell command in a cgroup of its own and tells what it used.
//! `cargo run -p nsinit-cgroups --example job -- 'yes | head -c 1G | wc -c'`, as root or delegated.
#![expect(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::process::Command;

use nsinit_cgroups::{Cgroup, Hierarchies, Limits};

fn main() -> Result<(), Box<dyn Error>> {
    let script = std::env::args().nth(1).unwrap_or_else(|| "yes | head -c 1G | wc -c".into());
    let limits = Limits { memory: Some(64 << 20), pids: Some(16), cpus: Some(0.5), ..Limits::NONE };
    let job = Cgroup::create(&format!("demo/job-{}", std::process::id()), &limits)?;
    let status = job.spawn(Command::new("sh").args(["-c", &script]))?.wait()?;
    let stats = job.stats()?;
    job.kill()?;
    job.remove()?;
    println!("{} host, {status}", Hierarchies::detect().mode());
    println!("memory: peak {} KiB, {} OOM kills", stats.memory.peak >> 10, stats.memory.oom_kills);
    println!(
        "cpu: {} ms, {} ms throttled",
        stats.cpu.usage_ns / 1_000_000,
        stats.cpu.throttled_ns / 1_000_000
    );
    println!("pids: {} forks refused", stats.pids.refused);
    Ok(())
}
