//! Which functions a start runs, for the linker: it puts them side by side.
//!
//! The kernel maps sixteen pages of a file at a time. Functions that are strewn over a
//! large executable cost a page fault each; side by side they are a few.
//!
//! nsinit is run instruction by instruction (ptrace(2)), and each address is looked up in
//! the executable's symbols. What is written is a linker script with patterns for the
//! sections of those functions, without what a compiler adds to their names: a function
//! that is not found is where it would be without the script.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::measure::Bench;
use crate::rivals::{Place, SUBJECT};
use crate::run::{Errors, Held};
use crate::scene::{Filling, Program, Scene};
use crate::sys::{self, Go};
use crate::workloads::{Kind, WORKLOADS, Workload};
use crate::{Result, guard};

/// The workloads whose functions are listed, in this order.
const LETTERS: [char; 4] = ['a', 'b', 'd', 'e'];

/// Writes the script: of the executable only, which must have its symbols.
pub(crate) fn write(bench: &Bench, path: &Path) -> Result {
    let symbols = Symbols::of(&bench.nsinit)?;
    let (mut patterns, mut runs) = (Patterns::new()?, Vec::new());
    for letter in LETTERS {
        for workload in WORKLOADS.iter().filter(|workload| workload.letter == letter) {
            println!("({letter}) {}", workload.words);
            runs.push(run(bench, workload)?);
        }
    }
    // Init finds nothing mapped of what the launcher has run.
    let init = runs.iter().flat_map(|run| &run.init);
    for address in init.chain(runs.iter().flat_map(|run| &run.launcher)) {
        symbols.name_at(*address).into_iter().for_each(|name| patterns.add(name));
    }
    println!("{} functions", patterns.lines.len());
    fs::write(path, patterns.script()).map_err(|error| format!("{}: {error}", path.display()))
}

/// The addresses at which one run of nsinit has been, in the order of the first time.
#[derive(Default)]
struct Addresses {
    launcher: Vec<usize>,
    init: Vec<usize>,
}

fn run(bench: &Bench, workload: &Workload) -> Result<Addresses> {
    if workload.network {
        guard::make_bridge()?;
    }
    let scene = Scene::new(&bench.stage, "bench", workload, &bench.cgroup, Filling::Nothing)?;
    let Bench { nsinit, floor, cgroup, .. } = bench;
    let place = Place { nsinit, floor, cgroup, scene: &scene, rival: SUBJECT.name, init: None };
    let way = SUBJECT.way(workload.letter).ok_or("no way")?;
    let hold = || Held::start(way.command(&place, Program::Hold)?, &Errors::new(&bench.stage));
    let _held = (workload.kind == Kind::Joins).then(hold).transpose()?;
    let mut command = way.command(&place, Program::True)?;
    sys::trace(&mut command);
    let child = command.spawn().map_err(|error| format!("{}: {error}", nsinit.display()))?;
    let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    addresses(pid)
}

/// Steps through a process and its children until it ends.
fn addresses(launcher: i32) -> Result<Addresses> {
    let (mut seen, mut order) = (HashSet::new(), Addresses::default());
    let told = |error: io::Error| format!("ptrace: {error}");
    sys::wait4(launcher).and_then(|_| sys::follow(launcher)).map_err(told)?;
    let mut base = load_address(launcher)?;
    sys::go(launcher, Go::Step(0)).map_err(told)?;
    loop {
        let stopped = sys::wait4(-1).map_err(told)?;
        let pid = stopped.pid;
        if !libc::WIFSTOPPED(stopped.status) {
            match (pid == launcher, stopped.status) {
                (false, _) => continue,
                (true, 0) => return Ok(order),
                (true, status) => return Err(format!("wait status {status:#x}")),
            }
        }
        if stopped.status >> 16 == libc::PTRACE_EVENT_EXEC {
            // The launcher goes on in a sealed copy of itself, init in the program.
            if pid != launcher {
                sys::go(pid, Go::Alone).map_err(told)?;
                continue;
            }
            base = load_address(launcher)?;
        }
        let address = sys::instruction(pid).map_err(told)?.wrapping_sub(base);
        if seen.insert((pid == launcher, address)) {
            match pid == launcher {
                true => order.launcher.push(address),
                false => order.init.push(address),
            }
        }
        let signal = libc::WSTOPSIG(stopped.status);
        let of_tracing = [libc::SIGTRAP, libc::SIGSTOP].contains(&signal);
        sys::go(pid, Go::Step(if of_tracing { 0 } else { signal })).map_err(told)?;
    }
}

/// Where the executable begins, which is mapped first.
fn load_address(pid: i32) -> Result<usize> {
    let path = format!("/proc/{pid}/maps");
    let maps = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let start = maps.split('-').next().unwrap_or_default();
    usize::from_str_radix(start, 16).map_err(|error| format!("{path}: {error}"))
}

/// The functions of an executable.
struct Symbols(Vec<Symbol>);

struct Symbol {
    start: usize,
    end: usize,
    name: String,
}

impl Symbols {
    fn of(executable: &Path) -> Result<Symbols> {
        let text = output(Command::new("nm").args(["-S", "-n"]).arg(executable))?;
        let symbols: Vec<_> = text.lines().filter_map(Symbol::parse).collect();
        match symbols.is_empty() {
            true => Err(format!("{} has no symbols", executable.display())),
            false => Ok(Symbols(symbols)),
        }
    }

    fn name_at(&self, address: usize) -> Option<&str> {
        let after = self.0.partition_point(|symbol| symbol.start <= address);
        let symbol = self.0.get(after.checked_sub(1)?)?;
        (address < symbol.end).then_some(&symbol.name)
    }
}

impl Symbol {
    /// `START SIZE TYPE NAME`: those of the text.
    fn parse(line: &str) -> Option<Symbol> {
        let mut words = line.split_whitespace();
        let mut number = || usize::from_str_radix(words.next()?, 16).ok();
        let (start, size) = (number()?, number()?);
        let kind = words.next()?;
        let name = words.next()?.to_owned();
        "tTwWi".contains(kind).then_some(Symbol { start, end: start + size, name })
    }
}

/// Patterns for the input sections of functions, each once.
struct Patterns {
    /// By function: the member of the C library that has it.
    members: HashMap<String, String>,
    known: HashSet<String>,
    lines: Vec<String>,
}

impl Patterns {
    fn new() -> Result<Patterns> {
        let mut members = HashMap::new();
        for library in ["libc.a", "libm.a"] {
            for archive in archives(library)? {
                let text = output(Command::new("nm").args(["-A", "--defined-only", &archive]))?;
                members.extend(text.lines().filter_map(member));
            }
        }
        Ok(Patterns { members, known: HashSet::new(), lines: Vec::new() })
    }

    fn add(&mut self, name: &str) {
        let line = match self.members.get(name) {
            _ if name == "main" => "*(.text.main)".to_owned(),
            _ if name == "_start" => "*crt1.o(.text)".to_owned(),
            Some(member) => format!("*{member}(.text .text.*)"),
            None if name.starts_with("_ZN") || name.starts_with("_R") => {
                format!("*(.text*.{}*)", without_hashes(name))
            }
            None => return,
        };
        if self.known.insert(line.clone()) {
            self.lines.push(line);
        }
    }

    fn script(&self) -> String {
        let mut text = String::from(
            "/* Functions that a start of nsinit runs, those of init first, in the order of their\n   \
             first call: the linker puts them side by side. Made by `cargo xtask bench --order`. */\n\
             SECTIONS {\n  .text.start : {\n    *(.iplt)\n    *crtbegin*.o(.text)\n",
        );
        for line in &self.lines {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
        text.push_str("  }\n}\nINSERT BEFORE .text;\n");
        text
    }
}

/// The archives of a library of the C library's: one may be a linker script that names them.
fn archives(library: &str) -> Result<Vec<String>> {
    let path = output(Command::new("cc").arg(format!("-print-file-name={library}")))?;
    let path = path.trim();
    let content = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    if content.starts_with(b"!<arch>") {
        return Ok(vec![path.to_owned()]);
    }
    let script = String::from_utf8_lossy(&content);
    let named =
        script.split_whitespace().filter(|word| word.starts_with('/') && word.ends_with(".a"));
    Ok(named.map(str::to_owned).collect())
}

/// A line of nm as a function's name and the archive and member that have it:
/// `/usr/lib/libm-2.36.a:s_ceil.o:0000000000000000 i ceil` is (`ceil`, `libm-*.a:s_ceil.o`).
fn member(line: &str) -> Option<(String, String)> {
    let (place, name) = (line.split_once(' ')?.0, line.rsplit(' ').next()?);
    let mut parts = place.rsplit(':').skip(1);
    let (member, archive) = (parts.next()?, parts.next()?.rsplit('/').next()?);
    let archive = match archive.split_once('-') {
        Some((library, _version)) => format!("{library}-*.a"),
        None => archive.to_owned(),
    };
    Some((name.to_owned(), format!("{archive}:{member}")))
}

/// A mangled name as a pattern: without what depends on the compiler and on versions.
fn without_hashes(name: &str) -> String {
    // What the optimiser has split or cloned has a number behind a dot.
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match name.rsplit_once('.') {
        Some((name, number)) if digits(number) => name.trim_end_matches(".llvm"),
        _ => name,
    };
    // `_ZN…17h0123456789abcdefE`
    if let Some((path, hash)) = name.rsplit_once("17h").filter(|_| name.starts_with("_ZN")) {
        if hash.len() == 17 {
            return path.replace('$', "?");
        }
    }
    // `_R…Cs0123456789a_3std…`, and `B1c_` for what is that far from the beginning, which
    // depends on the hashes.
    without_digits(&without_digits(name, "Cs", 11, "C*"), "B", 2, "B*")
}

/// A mangled name with `new` for each `tag` that at most `most` letters and digits and an
/// underscore follow.
fn without_digits(name: &str, tag: &str, most: usize, new: &str) -> String {
    let mut parts = name.split(tag);
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('_') {
            Some((digits, rest))
                if digits.len() <= most && digits.bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                pattern.push_str(new);
                pattern.push('_');
                pattern.push_str(rest);
            }
            _ => {
                pattern.push_str(tag);
                pattern.push_str(part);
            }
        }
    }
    pattern
}

fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let done = command.output().map_err(|error| format!("{shown}: {error}"))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(format!("{shown}: {}", done.status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_nothing_of_the_compilers() {
        let pairs = [
            ("_ZN6nsinit4init3run17h0123456789abcdefE", "_ZN6nsinit4init3run"),
            (
                "_ZN4core3ptr13drop_in_place$LT$u8$GT$17h0123456789abcdefE.123",
                "_ZN4core3ptr13drop_in_place?LT?u8?GT?",
            ),
            ("_RNvNtCsjrHSEGnQ3l9_3std3env7__var_os", "_RNvNtC*_3std3env7__var_os"),
            (
                "_RNvMs16_NtCsjrHSEGnQ3l9_3std4pathNtB6_4Path6Buffer",
                "_RNvMs16_NtC*_3std4pathNtB*_4Path6Buffer",
            ),
            (
                "_RNvNtCsjrHSEGnQ3l9_3std2fs4openCslNYArtu3iFV_5alloc.llvm.42",
                "_RNvNtC*_3std2fs4openC*_5alloc",
            ),
        ];
        for (name, pattern) in pairs {
            assert_eq!(without_hashes(name), pattern);
        }
    }

    #[test]
    fn a_function_is_found_by_an_address_inside() {
        let lines = [
            "0000000000001000 0000000000000010 t first",
            "0000000000001010 T no_size",
            "0000000000001020 0000000000000008 T second",
            "0000000000001028 0000000000000008 D data",
        ];
        let symbols = Symbols(lines.iter().filter_map(|line| Symbol::parse(line)).collect());
        let found = [0xfff, 0x1000, 0x100f, 0x1010, 0x1027, 0x1028].map(|at| symbols.name_at(at));
        assert_eq!(found, [None, Some("first"), Some("first"), None, Some("second"), None]);
    }
}
