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
    let uids = format!("0 {} 1", rustix::process::geteuid());
    let gids = format!("0 {} 1", rustix::process::getegid());
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
    let mut list = Command::new("/bin/ls");
    // SAFETY: the program has one thread, so that the child may do anything.
    unsafe { list.args(["-l", "/", "/dev"]).pre_exec(enter) };
    list.status().map(|_| ()).map_err(Into::into)
}
