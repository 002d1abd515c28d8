//! The figures of a measurement, as they are kept in JSON.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::run::Run;
use crate::stats::Sample;
use crate::workloads::{Mark, Workload};

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// What every run takes before anything is contained: starting the same `true` on the
    /// host, in microseconds.
    pub(crate) bare: Spread,
    /// Program → what it says of itself.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) workloads: Vec<Outcome>,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) cgroups: String,
}

/// One workload.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    pub(crate) letter: char,
    pub(crate) words: String,
    pub(crate) date: String,
    /// Of all pairs together.
    pub(crate) nsinit: Times,
    pub(crate) cost: Cost,
    pub(crate) rivals: Vec<Comparison>,
    /// Who was not measured, and why.
    pub(crate) missing: Vec<String>,
    pub(crate) marks: Vec<Verdict>,
}

/// One rival beside nsinit.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comparison {
    pub(crate) rival: String,
    pub(crate) note: String,
    pub(crate) pairs: usize,
    pub(crate) nsinit: Times,
    pub(crate) theirs: Times,
    /// nsinit's time as a share of the rival's, of each pair.
    pub(crate) ratio: Ratio,
    pub(crate) cost: Cost,
}

/// What does not vary from run to run; absent where it was not measured.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    pub(crate) peak_private_kib: Option<u64>,
    pub(crate) system_calls: Option<u64>,
}

/// In microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Times {
    pub(crate) wall: Spread,
    pub(crate) cpu: Spread,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) p10: f64,
    pub(crate) p90: f64,
}

/// The median, and its 95 % interval.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A figure beside what is asked of it.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    pub(crate) words: String,
    /// Absent where the rival was not measured.
    pub(crate) figure: Option<f64>,
    pub(crate) met: Option<bool>,
}

impl Spread {
    pub(crate) fn of(sample: &Sample) -> Spread {
        let [median, p10, p90] = [0.5, 0.1, 0.9].map(|share| round(sample.quantile(share), 1));
        Spread { median, p10, p90 }
    }
}

impl Times {
    pub(crate) fn of<'a>(runs: impl Iterator<Item = &'a Run> + Clone) -> Times {
        let spread =
            |figure: fn(&Run) -> f64| Spread::of(&Sample::new(runs.clone().map(figure).collect()));
        Times { wall: spread(|run| run.wall), cpu: spread(|run| run.cpu) }
    }
}

impl Ratio {
    pub(crate) fn of(sample: &Sample) -> Ratio {
        let (low, high) = sample.median_interval();
        Ratio { median: round(sample.median(), 3), low: round(low, 3), high: round(high, 3) }
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    (value * unit).round() / unit
}

impl Outcome {
    pub(crate) fn judge(&mut self, workload: &Workload) {
        self.marks = workload.marks.iter().map(|mark| self.verdict(*mark)).collect();
    }

    fn verdict(&self, mark: Mark) -> Verdict {
        let ratio = |name: &str| {
            let mut rivals = self.rivals.iter();
            rivals.find(|comparison| comparison.rival == name).map(|found| found.ratio.median)
        };
        let (words, figure, met): (_, Option<f64>, Option<bool>) = match mark {
            Mark::Time(rival, share) => {
                let figure = ratio(rival);
                let words = format!("at most {share} of {rival}'s time");
                (words, figure, figure.map(|figure| figure <= share))
            }
            Mark::Throughput(rival, times) => {
                let figure = ratio(rival).map(|ratio| round(1.0 / ratio, 2));
                let words = format!("at least {times} times {rival}'s throughput");
                (words, figure, figure.map(|figure| figure >= times))
            }
            Mark::Same(rival, share) => {
                let figure = ratio(rival);
                let words = format!("within {share} of the time with {rival}");
                (words, figure, figure.map(|figure| (figure - 1.0).abs() <= share))
            }
            Mark::Memory(kib) => {
                let figure = self.cost.peak_private_kib;
                let words = format!("at most {kib} KiB of private memory");
                (words, figure.map(|kib| kib as f64), figure.map(|figure| figure <= kib))
            }
        };
        Verdict { words, figure, met }
    }
}

impl Report {
    /// Several measurements of one machine as one.
    pub(crate) fn read(paths: &[impl AsRef<Path>]) -> Result<Report> {
        let mut reports = paths.iter().map(|path| read(path.as_ref()));
        let mut whole = reports.next().ok_or("no file to read")??;
        for more in reports {
            let more = more?;
            if more.machine != whole.machine {
                return Err("the files are of different machines".to_owned());
            }
            whole.versions.extend(more.versions);
            whole.workloads.extend(more.workloads);
        }
        whole.workloads.sort_by_key(|outcome| outcome.letter);
        match whole.workloads.windows(2).find(|pair| pair[0].letter == pair[1].letter) {
            Some(pair) => Err(format!("workload {} is in more than one file", pair[0].letter)),
            None => Ok(whole),
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        text.push('\n');
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn read(path: &Path) -> Result<Report> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

impl Machine {
    pub(crate) fn this() -> Machine {
        let field = |path: &str, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let value =
                text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix(':'));
            value.unwrap_or("unknown").trim().to_owned()
        };
        let kib = field("/proc/meminfo", "MemTotal");
        let kib = kib.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        Machine {
            processor: field("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: kib / 1024,
            kernel: kernel.trim().to_owned(),
            cgroups: if v2 { "version 2" } else { "version 1" }.to_owned(),
        }
    }
}

/// The day, as `date` of the machine has it.
pub(crate) fn today() -> String {
    let said = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    said.map_or_else(
        |_| "unknown".to_owned(),
        |said| String::from_utf8_lossy(&said.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(ratio: f64) -> Outcome {
        let spread = Spread { median: 2.0, p10: 1.0, p90: 3.0 };
        let times = Times { wall: spread, cpu: spread };
        let rival = Comparison {
            rival: "crun".to_owned(),
            note: String::new(),
            pairs: 100,
            nsinit: times,
            theirs: times,
            ratio: Ratio { median: ratio, low: ratio, high: ratio },
            cost: Cost::default(),
        };
        Outcome {
            letter: 'a',
            words: String::new(),
            date: String::new(),
            nsinit: times,
            cost: Cost { peak_private_kib: Some(2048), system_calls: None },
            rivals: vec![rival],
            missing: Vec::new(),
            marks: Vec::new(),
        }
    }

    #[test]
    fn a_mark_is_met_or_missed_or_was_not_measured() {
        let met = |ratio: f64, mark: Mark| outcome(ratio).verdict(mark).met;
        assert_eq!(met(0.5, Mark::Time("crun", 0.5)), Some(true));
        assert_eq!(met(0.51, Mark::Time("crun", 0.5)), Some(false));
        assert_eq!(met(0.4, Mark::Throughput("crun", 2.5)), Some(true));
        assert_eq!(met(0.41, Mark::Throughput("crun", 2.5)), Some(false));
        assert_eq!(met(0.96, Mark::Same("crun", 0.05)), Some(true));
        assert_eq!(met(1.06, Mark::Same("crun", 0.05)), Some(false));
        assert_eq!(met(1.0, Mark::Memory(2048)), Some(true));
        assert_eq!(met(1.0, Mark::Memory(2047)), Some(false));
        assert_eq!(met(0.1, Mark::Time("runc", 0.5)), None);
    }
}
