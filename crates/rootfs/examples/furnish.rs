//! Lists an empty root filesystem, furnished around the host's /usr, from inside.
#![expect(unsafe_code, reason = "pre_exec")]
use std::os::unix::process::CommandExt;
use std::{fs, io, process::Command};

use nsinit_rootfs::{Mount, Rootfs, TmpfsRoot};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usr = ["/bin", "/lib", "/lib64"].map(|path| Mount::bind(path, path).read_only().optional());
    let view = Rootfs::tmpfs(TmpfsRoot::default()).furnish(
        &[&usr[..], &[Mount::proc(), Mount::dev(), Mount::bind("/usr", "/usr").read_only()]]
            .concat(),
    )?;
    view.steps().iter().for_each(|step| eprintln!("{step}"));
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let (uids, gids) = (format!("0 {user} 1"), format!("0 {group} 1"));
    let enter = move || -> io::Result<()> {
        // SAFETY: the child has one thread.
        if unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) } != 0 {
            return Err(io::Error::last_os_error());
        }
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", &uids)?;
        fs::write("/proc/self/gid_map", &gids)?;
        Ok(view.enter()?)
    };
    // SAFETY: the program has one thread, so that the child may do anything.
    unsafe { Command::new("/bin/ls").args(["-l", "/", "/dev"]).pre_exec(enter) }.status()?;
    Ok(())
}
