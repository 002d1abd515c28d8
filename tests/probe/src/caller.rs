//! On the host: a caller of nsinit with peculiar settings.
//!
//! `uid=N` (and gid N, no groups) · `close=0,1` · `leak=3,9` (a descriptor of
//! `/` without CLOEXEC) · `ignore=CHLD,PIPE` · `block=all` · `umask=777` ·
//! `tmpfs=PATH` (in a mount namespace of its own) · `netns=new` or a path ·
//! `terminal=0` (a new session with the controlling terminal on descriptor 0) ·
//! `key=NAME` (a user key in a new session keyring) · `nofile=N` · `calls=FILE` (counts
//! system calls, see `trace`).

use std::fs::File;
use std::io;

use rustix::fs::Mode;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

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
        "umask" => {
            let mask = u32::from_str_radix(value, 8).map_err(io::Error::other)?;
            rustix::process::umask(Mode::from_raw_mode(mask));
            Ok(())
        }
        "tmpfs" => own_tmpfs(value),
        "netns" if value == "new" => sys::unshare(UnshareFlags::NEWNET),
        "netns" => {
            let file = File::open(value)?;
            let kind = Some(LinkNameSpaceType::Network);
            Ok(rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind)?)
        }
        "terminal" => {
            rustix::process::setsid()?;
            Ok(rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?)
        }
        "calls" => trace::follow_child(value),
        "key" => sys::add_key_in_new_session(value),
        "nofile" => {
            let limit = Some(u64::from(id()?));
            Ok(setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit })?)
        }
        _ => Err(io::Error::other("no such setting")),
    }
}

fn each_number(list: &str, mut act: impl FnMut(i32) -> io::Result<()>) -> io::Result<()> {
    list.split(',').try_for_each(|number| act(number.parse().map_err(io::Error::other)?))
}

fn own_tmpfs(path: &str) -> io::Result<()> {
    sys::unshare(UnshareFlags::NEWNS)?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    Ok(rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::empty(), None)?)
}
