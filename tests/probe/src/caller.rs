//! On the host: a caller of nsinit with peculiar settings.
//!
//! `uid=N` (and gid N, no groups) · `close=0,1` · `leak=3,9` (a descriptor of
//! `/` without CLOEXEC) · `ignore=CHLD,PIPE` · `block=all` · `raise=HUP` · `signals=default` ·
//! `processor=N` (no other one) · `umask=777` ·
//! `netns=new` or a path · `mntns=PATH` · `terminal=0` (a new session with the controlling terminal on
//! descriptor 0) · `key=NAME` (a user key in a new session keyring) · `keys=all` (all that
//! the user may have) · `nofile=N` · `nproc=N` · `fsize=N` · `cgroup=PATH` (into that directory) ·
//! `profile=NAME` (AppArmor's, from here on) · `calls=FILE` (counts system calls, see `trace`) ·
//! `enosys=openat2` or `eperm=openat2,clone3` (a seccomp filter answers so) · `none=user` (in
//! a user namespace of its own, in which no more of that kind can be made) · `ids=N` (root of a
//! user namespace of its own with so many ids) · `ids=own` (or with its own alone, and
//! without setgroups, as any user can have one).
//!
//! In a mount namespace of its own: `tmpfs=PATH` or `tmpfs=PATH:OPTIONS` ·
//! `bind=PATH:OTHER` or `bind=PATH:PATH:ro,noexec` · `mounts=PATH:N` (as many as that, or nearly) ·
//! `cgroup2=PATH` (a unified tree in the place of all that is mounted there).

use std::ffi::CString;
use std::fs::File;
use std::io;

use rustix::fs::Mode;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{Pid, Resource, Rlimit, WaitOptions, setrlimit};
use rustix::thread::{CpuSet, LinkNameSpaceType, UnshareFlags};

use crate::{signals, sys, trace};

/// Applies the settings before `--` in their order and becomes the command
/// after it; returns only when that failed.
pub(crate) fn become_caller(words: &[String]) -> io::Error {
    let Some(at) = words.iter().position(|word| word == "--") else {
        return io::Error::other("no -- before the command");
    };
    for setting in &words[..at] {
        if let Err(error) = apply(setting) {
            return io::Error::other(format!("{setting}: {error}"));
        }
    }
    let Some((program, arguments)) = words[at + 1..].split_first() else {
        return io::Error::other("no command");
    };
    sys::exec(program, arguments)
}

fn apply(setting: &str) -> io::Result<()> {
    let (key, value) = setting.split_once('=').ok_or_else(|| io::Error::other("not KEY=VALUE"))?;
    let id = || value.parse::<u32>().map_err(io::Error::other);
    match key {
        "uid" => sys::become_user(id()?),
        "close" => each_number(value, |number| {
            sys::close(number);
            Ok(())
        }),
        "leak" => each_number(value, sys::leak_root),
        "ignore" => value.split(',').try_for_each(|name| sys::ignore(signals::signal(name)?)),
        "block" => sys::block_all(),
        "raise" => sys::kill(0, signals::signal(value)?),
        "signals" => sys::default_signals(),
        "processor" => {
            let mut processors = CpuSet::new();
            processors.set(id()? as usize);
            Ok(rustix::thread::sched_setaffinity(None, &processors)?)
        }
        "umask" => {
            let mask = u32::from_str_radix(value, 8).map_err(io::Error::other)?;
            rustix::process::umask(Mode::from_raw_mode(mask));
            Ok(())
        }
        "tmpfs" => own_tmpfs(value),
        "bind" => own_bind(value),
        "mounts" => many_mounts(value),
        "cgroup2" => own_cgroup2(value),
        "cgroup" => Ok(std::fs::write(format!("{value}/cgroup.procs"), "0")?),
        "none" => none_of(value),
        "ids" if value == "own" => own_ids(),
        "ids" => own_user_namespace(id()?),
        "profile" => Ok(std::fs::write("/proc/self/attr/exec", format!("exec {value}"))?),
        "netns" if value == "new" => sys::unshare(UnshareFlags::NEWNET),
        "netns" => {
            let file = File::open(value)?;
            let kind = Some(LinkNameSpaceType::Network);
            Ok(rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind)?)
        }
        "mntns" => {
            let file = File::open(value)?;
            let kind = Some(LinkNameSpaceType::Mount);
            Ok(rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind)?)
        }
        "terminal" => {
            rustix::process::setsid()?;
            Ok(rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?)
        }
        "calls" => trace::follow_child(value),
        "enosys" => refuse(value, libc::ENOSYS),
        "eperm" => refuse(value, libc::EPERM),
        "key" => sys::add_key_in_new_session(value),
        "keys" => all_keys(),
        "nofile" => limit(Resource::Nofile, id()?),
        "fsize" => limit(Resource::Fsize, id()?),
        "nproc" => limit(Resource::Nproc, id()?),
        _ => Err(io::Error::other("no such setting")),
    }
}

fn each_number(list: &str, mut act: impl FnMut(i32) -> io::Result<()>) -> io::Result<()> {
    list.split(',').try_for_each(|number| act(number.parse().map_err(io::Error::other)?))
}

fn limit(resource: Resource, limit: u32) -> io::Result<()> {
    let limit = Some(u64::from(limit));
    Ok(setrlimit(resource, Rlimit { current: limit, maximum: limit })?)
}

/// What the filter of an outer container does with a call that it does not know.
fn refuse(names: &str, errno: i32) -> io::Result<()> {
    let number = |name: &str| match name {
        "clone3" => Ok(libc::SYS_clone3),
        "openat2" => Ok(libc::SYS_openat2),
        "mount_setattr" => Ok(libc::SYS_mount_setattr),
        _ => Err(io::Error::other(format!("no call {name}"))),
    };
    sys::refuse(&names.split(',').map(number).collect::<io::Result<Vec<_>>>()?, errno)
}

fn own_mounts() -> io::Result<()> {
    sys::unshare(UnshareFlags::NEWNS)?;
    Ok(rustix::mount::mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?)
}

fn own_tmpfs(value: &str) -> io::Result<()> {
    let (path, options) = value.split_once(':').unwrap_or((value, ""));
    own_mounts()?;
    let options = CString::new(format!("mode=1777,{options}"))?;
    Ok(rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::empty(), Some(&*options))?)
}

fn own_bind(value: &str) -> io::Result<()> {
    let mut parts = value.split(':');
    let (source, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    own_mounts()?;
    rustix::mount::mount_bind(source, target)?;
    let Some(options) = parts.next() else { return Ok(()) };
    let mut flags = MountFlags::BIND;
    flags.set(MountFlags::RDONLY, options.contains("ro"));
    flags.set(MountFlags::NOEXEC, options.contains("noexec"));
    Ok(rustix::mount::mount_remount(target, flags, c"")?)
}

/// Binds a tree into itself, again and again: each time there are twice as many mounts. What
/// the kernel then permits no more of is filled with parts of it, the half, the quarter, …
fn many_mounts(value: &str) -> io::Result<()> {
    let (path, count) = value.split_once(':').unwrap_or((value, "1"));
    let doublings = count.parse::<u32>().map_err(io::Error::other)?.ilog2();
    for number in 0..=doublings {
        std::fs::create_dir_all(format!("{path}/{number}"))?;
    }
    own_mounts()?;
    rustix::mount::mount_bind(path, path)?;
    let mut part = format!("{path}/0");
    for _ in 0..doublings {
        rustix::mount::mount_bind_recursive(path, &part)?;
    }
    for number in 1..=doublings {
        // Refused where it would be too many.
        let _ = rustix::mount::mount_bind_recursive(&part, format!("{path}/{number}"));
        part.push_str("/0");
    }
    Ok(())
}

fn own_cgroup2(path: &str) -> io::Result<()> {
    own_mounts()?;
    rustix::mount::unmount(path, UnmountFlags::DETACH)?;
    Ok(rustix::mount::mount("cgroup2", path, "cgroup2", MountFlags::empty(), None)?)
}

fn none_of(kind: &str) -> io::Result<()> {
    sys::unshare(UnshareFlags::NEWUSER)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/gid_map", "0 0 1")?;
    std::fs::write("/proc/self/uid_map", "0 0 1")?;
    std::fs::write(format!("/proc/sys/user/max_{kind}_namespaces"), "0")
}

/// The maps are written from outside: then there are groups, too.
fn own_user_namespace(ids: u32) -> io::Result<()> {
    let of = |process: u32, file: &str| format!("/proc/{process}/{file}");
    let (caller, before) = (std::process::id(), std::fs::read_link("/proc/self/ns/user")?);
    let Some(outside) = sys::split()? else {
        while std::fs::read_link(of(caller, "ns/user"))? == before {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let maps = ["uid_map", "gid_map"];
        let write = |map: &str| std::fs::write(of(caller, map), format!("0 0 {ids}"));
        sys::exit(i32::from(maps.into_iter().try_for_each(write).is_err()));
    };
    sys::unshare(UnshareFlags::NEWUSER)?;
    match rustix::process::waitpid(Pid::from_raw(outside), WaitOptions::empty())? {
        Some((_, status)) if status.exit_status() == Some(0) => Ok(()),
        _ => Err(io::Error::other("no maps")),
    }
}

fn own_ids() -> io::Result<()> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    // A change of ids has closed the own files in /proc.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
    sys::unshare(UnshareFlags::NEWUSER)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {} 1", uid.as_raw()))?;
    std::fs::write("/proc/self/gid_map", format!("0 {} 1", gid.as_raw()))
}

fn all_keys() -> io::Result<()> {
    sys::new_session_keyring()?;
    // Every user's quota is smaller.
    let refused = (0..1_000_000).find_map(|number| sys::add_key(&format!("key{number}")).err());
    match refused {
        Some(error) if error.kind() == io::ErrorKind::QuotaExceeded => Ok(()),
        Some(error) => Err(error),
        None => Err(io::Error::other("there is no end of keys")),
    }
}
