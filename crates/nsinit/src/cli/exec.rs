//! Parent: `nsinit exec`: start or join, as the directory's container lives or not.

use std::mem::ManuallyDrop;
use std::path::PathBuf;

use nsinit_config::{Container, RootfsSource};
use rustix::fs::Access;

use super::shape::Shape;
use super::{CommandLine, Exec, locate, make_plan, refuse_privileged_executable};
use crate::directory::Place;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::run;
use crate::seal::reexecute_sealed;

/// Re-executes a [usual](CommandLine::usual) line that will join, as it seems: whatever is done
/// before is done twice. Who is mistaken loses time; who joins all the same is sealed later.
pub fn reexecute_early(line: &CommandLine) {
    // There while a container lives.
    let pid = line.root.join("pid");
    if rustix::fs::access(&pid, Access::EXISTS).is_ok() && refuse_privileged_executable().is_ok() {
        // Why it cannot be done is told when it has to.
        let _ = reexecute_sealed(&line.arguments);
    }
}

pub(super) fn exec_command(line: &CommandLine, exec: &Exec, journal: &Journal) -> Result<u8> {
    /// A container that ends while it is joined is started anew, as often as that.
    const ATTEMPTS: usize = 8;
    let place = Place::find(&line.root)?;
    let mut session = run::Session::open(&place)?;
    if session.is_recorded() {
        // The lock is left by the re-execution, and taken again by the copy.
        reexecute_sealed(&line.arguments)?;
    }
    journal.done(|| "lock the container's entry".into());
    let mut attempt = 1;
    let code = loop {
        // A running container is joined as it was started, whatever its directory says now.
        let Some(mut state) = session.running()? else {
            break start(line, &place, session, exec, journal)?;
        };
        refuse_reshaping(&exec.shape, &state.container)?;
        let is_built_in = state.is_built_in();
        exec.shape.personal(&mut state.container, is_built_in);
        open_trace(exec, &place, &state.container, journal)?;
        journal.event(format_args!("join the running container"));
        let Shape { env, command, .. } = &exec.shape;
        let failure = match session.join(&state, env, command, journal) {
            Ok(code) => break code,
            Err(failure) => *failure,
        };
        match (failure.error, failure.held) {
            (error @ Error::Program { .. }, _) => return Err(error),
            // The lock is kept: nobody starts another container before this command.
            (_, Some(held)) if attempt < ATTEMPTS && state.is_ending() => session = held,
            (error, _) => return Err(error),
        }
        attempt += 1;
    };
    journal.event(format_args!("the program ended with {code}"));
    Ok(code)
}

fn refuse_reshaping(shape: &Shape, container: &Container) -> Result<()> {
    if shape.matches(container) {
        return Ok(());
    }
    Err(Error::Usage(
        "--bind and --network shape a container at its start: this one runs already, with others, \
         until its first program ends; leave them out, or use another directory (--root)"
            .into(),
    ))
}

fn start(
    line: &CommandLine,
    place: &Place,
    session: run::Session,
    exec: &Exec,
    journal: &Journal,
) -> Result<u8> {
    let mut directory = place.read()?;
    if directory.container.init.unwrap_or(false) {
        // Our own process stays inside as PID 1.
        reexecute_sealed(&line.arguments)?;
    }
    journal.done(|| "read the configuration".into());
    let run_directory = Some(session.directory());
    let (sealed, plan) = make_plan(&mut directory, &exec.shape, run_directory, journal)?;
    open_trace(exec, place, &directory.container, journal)?;
    // This process ends with the container. Taking the plan apart would only copy pages
    // that init shares.
    let (directory, plan) = (ManuallyDrop::new(directory), ManuallyDrop::new(plan));
    if let Some(remark) = directory.remark().filter(|_| !exec.quiet) {
        journal.remark(&remark);
    }
    journal.event(format_args!("start the container of {}", directory.path.display()));
    session
        .start(&directory, sealed, &plan, journal)
        .map_err(|error| locate(error, &directory, &exec.shape))
}

/// Nothing is written through what a container can change.
fn open_trace(exec: &Exec, place: &Place, container: &Container, journal: &Journal) -> Result<()> {
    let Some(file) = &exec.trace else { return Ok(()) };
    let root = match &container.rootfs {
        None => Some(place.path.clone()),
        Some(RootfsSource::Directory(path)) => Some(place.path.join(path)),
        Some(RootfsSource::Tmpfs(_)) => None,
    };
    let binds = container.mounts.iter().filter(|mount| mount.writable);
    let binds = binds.filter_map(|mount| mount.source.clone());
    let writable: Vec<PathBuf> = root.into_iter().chain(binds).collect();
    journal.open_trace(file, &writable)
}
