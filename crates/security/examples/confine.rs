//! Runs a program without capabilities and core dumps: `confine grep -E 'Cap|NoNew' /proc/self/status`.

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nsinit_security::{CapabilitySet, Confinement, Resource, Rlimit, User};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let program = words.next().ok_or("usage: confine PROGRAM [ARGUMENT…]")?;
    let is_root = rustix::process::geteuid().is_root();
    let lock = Confinement {
        // Only root can take capabilities out of the bounding set, and become nobody.
        capabilities: is_root.then_some(CapabilitySet::NONE),
        user: if is_root { Some(User::resolve("65534:65534", &[], None, None)?) } else { None },
        no_new_privileges: true,
        rlimits: vec![Rlimit { resource: Resource::Core, soft: Some(0), hard: Some(0) }],
        umask: Some(0o077),
        new_session_keyring: true,
        ..Confinement::NONE
    }
    .prepare()?;
    lock.apply()?;
    Err(Command::new(program).args(words).exec().into())
}
