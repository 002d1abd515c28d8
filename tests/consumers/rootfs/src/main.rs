//! `ls` in a root filesystem that is put together for it, as root or as anyone.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;

use nsinit_rootfs::{Mount, Rootfs};
use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("consumer-rootfs-{}", std::process::id()));
    let (root, data) = (directory.join("root"), directory.join("data"));
    std::fs::create_dir_all(&root)?;
    std::fs::create_dir_all(&data)?;
    std::fs::write(data.join("hello"), "")?;

    let mut mounts = vec![
        Mount::proc(),
        Mount::dev(),
        Mount::tmpfs("/tmp").size(64 << 20),
        Mount::bind(&data, "/data").read_only(), // recursive
    ];
    mounts.extend(programs_of_the_host()?);
    let view = Rootfs::open(&root)?.furnish(&mounts)?;

    let mut cmd = std::process::Command::new("/bin/ls");
    cmd.args(["/", "/data"]);
    // SAFETY: the program has one thread; `enter` makes system calls and nothing else.
    unsafe {
        cmd.pre_exec(move || {
            unshare_user_and_mount()?;
            Ok(view.enter()?)
        })
    };
    let output = cmd.output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success() && output.stdout.ends_with(b"/data:\nhello\n"), "{output:?}");
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

/// /usr read-only, and the rest of the programs as the host has them.
fn programs_of_the_host() -> io::Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for path in ["/usr", "/bin", "/sbin", "/lib", "/lib64"].map(Path::new) {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                mounts.push(Mount::symlink(path, path.read_link()?));
            }
            Ok(_) => mounts.push(Mount::bind(path, path).read_only()),
            Err(_) => (),
        }
    }
    Ok(mounts)
}

fn unshare_user_and_mount() -> io::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    // SAFETY: the process has one thread, and shares no descriptor table with another.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)? };
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}
