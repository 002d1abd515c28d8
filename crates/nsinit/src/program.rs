//! Both ends: the program, as execve wants it.

use std::ffi::{CStr, CString, NulError, OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::sys::CArray;

/// Which file it is, whatever its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The device that holds the file.
    pub device: u64,
    /// Its inode number there.
    pub inode: u64,
}

impl FileId {
    pub(crate) fn of(stat: &rustix::fs::Stat) -> FileId {
        FileId { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// The program, its arguments and its environment, ready for execve.
#[derive(Clone, Debug)]
pub struct Program {
    candidates: Vec<CString>,
    pub(crate) argv: CArray,
    pub(crate) envp: CArray,
    /// The launcher's own executable, which is never started in a container.
    pub(crate) own_executable: Option<FileId>,
}

impl Program {
    /// `args[0]` is searched in the `PATH` of `environment`, as in the shell, when it
    /// has no slash.
    ///
    /// Relative elements of `PATH` are skipped: they would be searched in the working
    /// directory. An element `PATH=…` (the 2014 sample has one) is relative, too.
    ///
    /// # Errors
    ///
    /// A NUL byte in an argument or in the environment.
    pub(crate) fn new(
        args: &[OsString],
        environment: &[String],
        own_executable: Option<FileId>,
    ) -> Result<Program, NulError> {
        let name = args.first().map_or(OsStr::new(""), OsString::as_os_str);
        let candidates = candidates(name, search_path(environment))?;
        let argv = args.iter().map(|arg| CString::new(arg.as_bytes())).collect::<Result<_, _>>()?;
        let envp = environment
            .iter()
            .map(|entry| CString::new(entry.as_str()))
            .collect::<Result<_, _>>()?;
        Ok(Program { candidates, argv: CArray::new(argv), envp: CArray::new(envp), own_executable })
    }

    /// The paths that are tried, in order.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &CStr> {
        self.candidates.iter().map(CString::as_c_str)
    }

    /// The name as it was given.
    #[must_use]
    pub fn name(&self) -> OsString {
        self.argv
            .strings()
            .first()
            .map_or_else(OsString::new, |name| OsString::from_vec(name.as_bytes().to_vec()))
    }

    /// The path of a candidate, for messages.
    pub(crate) fn candidate(&self, index: u16) -> String {
        self.candidates.get(usize::from(index)).map_or_else(
            || self.name().to_string_lossy().into_owned(),
            |c| c.to_string_lossy().into_owned(),
        )
    }

    /// The search path, for messages; None when the name has a slash.
    pub(crate) fn searched(&self) -> Option<String> {
        if self.name().as_bytes().contains(&b'/') {
            return None;
        }
        let directories: Vec<_> = self
            .candidates
            .iter()
            .filter_map(|path| path.to_str().ok()?.rsplit_once('/'))
            .map(|(directory, _)| if directory.is_empty() { "/" } else { directory })
            .collect();
        Some(directories.join(":"))
    }

    /// The environment, `KEY=value` each.
    pub fn environment(&self) -> impl Iterator<Item = &CStr> {
        self.envp.strings().iter().map(CString::as_c_str)
    }
}

/// The arguments, quoted as a shell would need them.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.argv.strings().iter().enumerate() {
            let arg = arg.to_string_lossy();
            let space = if index == 0 { "" } else { " " };
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@%+".contains(c);
            if !arg.is_empty() && arg.chars().all(plain) {
                write!(f, "{space}{arg}")?;
            } else {
                write!(f, "{space}{:?}", arg)?;
            }
        }
        Ok(())
    }
}

fn search_path(environment: &[String]) -> &str {
    // The last one wins, as in most C libraries' view of a duplicate.
    environment.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or("")
}

fn candidates(name: &OsStr, path: &str) -> Result<Vec<CString>, NulError> {
    let name = name.as_bytes();
    if name.contains(&b'/') {
        return Ok(vec![CString::new(name)?]);
    }
    if name.is_empty() {
        return Ok(Vec::new());
    }
    path.split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| {
            let mut path = directory.trim_end_matches('/').as_bytes().to_vec();
            path.push(b'/');
            path.extend_from_slice(name);
            CString::new(path)
        })
        .collect()
}

/// The interpreter named by a `#!` line, as execve(2) reads it. Allocates nothing.
pub(crate) fn interpreter(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"#!")?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let rest = &rest[rest.iter().position(|byte| !blank(byte))?..];
    let end = rest.iter().position(|byte| blank(byte) || matches!(byte, b'\n' | 0));
    Some(&rest[..end.unwrap_or(rest.len())]).filter(|name| !name.is_empty())
}

/// What stood between init and the program; travels in a message's `detail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Closing descriptors at the start, or resetting signals at the end failed.
    Leaving,
    /// No candidate exists.
    NotFound,
    /// execve of that candidate failed.
    Execve(u16),
    /// That candidate, or its interpreter, is the launcher's own executable.
    OwnExecutable(u16),
}

impl Obstacle {
    pub(crate) fn at(self, index: u16) -> Obstacle {
        match self {
            Obstacle::Execve(_) => Obstacle::Execve(index),
            Obstacle::OwnExecutable(_) => Obstacle::OwnExecutable(index),
            Obstacle::NotFound => Obstacle::NotFound,
            Obstacle::Leaving => Obstacle::Leaving,
        }
    }

    pub(crate) fn to_detail(self) -> u32 {
        match self {
            Obstacle::Leaving => 0,
            Obstacle::NotFound => 1 << 16,
            Obstacle::Execve(index) => 2 << 16 | u32::from(index),
            Obstacle::OwnExecutable(index) => 3 << 16 | u32::from(index),
        }
    }

    pub(crate) fn from_detail(detail: u32) -> Obstacle {
        let index = (detail & 0xffff) as u16;
        match detail >> 16 {
            1 => Obstacle::NotFound,
            2 => Obstacle::Execve(index),
            3 => Obstacle::OwnExecutable(index),
            _ => Obstacle::Leaving,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(name: &str, path: &str) -> Vec<String> {
        let environment = [format!("PATH={path}")];
        let program = Program::new(&[name.into()], &environment, None).unwrap();
        program.candidates().map(|c| c.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_name_is_searched_in_the_absolute_elements_of_path() {
        assert_eq!(paths("sh", "/bin:usr/bin::/sbin/"), ["/bin/sh", "/sbin/sh"]);
    }

    #[test]
    fn the_path_of_the_2014_sample_is_searched() {
        let found = paths("sh", "PATH=$PATH:/bin:/usr/bin:/sbin:/usr/sbin");
        assert_eq!(found, ["/bin/sh", "/usr/bin/sh", "/sbin/sh", "/usr/sbin/sh"]);
    }

    #[test]
    fn a_name_with_a_slash_is_not_searched() {
        assert_eq!(paths("./x", "/bin"), ["./x"]);
    }

    #[test]
    fn a_nul_byte_is_refused() {
        assert!(Program::new(&["a\0b".into()], &[], None).is_err());
        assert!(Program::new(&["a".into()], &["K=a\0b".into()], None).is_err());
    }

    #[test]
    fn obstacles_survive_the_wire() {
        for obstacle in [
            Obstacle::Leaving,
            Obstacle::NotFound,
            Obstacle::Execve(3),
            Obstacle::OwnExecutable(65535),
        ] {
            assert_eq!(Obstacle::from_detail(obstacle.to_detail()), obstacle);
        }
    }
}
