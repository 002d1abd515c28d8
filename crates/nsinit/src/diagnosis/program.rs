//! Parent: why execve refused a program.
//!
//! The process that failed waits, and has handed its root directory over: its mounts still
//! stand, and what is found here has words. The image is not trusted. Every path is
//! resolved below that root by the kernel, magic links and other processes' files
//! excepted; a file is looked at before it is opened, opened without waiting, and read
//! only if it is a regular one, and no more than its first bytes and headers.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nsinit_namespaces::Denier;
use nsinit_security::{Capabilities, Capability, CapabilitySet, User};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, StatVfsMountFlags, StatxFlags};
use rustix::io::Errno;

use super::format::{self, Format};
use super::{Scene, covering, lsm};
use crate::below;
use crate::plan::Plan;
pub(super) use crate::reason::{Fault, Naming};
use crate::reason::{Interpreter, LONGEST_STRING, Permission, Reason};
use crate::step::Step;

/// As many interpreters as the kernel follows (`BINPRM_MAX_RECURSION`), and one.
const DEEPEST: usize = 6;

/// Why execve of that candidate failed, as far as it can be found out.
pub(crate) fn not_executable(plan: &Plan, candidate: u16, errno: Errno, scene: &Scene) -> Reason {
    let path = plan.program.candidates().nth(candidate.into()).unwrap_or_default();
    let found = match errno {
        Errno::TOOBIG => too_long(plan, &scene.read("limits")).map(Found::Fault),
        Errno::TXTBSY => Some(Found::Fault(Fault::Busy)),
        Errno::AGAIN => Some(Found::Fault(Fault::Limit(Denier::of_new_process(scene.pid)))),
        _ => Inside::of(plan, scene).and_then(|inside| inside.examine(as_path(path), Some(errno))),
    };
    match found {
        Some(found) => found.into_reason(errno),
        None if errno == Errno::NOENT => Reason::MissingInterpreter(None),
        None => Reason::NotExecutable { errno, fault: lsm::of_program(plan, errno, scene.pid) },
    }
}

/// A program that is not there: the candidate that is a link to nowhere, and its target.
pub(crate) fn dangling(plan: &Plan, scene: &Scene) -> Option<(String, String)> {
    let inside = Inside::of(plan, scene)?;
    plan.program.candidates().find_map(|candidate| {
        let link = inside.open(as_path(candidate), OFlags::NOFOLLOW);
        let target = rustix::fs::readlinkat(link.ok()?, c"", Vec::new()).ok()?;
        let words = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        Some((words(candidate.to_bytes()), words(target.to_bytes())))
    })
}

/// Why the working directory cannot be entered.
pub(super) fn not_entered(plan: &Plan, path: &CStr, scene: &Scene) -> Option<String> {
    let (inside, path) = (Inside::of(plan, scene)?, as_path(path));
    let mut way: Vec<_> = path.ancestors().collect();
    way.reverse();
    let missing = way.iter().position(|at| inside.open(at, OFlags::DIRECTORY).is_err());
    match missing {
        Some(at) => {
            let (there, not) = (way[at.saturating_sub(1)].display(), way[at].display());
            Some(format!(
                "{there} is there, and {not} is no directory in it: make it in the root \
                 filesystem or by a mount, or choose another with --cwd or working_dir"
            ))
        }
        None => {
            let fault = inside.closed_from_root(path)?;
            Some(format!("{fault}: choose another with --cwd or working_dir"))
        }
    }
}

fn as_path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// What is wrong with a program.
pub(crate) enum Found {
    Missing(Interpreter),
    Fault(Fault),
}

impl Found {
    pub(crate) fn into_reason(self, errno: Errno) -> Reason {
        match self {
            Found::Missing(interpreter) => Reason::MissingInterpreter(Some(interpreter)),
            Found::Fault(fault) => Reason::NotExecutable { errno, fault: Some(fault) },
        }
    }
}

/// A container's files, as the program's user sees them.
pub(crate) struct Inside<'a> {
    pub(crate) root: BorrowedFd<'a>,
    /// The text of its mountinfo.
    pub(crate) mountinfo: String,
    /// The texts of its uid_map and gid_map.
    pub(crate) maps: [String; 2],
    pub(crate) identity: Identity<'a>,
}

/// Who looks, and from where.
#[derive(Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) working_directory: &'a Path,
    user: &'a User,
    capabilities: &'a Capabilities,
}

impl<'a> Identity<'a> {
    pub(crate) fn of(plan: &'a Plan) -> Option<Identity<'a>> {
        let (mut working_directory, mut user, mut capabilities) = (None, None, None);
        for step in plan.all_steps() {
            match step {
                Step::WorkingDirectory(path) => working_directory = Some(as_path(path)),
                Step::User { user: found, .. } => user = Some(found),
                Step::Capabilities(found) => capabilities = Some(found),
                _ => {}
            }
        }
        let (working_directory, user, capabilities) = (working_directory?, user?, capabilities?);
        Some(Identity { working_directory, user, capabilities })
    }

    pub(crate) fn is_root(&self) -> bool {
        self.user.uid == 0
    }
}

impl<'a> Inside<'a> {
    fn of(plan: &'a Plan, scene: &'a Scene) -> Option<Inside<'a>> {
        Some(Inside {
            root: scene.root.as_ref()?.as_fd(),
            mountinfo: scene.read("mountinfo"),
            maps: ["uid_map", "gid_map"].map(|file| scene.read(file)),
            identity: Identity::of(plan)?,
        })
    }

    /// Looks a path up; the descriptor reads nothing.
    pub(crate) fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = self.identity.working_directory.join(path);
        below::open(self.root, &path, flags | OFlags::PATH)
    }

    /// What is wrong with a program, by the kernel's refusal or, without one, beforehand.
    pub(crate) fn examine(&self, path: &Path, errno: Option<Errno>) -> Option<Found> {
        self.examine_link(path, errno, 0)
    }

    fn examine_link(&self, path: &Path, errno: Option<Errno>, depth: usize) -> Option<Found> {
        if matches!(errno, None | Some(Errno::ACCESS)) {
            if let Some(fault) = self.closed_directory(path) {
                return Some(Found::Fault(fault));
            }
        }
        let file = self.open(path, OFlags::empty()).ok()?;
        let stat = rustix::fs::fstat(&file).ok()?;
        if let Some(fault) = self.refused(&file, &stat, errno) {
            return Some(Found::Fault(fault));
        }
        let file = readable(&file)?;
        let head = read(&file, 0, format::HEAD)?;
        let (interpreter, by) = match format::of(&head) {
            Format::Other(fault) => return Some(Found::Fault(fault)),
            Format::Script(name, by) => (name, by),
            Format::Elf(elf) => {
                let host = rustix::system::uname().machine().to_string_lossy().into_owned();
                let built_for = elf.machine();
                let refused = matches!(errno, Some(Errno::NOEXEC | Errno::LIBBAD));
                // Beforehand only what no kernel of this kind can be expected to run.
                let foreign = built_for != host && !(host == "x86_64" && built_for == "i386");
                if (refused && built_for != host) || (errno.is_none() && foreign && !emulates()) {
                    return Some(Found::Fault(Fault::Machine { built_for, host }));
                }
                let (offset, length) = elf.headers();
                let named = elf.interpreter(&read(&file, offset, length)?);
                let Some((offset, length)) = named else {
                    return refused.then_some(Found::Fault(Fault::Damaged));
                };
                let mut name = read(&file, offset, length)?;
                name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                (name, Naming::Elf)
            }
        };
        self.examine_interpreter(OsString::from_vec(interpreter), by, errno, depth)
    }

    fn examine_interpreter(
        &self,
        name: OsString,
        by: Naming,
        errno: Option<Errno>,
        depth: usize,
    ) -> Option<Found> {
        let path = name.to_string_lossy().into_owned();
        match self.open(Path::new(&name), OFlags::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) => {
                Some(Found::Missing(Interpreter { path, needed_by: None, by }))
            }
            Ok(_) if depth < DEEPEST => {
                match self.examine_link(Path::new(&name), errno, depth + 1)? {
                    Found::Missing(Interpreter { path: missing, needed_by, by }) => {
                        let needed_by = Some(needed_by.unwrap_or(path));
                        Some(Found::Missing(Interpreter { path: missing, needed_by, by }))
                    }
                    Found::Fault(fault @ Fault::Interpreter { .. }) => Some(Found::Fault(fault)),
                    Found::Fault(fault) => {
                        Some(Found::Fault(Fault::Interpreter { path, fault: Box::new(fault) }))
                    }
                }
            }
            _ => None,
        }
    }

    /// What the kernel refuses whatever is in the file.
    fn refused(&self, file: &OwnedFd, stat: &Stat, errno: Option<Errno>) -> Option<Fault> {
        if let Some(kind) = kind(stat) {
            return Some(Fault::Kind(kind));
        }
        if matches!(errno, None | Some(Errno::ACCESS)) {
            let permission = self.permission(stat);
            if !self.may(&permission, stat, 0o111) {
                return Some(Fault::Permission(permission));
            }
            if let Some(fault) = self.noexec(file) {
                return Some(fault);
            }
        }
        if matches!(errno, None | Some(Errno::PERM)) {
            let missing = file_capabilities(file)? - self.identity.capabilities.bounding;
            return (!missing.is_empty()).then_some(Fault::Capabilities(missing));
        }
        None
    }

    fn noexec(&self, file: &OwnedFd) -> Option<Fault> {
        let flags = rustix::fs::fstatvfs(file).ok()?.f_flag;
        if !flags.contains(StatVfsMountFlags::NOEXEC) {
            return None;
        }
        let seen = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
        let mount = covering::by_id(&self.mountinfo, seen.stx_mnt_id);
        Some(Fault::NoExec { mount: mount.unwrap_or_else(|| "its filesystem".into()) })
    }

    /// The first directory on the way to a path that the user may not enter.
    fn closed_directory(&self, path: &Path) -> Option<Fault> {
        self.closed_from_root(self.identity.working_directory.join(path).parent()?)
    }

    /// A directory that the user may not enter: this one, or the first on the way to it.
    pub(crate) fn closed_from_root(&self, directory: &Path) -> Option<Fault> {
        let mut way: Vec<_> = directory.ancestors().collect();
        way.reverse();
        way.into_iter().find_map(|directory| {
            let stat = rustix::fs::fstat(self.open(directory, OFlags::empty()).ok()?).ok()?;
            let permission = self.permission(&stat);
            let closed = !self.may(&permission, &stat, 0o111);
            let path = directory.display().to_string();
            closed.then_some(Fault::Directory { path, permission })
        })
    }

    fn permission(&self, stat: &Stat) -> Permission {
        let [uids, gids] = &self.maps;
        let owner = (inside(uids, stat.st_uid), inside(gids, stat.st_gid));
        Permission { mode: stat.st_mode & 0o7777, owner, user: self.identity.user.uid }
    }

    /// Whether the mode bits in `mask`, which has one for each class, let the user (execve(2),
    /// path_resolution(7)); access control lists are not looked at.
    fn may(&self, permission: &Permission, stat: &Stat, mask: u32) -> bool {
        let Permission { mode, owner, user } = permission;
        let in_group =
            |gid| self.identity.user.gid == gid || self.identity.user.groups.contains(&gid);
        let class = match owner {
            (Some(owner), _) if owner == user => 0o700,
            (_, Some(group)) if in_group(*group) => 0o070,
            _ => 0o007,
        };
        if mode & class & mask != 0 {
            return true;
        }
        let overrides = self.identity.capabilities.effective.contains(Capability::DacOverride)
            && owner.0.is_some()
            && owner.1.is_some();
        let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        overrides && (directory || mode & mask != 0)
    }
}

/// Whether something is registered that runs programs of other machines (binfmt_misc).
fn emulates() -> bool {
    let entries = std::fs::read_dir("/proc/sys/fs/binfmt_misc");
    let own = |name: &OsStr| name == "register" || name == "status";
    entries.is_ok_and(|mut list| list.any(|entry| entry.is_ok_and(|e| !own(&e.file_name()))))
}

/// The id in a user namespace of an id of this one, by the text of a map.
pub(crate) fn inside(map: &str, id: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (inside, outside, count) =
            (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
        let offset = id.checked_sub(outside).filter(|offset| *offset < count)?;
        inside.checked_add(offset)
    })
}

/// What a file is, if it is no regular one.
fn kind(stat: &Stat) -> Option<&'static str> {
    Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return None,
        FileType::Directory => "a directory",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "no regular file",
    })
}

/// The regular file that was looked at, for reading. It may be another process's by now,
/// but no other file.
fn readable(file: &OwnedFd) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::open(path, flags, Mode::empty()).ok().map(File::from)
}

/// That part of a file, or what there is of it.
fn read(file: &File, offset: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        match file.read_at(&mut bytes[done..], offset.checked_add(done as u64)?) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(_) => return None,
        }
    }
    bytes.truncate(done);
    Some(bytes)
}

/// The capabilities that a file asks for and insists on (capabilities(7),
/// "File capability extended attribute versioning").
fn file_capabilities(file: &OwnedFd) -> Option<CapabilitySet> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut value = [0; 64];
    let length = rustix::fs::getxattr(path, c"security.capability", &mut value).ok()?;
    parse_capabilities(&value[..length])
}

fn parse_capabilities(value: &[u8]) -> Option<CapabilitySet> {
    let word = |at: usize| {
        let bytes = value.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let effective = word(0)? & 1 != 0;
    let permitted = u64::from(word(4)?) | u64::from(word(12)?) << 32;
    effective.then(|| CapabilitySet::from_bits(permitted))
}

/// Which of the limits on arguments and environment is passed (execve(2)), by the text of
/// a process's limits.
pub(crate) fn too_long(plan: &Plan, limits: &str) -> Option<Fault> {
    const POINTER: u64 = 8;
    let strings = plan.program.argv.strings().iter().chain(plan.program.envp.strings());
    let lengths: Vec<u64> = strings.map(|text| text.to_bytes_with_nul().len() as u64).collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    if longest > LONGEST_STRING {
        return Some(Fault::LongString { bytes: longest - 1 });
    }
    let bytes = lengths.iter().map(|length| length + POINTER).sum();
    let limit = most_arguments(limits);
    (bytes > limit).then_some(Fault::LongArguments { bytes, limit })
}

/// A quarter of the stack's limit, but between 128 KiB and 6 MiB.
fn most_arguments(limits: &str) -> u64 {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max stack size"));
    let soft = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    (soft.unwrap_or(u64::MAX) / 4).clamp(128 << 10, 6 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_as_the_container_numbers_them() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!((inside(map, 1000), inside(map, 100032)), (Some(0), Some(33)));
        assert_eq!((inside(map, 0), inside(map, 165536), inside("x\n1", 1)), (None, None, None));
        assert_eq!(inside("0 0 4294967295\n", 7), Some(7));
    }

    #[test]
    fn capabilities_count_where_the_file_insists_on_them() {
        let value = |magic: u32| {
            let words = [magic, 1 << 13, 0, 0, 0];
            words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>()
        };
        let net_raw = Some(Capability::NetRaw.into());
        assert_eq!(parse_capabilities(&value(0x0200_0001)), net_raw);
        assert_eq!(parse_capabilities(&value(0x0200_0000)), None);
        assert_eq!(parse_capabilities(&value(0x0200_0001)[..9]), None);
    }

    #[test]
    fn the_room_for_arguments_follows_the_stacks_limit() {
        let limits =
            |soft: &str| format!("Max cpu time  1  2  s\nMax stack size  {soft}  9  bytes\n");
        assert_eq!(most_arguments(&limits("8388608")), 2 << 20);
        assert_eq!(most_arguments(&limits("65536")), 128 << 10);
        assert_eq!(most_arguments(&limits("unlimited")), 6 << 20);
    }
}
