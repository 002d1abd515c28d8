//! What the host wants of this machine: the file `/cell`, one word and its value a line.

use std::ffi::OsString;
use std::fs;

use crate::Result;

/// Which hierarchies are mounted, and what is in them.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Cgroups {
    V1,
    V2,
    Hybrid,
}

/// The label system that the kernel was started with.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Lsm {
    Selinux,
    AppArmor,
    None,
}

/// Who runs a program.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum As {
    Root,
    User,
}

/// One test program with its arguments, and who runs it.
pub(crate) struct Program {
    pub(crate) who: As,
    pub(crate) path: String,
    pub(crate) arguments: Vec<String>,
}

pub(crate) struct Cell {
    pub(crate) cgroups: Cgroups,
    pub(crate) lsm: Lsm,
    pub(crate) systemd: bool,
    /// Where the tests were compiled and look for their fixtures.
    pub(crate) repository: String,
    pub(crate) modules: Vec<String>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) programs: Vec<Program>,
}

impl Cell {
    pub(crate) fn read() -> Result<Cell> {
        let text = fs::read_to_string("/cell").map_err(|error| format!("/cell: {error}"))?;
        Cell::parse(&text)
    }

    fn parse(text: &str) -> Result<Cell> {
        let mut cell = Cell {
            cgroups: Cgroups::V2,
            lsm: Lsm::None,
            systemd: false,
            repository: String::new(),
            modules: Vec::new(),
            environment: Vec::new(),
            programs: Vec::new(),
        };
        for line in text.lines() {
            let (word, value) = line.split_once(' ').unwrap_or((line, ""));
            cell.take(word, value).ok_or_else(|| format!("/cell: {line:?} is not understood"))?;
        }
        Ok(cell)
    }

    fn take(&mut self, word: &str, value: &str) -> Option<()> {
        match (word, value) {
            ("cgroups", "v1") => self.cgroups = Cgroups::V1,
            ("cgroups", "v2") => self.cgroups = Cgroups::V2,
            ("cgroups", "hybrid") => self.cgroups = Cgroups::Hybrid,
            ("lsm", "selinux") => self.lsm = Lsm::Selinux,
            ("lsm", "apparmor") => self.lsm = Lsm::AppArmor,
            ("lsm", "none") => self.lsm = Lsm::None,
            ("systemd", "") => self.systemd = true,
            ("repository", path) => path.clone_into(&mut self.repository),
            ("module", name) => self.modules.push(name.to_owned()),
            ("environment", pair) => {
                let (key, value) = pair.split_once('=')?;
                self.environment.push((key.into(), value.into()));
            }
            ("root", command) => self.programs.push(program(As::Root, command)?),
            ("user", command) => self.programs.push(program(As::User, command)?),
            _ => return None,
        }
        Some(())
    }
}

fn program(who: As, command: &str) -> Option<Program> {
    let mut words = command.split('\t').map(str::to_owned);
    Some(Program { who, path: words.next()?, arguments: words.collect() })
}
