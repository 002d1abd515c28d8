//! What a hostile program would try; each prints `ok` where it succeeds.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

use crate::facts::status_of;
use crate::{Words, number, print_outcome, signals, sys, word};

pub(crate) fn find(fact: &str, words: Words<'_>) -> Option<io::Result<()>> {
    Some(match fact {
        "type-into-terminal" => print_outcome(sys::type_into_terminal(b'X')),
        "ptrace" => number(words, 0).and_then(|pid| print_outcome(sys::ptrace_seize(pid))),
        "open-by-handle" => {
            word(words, 0).and_then(|path| print_outcome(sys::open_root_by_handle(path)))
        }
        "search-key" => word(words, 0).and_then(|name| print_outcome(sys::search_key(name))),
        "new-user-namespace" => print_outcome(sys::unshare(UnshareFlags::NEWUSER)),
        "clone-user-namespace" => print_outcome(sys::clone_user_namespace()),
        "clone3" => print_outcome(sys::clone3_of_nothing()),
        "new-user-namespace-by-i386" => print_outcome(sys::unshare_by_i386(UnshareFlags::NEWUSER)),
        "user-keyring" => print_outcome(sys::link_user_keyring()),
        "set-hostname" => print_outcome(rustix::system::sethostname(b"pwned")),
        "watch-joining" => word(words, 0).and_then(watch_joining),
        "stop-others" => stop_others(),
        "open-mount" => word(words, 0).and_then(|path| {
            let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV;
            print_outcome(rustix::mount::mount_remount(path, flags, c""))
        }),
        "unmount" => word(words, 0)
            .and_then(|path| print_outcome(rustix::mount::unmount(path, UnmountFlags::DETACH))),
        "set-uid" => number(words, 0).and_then(|uid| print_outcome(sys::set_uid(uid))),
        _ => return None,
    })
}

/// Looks at every other process until a file appears: prints what it has that this
/// process has not, and at the end whether it saw any.
fn watch_joining(end: &str) -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    let own = capabilities(&std::process::id().to_string())?;
    let mut seen = false;
    while !Path::new(end).exists() {
        for pid in others()? {
            seen = true;
            if let Ok(theirs) = capabilities(&pid) {
                if theirs & !own != 0 {
                    println!("{pid} has capabilities {theirs:x}, and this process {own:x}");
                }
            }
            report_descriptors(&pid);
        }
    }
    println!("{}", if seen { "seen" } else { "nobody seen" });
    Ok(())
}

/// Every descriptor after the standard ones that is no socket and no file of this root.
fn report_descriptors(pid: &str) {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    for descriptor in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let number = descriptor.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(target) = fs::read_link(&descriptor) else { continue };
        let standard = matches!(&*number, "0" | "1" | "2");
        if standard || target.to_string_lossy().starts_with("socket:[") {
            continue;
        }
        let identity = |path: &Path| fs::metadata(path).map(|facts| (facts.dev(), facts.ino()));
        // It may have been closed since its link was read.
        let Ok(theirs) = fs::metadata(&descriptor) else { continue };
        let of_this_root = identity(&target).is_ok_and(|own| own == (theirs.dev(), theirs.ino()));
        if theirs.is_dir() || !of_this_root {
            println!("{pid} holds descriptor {number}: {}", target.display());
        }
    }
}

/// Stops every other process again and again.
fn stop_others() -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    let stop = signals::signal("STOP")?;
    loop {
        // As PID 1, this is everybody else; it is nobody most of the time.
        drop(sys::kill(-1, stop));
    }
}

/// Permitted and effective ones.
fn capabilities(pid: &str) -> io::Result<u64> {
    let set = |key| u64::from_str_radix(&status_of(pid, key)?, 16).map_err(io::Error::other);
    Ok(set("CapPrm")? | set("CapEff")?)
}

fn others() -> io::Result<Vec<String>> {
    let own = std::process::id().to_string();
    let names = fs::read_dir("/proc")?.filter_map(Result::ok).map(|entry| entry.file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let is_process = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    Ok(names.filter(|name| is_process(name) && *name != own).collect())
}
