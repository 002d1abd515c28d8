//! The command line.

use std::path::PathBuf;

use crate::Result;

#[derive(Debug)]
pub(super) struct Options {
    pub(super) cells: Vec<String>,
    pub(super) quick: bool,
    pub(super) list: bool,
    pub(super) jobs: usize,
    pub(super) strict: bool,
    pub(super) keep: bool,
    pub(super) update: bool,
    pub(super) locked: bool,
    pub(super) kernel: Option<PathBuf>,
    pub(super) modules: Option<PathBuf>,
    /// Parts of tests' names.
    pub(super) filter: Vec<String>,
}

pub(super) fn parse(arguments: &[String]) -> Result<Options> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut options = Options {
        cells: Vec::new(),
        quick: false,
        list: false,
        // While one waits for a clock, another one works.
        jobs: cores + 1,
        strict: false,
        keep: false,
        update: false,
        locked: false,
        kernel: None,
        modules: None,
        filter: Vec::new(),
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--cell" => options.cells.push(value()?.clone()),
            "--quick" => options.quick = true,
            "--list" => options.list = true,
            "--jobs" => options.jobs = number(value()?)?,
            "--strict" => options.strict = true,
            "--keep" => options.keep = true,
            "--update" => options.update = true,
            "--locked" => options.locked = true,
            "--kernel" => options.kernel = Some(value()?.into()),
            "--modules" => options.modules = Some(value()?.into()),
            "--" => options.filter = words.by_ref().cloned().collect(),
            other => return Err(format!("vm-test: unexpected argument {other:?}")),
        }
    }
    if options.kernel.is_some() != options.modules.is_some() {
        return Err("--kernel FILE and --modules DIR go together".to_owned());
    }
    Ok(options)
}

fn number(text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("--jobs {text}: not a number of machines"))
}
