//! `cargo xtask vm-test`: the tests in virtual machines, one for each cell of a
//! matrix of kernels, cgroup hierarchies and label systems.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::Result;
use crate::cargo::{succeed, target_dir};

mod accelerator;
mod apt;
mod cpio;
mod host;
mod image;
mod kernel;
mod labels;
mod libselinux;
mod lock;
mod matrix;
mod modules;
mod offers;
mod options;
mod programs;
mod qemu;
mod results;
mod share;
mod systemd;
mod table;

use apt::{Apt, Gone};
use kernel::Kernel;
use lock::{Lock, Wanted};
use matrix::{CELLS, Cell, Cgroups, Init, Labeler, Linux, Lsm, QUICK, Share};
use offers::As;
use options::Options;
use programs::{Link, Programs};
use qemu::{Accelerator, Ended, Machine};
use results::{Results, Test, Verdict};
use table::{Outcome, State};

/// Nothing heard for so long is a hang: the tests themselves give up earlier.
const PATIENCE: Duration = Duration::from_secs(120);

/// The exit status where no machine could be made, which is no news of the tests.
const NOTHING_RAN: u8 = 3;

/// The whole command.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let options = options::parse(arguments)?;
    let cells = chosen(&options)?;
    if options.list {
        cells.iter().for_each(|cell| println!("{}", cell.name));
        return Ok(ExitCode::SUCCESS);
    }
    if options.update {
        return update().map(|()| ExitCode::SUCCESS);
    }
    let outcomes = match host::check() {
        Ok(()) => run_cells(&options, &cells)?,
        Err(reason) => cells.iter().map(|cell| Outcome::not_made(cell, &reason)).collect(),
    };
    println!("\n{}", table::table(&outcomes).trim_end());
    Ok(verdict(&outcomes, options.strict))
}

/// So many at a time, all of the same build.
fn run_cells(options: &Options, cells: &[Cell]) -> Result<Vec<Outcome>> {
    let workshop = Workshop::new(options)?;
    let prepared: Vec<_> = cells.iter().map(|cell| (cell, workshop.prepare(cell))).collect();
    // The longest first, so that no processor waits for it at the end.
    let (long, short): (Vec<_>, Vec<_>) = prepared
        .iter()
        .partition(|(cell, _)| matches!(cell.share, Share::All | Share::Launches | Share::Age));
    let queue = Mutex::new(long.into_iter().chain(short));
    let accelerator = workshop.accelerator(&prepared);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(cells.len()) {
            scope.spawn(|| {
                while let Some((cell, ready)) = queue.lock().ok().and_then(|mut q| q.next()) {
                    let outcome = workshop.outcome(cell, ready, accelerator);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push(outcome);
                    }
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().map_err(|error| error.to_string())?;
    outcomes.sort_by_key(|outcome| cells.iter().position(|cell| cell.name == outcome.cell));
    Ok(outcomes)
}

fn verdict(outcomes: &[Outcome], strict: bool) -> ExitCode {
    let well = |outcome: &Outcome| match &outcome.state {
        State::Ran { failed, .. } => *failed == 0,
        State::NotMade(_) => !strict,
    };
    if !outcomes.iter().all(well) {
        ExitCode::FAILURE
    } else if outcomes.iter().all(|outcome| matches!(outcome.state, State::NotMade(_))) {
        println!("vm-test: nothing was tested: no machine could be made");
        ExitCode::from(NOTHING_RAN)
    } else {
        ExitCode::SUCCESS
    }
}

/// The cells that the command line asks for.
fn chosen(options: &Options) -> Result<Vec<Cell>> {
    if let (Some(image), Some(modules)) = (options.kernel.clone(), options.modules.clone()) {
        let kernel = Linux::Files { image, modules };
        return Ok(vec![matrix::cell("kernel", kernel, Cgroups::V2, Lsm::None, Share::All)]);
    }
    if let Some(name) =
        options.cells.iter().find(|name| CELLS.iter().all(|cell| cell.name != **name))
    {
        return Err(format!("no cell {name:?}: cargo xtask vm-test --list"));
    }
    let count = if options.quick { QUICK } else { CELLS.len() };
    let wanted = |cell: &&Cell| {
        options.cells.is_empty() || options.cells.iter().any(|name| name == cell.name)
    };
    Ok(CELLS[..count].iter().filter(wanted).cloned().collect())
}

/// Renews the lock file with the newest version of every package.
fn update() -> Result {
    let apt = Apt::new(&target_dir().join("vm"), Gone::Fail);
    let kernels = CELLS.iter().filter_map(|cell| match &cell.kernel {
        Linux::Debian(_, set) => Some(*set),
        Linux::Host | Linux::Files { .. } => None,
    });
    let tools = [&labels::PACKAGES[..], &libselinux::PACKAGES, &systemd::PACKAGES];
    let mut wanted: Vec<&Wanted> = kernels.chain(tools).flatten().collect();
    wanted.dedup();
    Lock::write(wanted.into_iter().map(|wanted| apt.newest(wanted)).collect::<Result<_>>()?)
}

/// What all cells share.
struct Workshop<'a> {
    options: &'a Options,
    directory: PathBuf,
    apt: Apt,
    lock: Lock,
    programs: Programs,
    disk: PathBuf,
}

/// Why there is no machine.
enum NotReady {
    /// Something is not to be had here.
    Lacking(String),
    /// Something of ours cannot be built.
    Broken(String),
}

type Preparation = std::result::Result<Ready, NotReady>;

/// What the machine of one cell is made of.
struct Ready {
    kernel: Kernel,
    /// The unpacked tools of the label system.
    labels: Option<PathBuf>,
    libselinux: Option<PathBuf>,
    /// The unpacked systemd.
    systemd: Option<PathBuf>,
    /// An nsinit other than the usual one.
    nsinit: Option<PathBuf>,
}

impl Workshop<'_> {
    fn new(options: &Options) -> Result<Workshop<'_>> {
        let directory = target_dir().join("vm");
        fs::create_dir_all(&directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        let gone = if options.locked { Gone::Fail } else { Gone::TakeNewest };
        println!("vm-test: building what the machines run");
        let programs = programs::build(&directory.join("nsinit"))?;
        let disk = disk(&directory)?;
        Ok(Workshop {
            options,
            apt: Apt::new(&directory, gone),
            lock: Lock::read()?,
            programs,
            disk,
            directory,
        })
    }

    fn outcome(&self, cell: &Cell, ready: &Preparation, accelerator: Accelerator) -> Outcome {
        let broken = |fault| State::Ran {
            passed: 0,
            failed: 1,
            skipped: 0,
            faults: vec![fault],
            time: Duration::ZERO,
        };
        let state = match ready {
            Err(NotReady::Lacking(reason)) => return Outcome::not_made(cell, reason),
            Err(NotReady::Broken(fault)) => broken(fault.clone()),
            Ok(ready) => self.start(cell, ready, accelerator).unwrap_or_else(broken),
        };
        Outcome { cell: cell.name.to_owned(), state }
    }

    /// Fetches, unpacks and builds what the cell's machine is made of.
    fn prepare(&self, cell: &Cell) -> Preparation {
        let kernels = self.directory.join("kernels");
        let kernel = match &cell.kernel {
            Linux::Debian(name, set) => {
                kernel::of_packages(&self.unpacked(name, set)?, &kernels.join(name))
            }
            Linux::Host => kernel::of_host(&kernels.join("host")),
            Linux::Files { image, modules } => {
                kernel::of_files(image, modules, &kernels.join("files"))
            }
        };
        let kernel = kernel.map_err(NotReady::Lacking)?;
        let labels = match cell.lsm {
            Lsm::None => None,
            Lsm::Selinux | Lsm::AppArmor => Some(self.unpacked("labels", &labels::PACKAGES)?),
        };
        let mut ready = Ready { kernel, labels, libselinux: None, systemd: None, nsinit: None };
        let path = self.directory.join(format!("nsinit-{}", cell.name));
        if cell.labeler == Labeler::Libselinux {
            libselinux::check().map_err(NotReady::Lacking)?;
            let tree = self.unpacked("libselinux", &libselinux::PACKAGES)?;
            ready.nsinit = Some(libselinux::build(&tree, &path).map_err(NotReady::Broken)?);
            ready.libselinux = Some(tree);
        }
        if cell.init == Init::Systemd {
            let built = programs::variant("systemd", Link::Static, &path, |_| ());
            ready.nsinit = Some(built.map_err(NotReady::Broken)?);
            ready.systemd = Some(self.unpacked("systemd", &systemd::PACKAGES)?);
        }
        Ok(ready)
    }

    fn unpacked(&self, name: &str, set: &[Wanted]) -> std::result::Result<PathBuf, NotReady> {
        self.apt.unpacked(name, set, &self.lock).map_err(NotReady::Lacking)
    }

    /// KVM only where a machine without tests comes to its end with it.
    fn accelerator(&self, prepared: &[(&Cell, Preparation)]) -> Accelerator {
        let tried = accelerator::may_be_there().and_then(|()| {
            let ready = prepared.iter().find_map(|(cell, made)| Some((cell, made.as_ref().ok()?)));
            let (cell, ready) = ready.ok_or("there is no machine to try it with")?;
            let directory = self.directory.join("kvm");
            fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
            let path = directory.join("image.cpio");
            let image = image::make(&path, cell, ready, &self.programs, "")?;
            let (words, disk) = (cell.lsm.kernel_word(), self.disk.as_path());
            let kernel = &ready.kernel;
            let machine =
                Machine { kernel, image: &image, words, disk, accelerator: Accelerator::Kvm };
            match machine.run(&directory, accelerator::PATIENCE, |_| ())? {
                Ended::Done => Ok(()),
                other => Err(format!("a machine with it: {other:?}")),
            }
        });
        match tried {
            Ok(()) => Accelerator::Kvm,
            Err(reason) => {
                println!("vm-test: emulation, which is slow, because KVM is not usable: {reason}");
                Accelerator::Tcg
            }
        }
    }

    /// Boots the cell's machine and reads its results.
    fn start(&self, cell: &Cell, ready: &Ready, accelerator: Accelerator) -> Result<State> {
        let start = Instant::now();
        let directory = self.directory.join("cells").join(cell.name);
        let told = |error| format!("{}: {error}", directory.display());
        fs::create_dir_all(&directory).map_err(told)?;
        let orders = share::orders(cell.share, &self.programs.tests, &self.options.filter);
        let image =
            image::make(&directory.join("image.cpio"), cell, ready, &self.programs, &orders)?;
        let init = if cell.init == Init::Systemd { "systemd.show_status=0" } else { "" };
        let words = format!("{} {init}", cell.lsm.kernel_word());
        let machine = Machine {
            kernel: &ready.kernel,
            image: &image,
            words: &words,
            disk: &self.disk,
            accelerator,
        };
        let mut log = fs::File::create(directory.join("results.log")).map_err(told)?;
        let mut results = Results::default();
        let ended = machine.run(&directory, PATIENCE, |bytes| {
            drop(std::io::Write::write_all(&mut log, bytes));
            results.take(bytes, |test| excuse(cell, test)).iter().for_each(|test| show(cell, test));
        })?;
        if !self.options.keep {
            fs::remove_file(&image).map_err(told)?;
        }
        Ok(judge(&directory, results, ended, start.elapsed()))
    }
}

/// A test that was skipped for what the cell offers has failed.
fn excuse(cell: &Cell, mut test: Test) -> Test {
    if let Verdict::Skipped(reason) = &test.verdict {
        let who = if test.name.starts_with("root ") { As::Root } else { As::User };
        if !offers::lacks(cell, who, reason) {
            let text = format!("skipped, and this cell does not lack it: {reason}");
            test.verdict = Verdict::Failed(text);
        }
    }
    test
}

fn show(cell: &Cell, test: &Test) {
    let name = cell.name;
    match &test.verdict {
        Verdict::Passed => println!("{name} {} ... ok", test.name),
        Verdict::Skipped(reason) => println!("{name} {} ... skipped: {reason}", test.name),

        Verdict::Failed(output) => {
            println!("{name} {} ... FAILED", test.name);
            output.lines().for_each(|line| println!("{name} | {line}"));
        }
    }
}

fn judge(directory: &Path, results: Results, ended: Ended, time: Duration) -> State {
    let last = match results.unfinished() {
        Some((name, _)) => format!("; the last test started: {name}"),
        None => String::new(),
    };
    let console = qemu::console(directory);
    let fault = match ended {
        Ended::Done if results.done => None,
        Ended::Done => Some("the results have no end".to_owned()),
        Ended::GuestFailed => Some(format!("the guest failed: {}", last_words(&console))),
        Ended::Panicked => Some(format!("the kernel panicked{last}")),
        Ended::Silent(time) => Some(format!("nothing heard for {} s{last}", time.as_secs())),
        Ended::Otherwise(status) => Some(format!("the machine ended by itself, {status}{last}")),
    };
    let count =
        |is: fn(&Verdict) -> bool| results.tests.iter().filter(|test| is(&test.verdict)).count();
    let failed = |test: &&Test| matches!(test.verdict, Verdict::Failed(_));
    let mut faults: Vec<String> =
        results.tests.iter().filter(failed).map(|test| test.name.clone()).collect();
    faults.extend(results.faults);
    faults.extend(fault);
    let failed = faults.len();
    if failed > 0 {
        faults.push(format!("console: {}", console.display()));
    }
    State::Ran {
        passed: count(|verdict| *verdict == Verdict::Passed),
        failed,
        skipped: count(|verdict| matches!(verdict, Verdict::Skipped(_))),
        faults,
        time,
    }
}

/// What the guest said last on its console.
fn last_words(console: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(console).unwrap_or_default()).into_owned();
    let mut lines = text.lines().rev().filter_map(|line| line.split_once("guest: "));
    lines.next().map_or_else(|| "it said nothing".to_owned(), |(_, said)| said.trim().to_owned())
}

/// An empty filesystem, which every machine gets a copy of that is thrown away.
fn disk(directory: &Path) -> Result<PathBuf> {
    let path = directory.join("scratch.ext4");
    if !path.exists() {
        let mut command = host::command("mke2fs");
        command.args(["-q", "-t", "ext4", "-O", "^has_journal"]);
        succeed(command.arg(&path).arg("512M"))?;
    }
    Ok(path)
}
