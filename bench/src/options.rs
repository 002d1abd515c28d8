//! The command line.

use std::path::PathBuf;

use crate::Result;
use crate::rivals::RIVALS;
use crate::workloads::WORKLOADS;

pub(crate) const USAGE: &str = "\
cargo xtask bench [OPTION]…

  --workload a…h    only this one; may be given several times
  --rival NAME      only beside this one; may be given several times
  --rounds N        alternating pairs of each comparison (100)
  --binary FILE     this nsinit; without it the one of `cargo xtask dist`, which is built
  --json FILE       keep the figures
  --svg FILE        draw (a) to (e)
  --markdown FILE   put the tables between the marks in this page
  --from FILE       measure nothing and take the figures from there; may be given several times
  --order FILE      measure nothing and write a linker script: which functions a start runs
";

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) workloads: Vec<char>,
    pub(crate) rivals: Vec<String>,
    pub(crate) rounds: Option<usize>,
    pub(crate) binary: Option<PathBuf>,
    /// Given by xtask, which builds it.
    pub(crate) floor: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) markdown: Option<PathBuf>,
    pub(crate) from: Vec<PathBuf>,
    pub(crate) order: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Options> {
        let mut options = Options::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} takes a value\n\n{USAGE}"))?;
            match word.as_str() {
                "--workload" => options.workloads.push(workload(value)?),
                "--rival" => options.rivals.push(rival(value)?),
                "--rounds" => options.rounds = Some(rounds(value)?),
                "--binary" => options.binary = Some(value.into()),
                "--floor" => options.floor = Some(value.into()),
                "--json" => options.json = Some(value.into()),
                "--svg" => options.svg = Some(value.into()),
                "--markdown" => options.markdown = Some(value.into()),
                "--from" => options.from.push(value.into()),
                "--order" => options.order = Some(value.into()),
                _ => return Err(format!("unexpected argument {word:?}\n\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

fn workload(text: &str) -> Result<char> {
    let mut known = WORKLOADS.iter().map(|workload| workload.letter);
    let letter = known.find(|letter| text.chars().eq([*letter]));
    letter.ok_or_else(|| format!("--workload takes a letter from a to h, not {text:?}"))
}

fn rival(text: &str) -> Result<String> {
    let known = || RIVALS.iter().map(|rival| rival.name);
    match known().any(|name| name == text) {
        true => Ok(text.to_owned()),
        false => Err(format!("--rival takes one of: {}", known().collect::<Vec<_>>().join(", "))),
    }
}

fn rounds(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(rounds) if rounds > 0 => Ok(rounds),
        _ => Err(format!("--rounds takes a number, not {text:?}")),
    }
}
