//! The measurement of a workload: alternating pairs of nsinit and each rival.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::report::{Comparison, Cost, Outcome, Ratio, Spread, Times, today};
use crate::rivals::{Place, RIVALS, Rival, SUBJECT, Way};
use crate::run::{Errors, Held, Run, Runner, microseconds, system_calls};
use crate::scene::{Filling, Program, Scene};
use crate::stats::Sample;
use crate::workloads::{BATCH, Kind, Workload};
use crate::{Result, sys};

const WARM_UP: usize = 5;
/// So many pairs of runs stand for a pair of batches.
const PAIRS_PER_BATCH: usize = 25;

pub(crate) struct Bench {
    pub(crate) stage: PathBuf,
    pub(crate) nsinit: PathBuf,
    pub(crate) floor: PathBuf,
    /// The beginning of the names of all cgroups.
    pub(crate) cgroup: String,
    pub(crate) strace: Option<PathBuf>,
    pub(crate) rounds: usize,
    /// Who is measured; all, if it is empty.
    pub(crate) rivals: Vec<String>,
}

/// A rival, or nsinit, at its places.
struct Contender<'a> {
    bench: &'a Bench,
    workload: &'a Workload,
    rival: &'a Rival,
    way: &'a Way,
    scenes: &'a [Scene<'a>],
    /// The container that is joined.
    held: Option<Held>,
    /// One for each scene.
    runners: Vec<Runner>,
    errors: Errors,
}

impl Bench {
    /// Starting `true` on the host.
    pub(crate) fn bare(&self, workload: &Workload) -> Result<Spread> {
        let scene = Scene::new(&self.stage, "bare", workload, &self.cgroup, Filling::Nothing)?;
        let command = Command::new(scene.root().join("bin/true"));
        let mut runner = Runner::new(command, &Errors::new(&self.stage))?;
        let runs = (0..self.rounds).map(|_| Ok(runner.run()?.wall)).collect::<Result<_>>()?;
        Ok(Spread::of(&Sample::new(runs)))
    }

    pub(crate) fn measure(&self, workload: &Workload) -> Result<Outcome> {
        let scenes = self.scenes(workload)?;
        let (ours, others) = match workload.kind {
            Kind::Sizes => scenes.split_at(1),
            _ => (&scenes[..], &scenes[..]),
        };
        let mut subject = Contender::new(self, workload, &SUBJECT, ours)?;
        let (mut rivals, mut missing) = (Vec::new(), Vec::new());
        for rival in RIVALS.iter().filter(|rival| self.wants(rival, workload)) {
            match Contender::new(self, workload, rival, others) {
                Ok(contender) => rivals.push((contender, Vec::new())),
                Err(why) => missing.push(why),
            }
        }
        let visits = match workload.kind {
            Kind::Batches => self.rounds.div_ceil(2 * PAIRS_PER_BATCH),
            _ => self.rounds.div_ceil(2),
        };
        for _ in 0..visits {
            let mut kept = Vec::with_capacity(rivals.len());
            for (mut rival, mut pairs) in rivals {
                match visit(&mut subject, &mut rival, &mut pairs)? {
                    Ok(()) => kept.push((rival, pairs)),
                    Err(why) => missing.push(why),
                }
            }
            rivals = kept;
        }
        let ours = rivals.iter().flat_map(|(_, pairs)| pairs.iter().map(|pair| &pair.0));
        let mut outcome = Outcome {
            letter: workload.letter,
            words: workload.words.to_owned(),
            date: today(),
            nsinit: Times::of(ours),
            cost: subject.cost(),
            rivals: rivals.iter().map(|(rival, pairs)| rival.compared(pairs)).collect(),
            missing,
            marks: Vec::new(),
        };
        outcome.judge(workload);
        Ok(outcome)
    }

    fn wants(&self, rival: &Rival, workload: &Workload) -> bool {
        let chosen = self.rivals.is_empty() || self.rivals.iter().any(|name| name == rival.name);
        chosen && rival.way(workload.letter).is_some()
    }

    fn scenes<'a>(&'a self, workload: &'a Workload) -> Result<Vec<Scene<'a>>> {
        let places: &[(&'static str, Filling)] = match workload.kind {
            Kind::Pairs | Kind::Joins => &[("bench", Filling::Nothing)],
            Kind::Batches => &[("bench", Filling::Nothing), ("second", Filling::Nothing)],
            Kind::Sizes => &[("bench", Filling::Large), ("second", Filling::Many)],
        };
        let scene = |(name, filling): &(&'static str, Filling)| {
            Scene::new(&self.stage, name, workload, &self.cgroup, *filling)
        };
        places.iter().map(scene).collect()
    }
}

/// Two pairs, the second in reverse, so that each comes after itself as often as after
/// the other. The outer error is nsinit's.
fn visit(
    subject: &mut Contender<'_>,
    rival: &mut Contender<'_>,
    pairs: &mut Vec<(Run, Run)>,
) -> Result<Result> {
    let ours = subject.once()?;
    match (rival.once(), rival.once()) {
        (Ok(first), Ok(second)) => pairs.extend([(ours, first), (subject.once()?, second)]),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    }
    Ok(Ok(()))
}

impl<'a> Contender<'a> {
    /// Has run once, or says why it cannot.
    fn new(
        bench: &'a Bench,
        workload: &'a Workload,
        rival: &'a Rival,
        scenes: &'a [Scene<'a>],
    ) -> Result<Contender<'a>> {
        let named = |why: String| format!("{}: {why}", rival.name);
        let way = rival.way(workload.letter).ok_or_else(|| named("no way".to_owned()))?;
        let errors = Errors::new(&bench.stage);
        let (held, runners) = (None, Vec::new());
        let mut contender =
            Contender { bench, workload, rival, way, scenes, held, runners, errors };
        contender.prepare().map_err(named)?;
        let warm_up = if workload.kind == Kind::Batches { 1 } else { WARM_UP };
        for _ in 0..warm_up {
            contender.once()?;
        }
        Ok(contender)
    }

    fn prepare(&mut self) -> Result {
        if self.workload.kind == Kind::Joins {
            let way = self.rival.way('a').ok_or("starts no container")?;
            let command = way.command(&self.place(&self.scenes[0]), Program::Hold)?;
            self.held = Some(Held::start(command, &self.errors)?);
        }
        for scene in self.scenes {
            let command = self.way.command(&self.place(scene), Program::True)?;
            self.runners.push(Runner::new(command, &self.errors)?);
        }
        Ok(())
    }

    fn place(&self, scene: &'a Scene<'a>) -> Place<'a> {
        let Bench { nsinit, floor, cgroup, .. } = self.bench;
        let init = self.held.as_ref().and_then(Held::init);
        Place { nsinit, floor, cgroup, scene, rival: self.rival.name, init }
    }

    /// One run, or one batch.
    fn once(&mut self) -> Result<Run> {
        std::thread::sleep(Duration::from_millis(self.workload.gap));
        let run = match (self.workload.kind, &mut self.runners[..]) {
            (Kind::Batches, runners) => batch(runners),
            (_, [runner, ..]) => runner.run(),
            (_, []) => Err("no place to run".to_owned()),
        };
        run.map_err(|why| format!("{}: {why}: {}", self.rival.name, self.errors.take()))
    }

    fn compared(&self, pairs: &[(Run, Run)]) -> Comparison {
        let ratios = pairs.iter().map(|(ours, theirs)| ours.wall / theirs.wall).collect();
        Comparison {
            rival: self.rival.name.to_owned(),
            note: self.rival.note.to_owned(),
            pairs: pairs.len(),
            nsinit: Times::of(pairs.iter().map(|pair| &pair.0)),
            theirs: Times::of(pairs.iter().map(|pair| &pair.1)),
            ratio: Ratio::of(&Sample::new(ratios)),
            cost: self.cost(),
        }
    }

    /// Measured beside the timed runs.
    fn cost(&self) -> Cost {
        let place = self.place(&self.scenes[0]);
        let memory = || {
            let held = Held::start(self.way.command(&place, Program::Hold)?, &self.errors)?;
            std::thread::sleep(Duration::from_millis(50));
            held.peak_private()
        };
        let said = |why: &String| eprintln!("bench: {}: {why}", self.rival.name);
        let calls = |strace: &Path| {
            let command = self.way.command(&place, Program::True);
            let counted = command.and_then(|it| system_calls(strace, &it, &self.errors));
            counted.inspect_err(said).ok()
        };
        Cost {
            peak_private_kib: match self.workload.memory {
                true => memory().inspect_err(said).ok(),
                false => None,
            },
            system_calls: self.bench.strace.as_deref().and_then(calls),
        }
    }
}

/// [`BATCH`] runs, as many at a time as there are runners.
fn batch(runners: &mut [Runner]) -> Result<Run> {
    let start = Instant::now();
    let mut left = BATCH;
    let mut cpu = Duration::ZERO;
    let mut failed = None;
    let mut slots = vec![None; runners.len()];
    loop {
        for (runner, slot) in runners.iter_mut().zip(&mut slots) {
            if slot.is_none() && left > 0 && failed.is_none() {
                *slot = Some(runner.start()?);
                left -= 1;
            }
        }
        if slots.iter().all(Option::is_none) {
            break;
        }
        // Orphans of others come by, too.
        let ended = sys::wait4(-1).map_err(|error| format!("wait4: {error}"))?;
        if let Some(slot) = slots.iter_mut().find(|slot| **slot == Some(ended.pid)) {
            *slot = None;
            cpu += ended.cpu;
            if ended.status != 0 {
                failed = Some(format!("wait status {:#x}", ended.status));
            }
        }
    }
    match failed {
        None => Ok(Run { wall: microseconds(start.elapsed()), cpu: microseconds(cpu) }),
        Some(why) => Err(why),
    }
}
