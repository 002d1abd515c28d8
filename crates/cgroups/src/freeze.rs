//! Parent: stopping all processes of a cgroup at once, and letting them go on.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::cgroup::{Cgroup, Member};
use crate::dir::Dir;
use crate::error::Error;
use crate::hierarchy::Version;

/// How long the kernel gets to stop or start all processes.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Stops every process of the cgroup and below it; returns when they stand still.
    ///
    /// # Errors
    /// [`Error::Timeout`] after ten seconds, with everything running again;
    /// [`Error::State`] when the caller itself is in the cgroup or there is no
    /// freezer; [`Error::Io`] with the file.
    pub fn freeze(&self) -> Result<(), Error> {
        self.refuse_own("freezing")?;
        let member = self.freezer("freezing")?;
        let frozen = freeze(member, Instant::now() + PATIENCE);
        if frozen.is_err() {
            // Half frozen is the one state that must not stay.
            let _ = request(member, false);
        }
        frozen
    }

    /// Lets the processes go on; returns when they do.
    ///
    /// # Errors
    /// [`Error::Timeout`] when a cgroup above is frozen, too; [`Error::Io`] with the file.
    pub fn thaw(&self) -> Result<(), Error> {
        let member = self.freezer("thawing")?;
        let deadline = Instant::now() + PATIENCE;
        request(member, false)?;
        match member.version {
            Version::V2 => await_event(member.leaf(), "frozen", "0", deadline, "it to thaw"),
            Version::V1 => match member.leaf().read("freezer.state")?.trim() {
                "THAWED" => Ok(()),
                state => Err(Error::State {
                    path: member.leaf().path().to_owned(),
                    state: state.to_owned(),
                    prevents: "thawing: a cgroup above it is frozen",
                }),
            },
        }
    }

    /// The member that can stop processes; v2's is preferred because what it
    /// has stopped can still be killed.
    fn freezer(&self, prevents: &'static str) -> Result<&Member, Error> {
        let unified = self.unified().filter(|member| member.leaf().has("cgroup.freeze"));
        let found = unified.or_else(|| self.members().iter().find(|member| member.has("freezer")));
        found.ok_or_else(|| Error::State {
            path: self.paths().into_iter().next().unwrap_or_default(),
            state: "without a freezer".to_owned(),
            prevents,
        })
    }

    /// Stopping or killing the cgroup that one is in would end the caller halfway.
    pub(crate) fn refuse_own(&self, prevents: &'static str) -> Result<(), Error> {
        let own = std::process::id();
        match self.processes()?.contains(&own) {
            false => Ok(()),
            true => Err(Error::State {
                path: self.paths().into_iter().next().unwrap_or_default(),
                state: format!("the caller (process {own}) is in it"),
                prevents,
            }),
        }
    }

    /// Whoever enters a frozen cgroup stands still at once.
    pub(crate) fn refuse_frozen(&self) -> Result<(), Error> {
        match self.frozen() {
            None => Ok(()),
            Some((path, state)) => {
                let path = path.to_owned();
                Err(Error::State { path, state, prevents: "entering it" })
            }
        }
    }

    /// The first directory that is frozen or about to be, itself or from above.
    pub(crate) fn frozen(&self) -> Option<(&Path, String)> {
        self.members().iter().find_map(|member| {
            let state = match member.version {
                Version::V2 => {
                    let events = member.leaf().read_raw("cgroup.events").ok()?;
                    events.lines().any(|line| line == "frozen 1").then(|| "frozen".to_owned())?
                }
                Version::V1 if member.has("freezer") => {
                    let state = member.leaf().read_raw("freezer.state").ok()?;
                    (state.trim() != "THAWED").then(|| state.trim().to_owned())?
                }
                Version::V1 => return None,
            };
            Some((member.leaf().path(), state))
        })
    }

    /// Lets everything run, in every hierarchy, as far as the kernel permits it.
    pub(crate) fn thaw_quietly(&self) {
        for member in self.members() {
            let _ = request(member, false);
            if member.version == Version::V1 && member.has("freezer") {
                let _ = thaw_below(member.leaf());
            }
        }
    }

    /// Stops what can be stopped before it is killed, for a short time; v1
    /// first, because `cgroup.kill` has seen to v2 where there is one.
    pub(crate) fn freeze_quietly(&self, patience: Duration) {
        let v1 = self.members().iter().find(|member| member.has("freezer"));
        if let Some(member) = v1.or_else(|| self.freezer("freezing").ok()) {
            let _ = freeze(member, Instant::now() + patience);
        }
    }
}

/// Lets go what was frozen by itself below a directory of version 1.
fn thaw_below(top: &Dir) -> Result<(), Error> {
    let mut pending: Vec<PathBuf> = top.children()?.into_iter().map(PathBuf::from).collect();
    while let Some(below) = pending.pop() {
        // One that is gone by now needs nothing.
        let Ok(dir) = top.child(&below) else { continue };
        let _ = dir.write("freezer.state", "THAWED");
        pending.extend(dir.children()?.into_iter().map(|name| below.join(name)));
    }
    Ok(())
}

fn request(member: &Member, frozen: bool) -> Result<(), Error> {
    match member.version {
        Version::V2 => member.leaf().write("cgroup.freeze", if frozen { "1" } else { "0" }),
        Version::V1 if member.has("freezer") => {
            member.leaf().write("freezer.state", if frozen { "FROZEN" } else { "THAWED" })
        }
        Version::V1 => Ok(()),
    }
}

fn freeze(member: &Member, deadline: Instant) -> Result<(), Error> {
    request(member, true)?;
    if member.version == Version::V2 {
        return await_event(member.leaf(), "frozen", "1", deadline, "it to freeze");
    }
    let mut pause = Pause::new();
    loop {
        let state = member.leaf().read("freezer.state")?;
        if state.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::Timeout {
                path: member.leaf().path().to_owned(),
                awaited: "it to freeze",
                found: format!("freezer.state is {}", state.trim()),
            });
        }
        pause.sleep();
        // A process that was born meanwhile can leave the state at FREEZING;
        // asking again makes the kernel look again (cgroup-v1/freezer-subsystem.rst).
        request(member, true)?;
    }
}

/// Waits until `cgroup.events` has the value; the kernel wakes those who poll it.
pub(crate) fn await_event(
    dir: &Dir,
    key: &str,
    value: &str,
    deadline: Instant,
    awaited: &'static str,
) -> Result<(), Error> {
    let path = dir.path().join("cgroup.events");
    let failed = |errno| match errno {
        Errno::NODEV | Errno::NOENT => Error::Gone { path: dir.path().to_owned() },
        _ => Error::io("wait", &path, errno),
    };
    let events = dir.file("cgroup.events", OFlags::RDONLY).map_err(failed)?;
    let wanted = format!("{key} {value}");
    loop {
        // Reading arms the notification, so that nothing is lost in between.
        let mut text = [0; 256];
        let length = rustix::io::pread(&events, &mut text, 0).map_err(failed)?;
        let text = String::from_utf8_lossy(&text[..length]).into_owned();
        if text.lines().any(|line| line == wanted) {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let found = text.trim().replace('\n', ", ");
            return Err(Error::Timeout { path: dir.path().to_owned(), awaited, found });
        }
        let timeout =
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
}

/// Growing waits for what the kernel gives no notification of: 1 ms to 64 ms.
pub(crate) struct Pause(Duration);

impl Pause {
    pub(crate) fn new() -> Pause {
        Pause(Duration::from_millis(1))
    }

    pub(crate) fn sleep(&mut self) {
        thread::sleep(self.0);
        self.0 = (self.0 * 2).min(Duration::from_millis(64));
    }
}
