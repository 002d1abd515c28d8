//! What the program sees of files, and what it can do with them.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use crate::{Words, number, print_outcome, word};

pub(crate) fn find(fact: &str, words: Words<'_>) -> Option<io::Result<()>> {
    Some(match fact {
        "ls" => word(words, 0).and_then(list),
        "stat" => words.iter().try_for_each(|path| stat(path)),
        "cat" => word(words, 0).and_then(cat),
        "readlink" => word(words, 0)
            .and_then(|path| fs::read_link(path).map(|to| println!("{}", to.display()))),
        "mounts" => mounts(words.first().map(String::as_str)),
        "fds" => descriptors(),
        "labels" => words.iter().try_for_each(|path| label(path)),
        "read" => word(words, 0).and_then(|path| print_outcome(fs::read(path))),
        "write" => word(words, 0).and_then(|path| print_outcome(write(path, &words[1..]))),
        "create" => word(words, 0).and_then(|path| print_outcome(fs::File::create_new(path))),
        "mkdir" => word(words, 0).and_then(|path| print_outcome(fs::create_dir(path))),
        "remove" => word(words, 0).and_then(|path| print_outcome(fs::remove_file(path))),
        "rename" => rename(words),
        "symlink" => symlink(words),
        "chmod" => chmod(words),
        "mknod" => mknod(words),
        "mount" => mount(words),
        "unmount" => word(words, 0)
            .and_then(|path| print_outcome(rustix::mount::unmount(path, UnmountFlags::DETACH))),
        "writable" => word(words, 0).and_then(writable),
        "filesystem" => word(words, 0).and_then(filesystem),
        _ => return None,
    })
}

fn list(path: &str) -> io::Result<()> {
    let entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    let mut names: Vec<_> =
        entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.iter().for_each(|name| println!("{name}"));
    Ok(())
}

/// `/dev/null char 1:3 0666 0:0`, without following a link.
fn stat(path: &str) -> io::Result<()> {
    let facts = match fs::symlink_metadata(path) {
        Ok(facts) => facts,
        Err(error) => {
            println!("{path} {}", crate::errno_name(&error));
            return Ok(());
        }
    };
    let kind = facts.file_type();
    let device =
        || format!("{}:{}", rustix::fs::major(facts.rdev()), rustix::fs::minor(facts.rdev()));
    let kind = match kind {
        kind if kind.is_dir() => "directory".to_owned(),
        kind if kind.is_symlink() => "link".to_owned(),
        kind if kind.is_char_device() => format!("char {}", device()),
        kind if kind.is_block_device() => format!("block {}", device()),
        kind if kind.is_fifo() => "fifo".to_owned(),
        kind if kind.is_socket() => "socket".to_owned(),
        _ => "file".to_owned(),
    };
    println!("{path} {kind} {:04o} {}:{}", facts.mode() & 0o7777, facts.uid(), facts.gid());
    Ok(())
}

fn cat(path: &str) -> io::Result<()> {
    io::stdout().write_all(&fs::read(path)?)
}

/// `/dev/null system_u:object_r:device_t:s0`: the SELinux label, without following a link.
fn label(path: &str) -> io::Result<()> {
    let mut label = Vec::with_capacity(4096);
    let name = "security.selinux";
    rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut label))?;
    println!("{path} {}", String::from_utf8_lossy(&label).trim_end_matches('\0'));
    Ok(())
}

/// `DESTINATION TYPE OPTIONS SUPER-OPTIONS`, of one destination or of all.
fn mounts(only: Option<&str>) -> io::Result<()> {
    for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let Some(dash) = fields.iter().position(|field| *field == "-") else { continue };
        let propagation =
            fields[6..dash].iter().map(|field| field.split(':').next().unwrap_or(field));
        let propagation: String = propagation.map(|word| format!(" {word}")).collect();
        if only.is_none_or(|path| path == fields[4]) {
            println!(
                "{} {} {} {}{propagation}",
                fields[4],
                fields[dash + 1],
                fields[5],
                fields[dash + 3]
            );
        }
    }
    Ok(())
}

/// The open descriptors' numbers, without the one that reads the directory.
fn descriptors() -> io::Result<()> {
    let mut open: Vec<u32> = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let own = target.to_string_lossy().ends_with("/fd") && target.starts_with("/proc");
        if let (false, Ok(number)) = (own, entry.file_name().to_string_lossy().parse()) {
            open.push(number);
        }
    }
    open.sort_unstable();
    let shown: Vec<String> = open.iter().map(u32::to_string).collect();
    println!("{}", shown.join(" "));
    Ok(())
}

fn write(path: &str, words: Words<'_>) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(words.join(" ").as_bytes())
}

fn rename(words: Words<'_>) -> io::Result<()> {
    print_outcome(fs::rename(word(words, 0)?, word(words, 1)?))
}

fn symlink(words: Words<'_>) -> io::Result<()> {
    print_outcome(std::os::unix::fs::symlink(word(words, 0)?, word(words, 1)?))
}

fn chmod(words: Words<'_>) -> io::Result<()> {
    let mode = u32::from_str_radix(word(words, 1)?, 8).map_err(io::Error::other)?;
    print_outcome(fs::set_permissions(word(words, 0)?, fs::Permissions::from_mode(mode)))
}

/// `mknod PATH c|b MAJOR MINOR`, and whether the node can be opened.
fn mknod(words: Words<'_>) -> io::Result<()> {
    let path = word(words, 0)?;
    let kind =
        if word(words, 1)? == "b" { FileType::BlockDevice } else { FileType::CharacterDevice };
    let device = rustix::fs::makedev(number(words, 2)?, number(words, 3)?);
    let made = rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), device);
    print_outcome(made.map_err(io::Error::from).and_then(|()| fs::File::open(path)))
}

/// `mount TYPE PATH`.
fn mount(words: Words<'_>) -> io::Result<()> {
    let (kind, path) = (word(words, 0)?, word(words, 1)?);
    print_outcome(rustix::mount::mount(kind, path, kind, MountFlags::empty(), None))
}

/// Every file below a directory that somebody may write and that can be
/// opened for writing, one a line: the surface that the defaults leave open.
/// (Root can open files for writing that nothing can be written to.) Links
/// are not followed, mounts are.
fn writable(top: &str) -> io::Result<()> {
    let mut queue = VecDeque::from([PathBuf::from(top)]);
    while let Some(path) = queue.pop_front() {
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        if facts.is_dir() {
            let Ok(entries) = fs::read_dir(&path) else { continue };
            queue.extend(
                entries
                    .filter_map(Result::ok)
                    .map(|entry| entry.path())
                    .filter(|path| !is_process(path)),
            );
        } else if facts.is_file() && facts.mode() & 0o222 != 0 && opens_for_writing(&path) {
            println!("{}", path.display());
        }
    }
    Ok(())
}

/// Directories of processes: what a process may write about itself is the kernel's choice.
fn is_process(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.starts_with("/proc")
        && (name.parse::<u32>().is_ok() || matches!(&*name, "self" | "thread-self"))
}

fn opens_for_writing(path: &Path) -> bool {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).is_ok()
}

/// Size in bytes and number of inodes.
fn filesystem(path: &str) -> io::Result<()> {
    let facts = rustix::fs::statvfs(path)?;
    println!("{} {}", facts.f_blocks * facts.f_frsize, facts.f_files);
    Ok(())
}
