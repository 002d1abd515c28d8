//! Parent: furniture → steps. Every choice between two ways is made here, from the
//! facts; the child has no fallback.

use std::borrow::Cow;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::child::{Kernel, MountSetattr, Openat2};
use crate::console::Console;
use crate::examine;
use crate::filesystem::{Parameter, Role};
use crate::identity::FileId;
use crate::mask::{Cover, Mask, ReadOnlyPath, Scratch, ScratchFile};
use crate::mount::{Filesystem, Kind};
use crate::node::DevLinks;
use crate::place::Place;
use crate::procfs::OpenProcfs;
use crate::root::{AttachRoot, DirectoryRoot, Isolate, Seal, TmpfsParameters};
use crate::rootfs::Origin;
use crate::site::Site;
use crate::{CgroupMode, Error, Facts, Furniture, Mount, Rootfs, Step};
use crate::{lower, nodes};

/// What is being planned, in the order in which it will stand there.
pub(crate) struct Planner<'a> {
    pub(crate) site: Site<'a>,
    pub(crate) facts: &'a Facts,
    /// For what has no label of its own.
    pub(crate) label: Option<Parameter>,
    pub(crate) steps: Vec<Step>,
    pub(crate) files: Vec<ScratchFile>,
    /// What becomes read-only when everything is in its place.
    pub(crate) seals: Vec<Place>,
}

/// Whether `/dev` is there without having been listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dev {
    Always,
    IfListed,
}

pub(crate) fn steps(root: &Rootfs, furniture: &Furniture, dev: Dev) -> Result<Vec<Step>, Error> {
    let facts = &furniture.facts;
    let (site, files, seals) = (Site::new(root), Vec::new(), Vec::new());
    let steps = Vec::with_capacity(usual_steps(furniture));
    let label = furniture.label.as_deref().map(label).transpose()?;
    let mut planner = Planner { site, facts, label, steps, files, seals };
    for mount in in_place(root, &furniture.mounts, dev)? {
        planner.mount(&mount, furniture)?;
    }
    planner.masks(furniture)?;
    planner.covers(root, furniture)?;
    if furniture.console {
        if !planner.site.holds("dev/pts") || planner.site.holds("dev/console") {
            let reason = "a console needs the devpts on /dev/pts and nothing else in its place";
            return Err(Error::device("/dev/console", reason));
        }
        planner.steps.push(Step::Console(Console));
    }
    if facts.new.net {
        delay_sysfs(&mut planner.steps);
    }
    let seals = planner.seals.drain(..).map(|at| Step::Seal(Seal { at: Some(at) }));
    planner.steps.extend(seals);
    if furniture.read_only_root {
        planner.steps.push(Step::Seal(Seal { at: None }));
    }
    planner.steps.push(Step::Pivot(furniture.pivot));
    planner.finish(root, furniture)
}

/// As many as there are, as a rule, with what is always there.
fn usual_steps(furniture: &Furniture) -> usize {
    let Furniture { mounts, devices, masked, read_only, covered, .. } = furniture;
    mounts.len() + devices.len() + masked.len() + read_only.len() + covered.len() + 8
}

/// The mounts that there will be: later ones in the place of earlier ones on the
/// same destination, and always one on `/dev`.
fn in_place<'a>(root: &Rootfs, given: &'a [Mount], dev: Dev) -> Result<Vec<Cow<'a, Mount>>, Error> {
    let slash_dev = Path::new("dev");
    let mut site = Site::new(root);
    if dev == Dev::Always {
        site.plan(slash_dev); // what the image has below its /dev will not be seen
    }
    let mut mounts: Vec<(PathBuf, Cow<'a, Mount>)> = Vec::new();
    for mount in given {
        let (at, _) = site.destination_of(mount)?;
        if !matches!(mount.kind, Kind::Symlink { .. }) {
            site.plan(&at);
        }
        match mounts.iter_mut().find(|(earlier, _)| earlier.as_os_str() == at.as_os_str()) {
            Some(earlier) => *earlier = (at, Cow::Borrowed(mount)),
            None => mounts.push((at, Cow::Borrowed(mount))),
        }
    }
    if dev == Dev::Always && mounts.iter().all(|(at, _)| at.as_os_str() != slash_dev.as_os_str()) {
        let after_proc = mounts.iter().position(|(at, _)| at.as_os_str() == "proc");
        mounts.insert(
            after_proc.map_or(0, |proc| proc + 1),
            (slash_dev.into(), Cow::Owned(Mount::dev())),
        );
    }
    Ok(mounts.into_iter().map(|(_, mount)| mount).collect())
}

impl Planner<'_> {
    fn mount(&mut self, mount: &Mount, furniture: &Furniture) -> Result<(), Error> {
        match &mount.kind {
            Kind::Filesystem(filesystem) => {
                self.filesystem(mount, *filesystem)?;
                let dev = |step: &Step| matches!(step, Step::Mount(made) if made.role == Role::Dev);
                if self.steps.last().is_some_and(dev) {
                    nodes::plan(self, &furniture.devices)?;
                    self.steps.push(Step::DevLinks(DevLinks));
                }
                Ok(())
            }
            Kind::Bind { source } => self.bind(mount, source),
            Kind::File { content, mode } => self.file(mount, content, *mode),
            Kind::Symlink { target } => self.link(mount, target),
        }
    }

    /// Where the kernel refuses a new instance in a user namespace the host's is
    /// bound; where there is nothing of the container's own to show, nothing is.
    fn filesystem(&mut self, mount: &Mount, filesystem: Filesystem) -> Result<(), Error> {
        let (user, new) = (self.facts.user_namespace, self.facts.new);
        match filesystem {
            Filesystem::Proc if user && !new.pid => self.bind_of_host(mount, "/proc"),
            Filesystem::Sysfs if user && !new.net => self.bind_of_host(mount, "/sys"),
            Filesystem::Mqueue if !new.ipc => Ok(()),
            Filesystem::Cgroup if !new.cgroup => Ok(()),
            Filesystem::Cgroup => match &self.facts.cgroup {
                CgroupMode::None => Ok(()),
                CgroupMode::Unified => lower::filesystem(self, mount, filesystem),
                CgroupMode::Legacy(hierarchies) => lower::legacy_cgroups(self, mount, hierarchies),
            },
            _ => lower::filesystem(self, mount, filesystem),
        }
    }

    fn masks(&mut self, furniture: &Furniture) -> Result<(), Error> {
        for path in self.in_each_instance(&furniture.masked) {
            let at = self.site.existing(&path)?;
            self.steps.push(Step::Mask(Mask { at }));
        }
        if self.facts.user_namespace && !self.facts.new.net && !self.site.holds("sys/fs/cgroup") {
            // The host's /sys is bound: the caller's own cgroups would be writable.
            let at = self.site.existing(Path::new("/sys/fs/cgroup"))?;
            self.steps.push(Step::Mask(Mask { at }));
        }
        for path in self.in_each_instance(&furniture.read_only) {
            let at = self.site.existing(&path)?;
            self.steps.push(Step::ReadOnly(ReadOnlyPath { at }));
        }
        Ok(())
    }

    /// Paths, and where those below `/proc` and `/sys` are in every other procfs and sysfs.
    fn in_each_instance(&self, paths: &[PathBuf]) -> Vec<PathBuf> {
        let mut all = paths.to_vec();
        for (filesystem, usual) in [("proc", "/proc"), ("sysfs", "/sys")] {
            let instances = self.steps.iter().filter(|s| s.filesystem() == Some(filesystem));
            for instance in instances.map(Step::object).filter(|at| *at != Path::new(usual)) {
                let below = paths.iter().filter_map(|path| path.strip_prefix(usual).ok());
                all.extend(below.map(|below| instance.join(below)));
            }
        }
        all
    }

    fn covers(&mut self, root: &Rootfs, furniture: &Furniture) -> Result<(), Error> {
        for file in &furniture.covered {
            let found = self.in_binds(file)?.into_iter().chain(below_root(root, file)?);
            for below in found.collect::<Vec<_>>() {
                let at = Place::new(&examine::absolute(&below), &below)?;
                self.steps.push(Step::Cover(Cover { at }));
            }
        }
        Ok(())
    }

    /// Where a file of the host lies in what is bound writable, if its own directory is.
    fn in_binds(&self, file: &Path) -> Result<Vec<PathBuf>, Error> {
        let binds = self.steps.iter().filter_map(|step| match step {
            Step::Bind(bind) if !bind.is_read_only() => Some(bind),
            _ => None,
        });
        let mut binds = binds.peekable();
        if binds.peek().is_none() {
            return Ok(Vec::new());
        }
        let OwnName { directory, name } = OwnName::of(file)?;
        let id = id_of(directory)?;
        let below = |place: &Place| Path::new(OsStr::from_bytes(place.whole.to_bytes())).join(name);
        Ok(binds.filter(|bind| bind.id == id).map(|bind| below(&bind.at)).collect())
    }

    /// The steps that come first need to know the others.
    fn finish(mut self, root: &Rootfs, furniture: &Furniture) -> Result<Vec<Step>, Error> {
        let Facts { user_namespace, new, openat2, mount_setattr, .. } = *self.facts;
        let kernel = Kernel {
            openat2: if openat2 { Openat2::Present } else { Openat2::Missing },
            mount_setattr: match mount_setattr {
                true => MountSetattr::Present,
                false => MountSetattr::Missing,
            },
        };
        let procfs = match user_namespace && !new.pid {
            true => OpenProcfs::OfHost,
            false => OpenProcfs::New,
        };
        let first = [
            Step::Isolate(Isolate { kernel }),
            Step::Procfs(procfs),
            Step::Root(attach(root, furniture, &self.label)?),
            Step::Scratch(scratch(self.files, self.label)?),
        ];
        self.steps.splice(0..0, first);
        Ok(self.steps)
    }
}

/// Only sysfs needs the new network namespace, which is long in the making: it is left for
/// the end, and what stands in it.
fn delay_sysfs(steps: &mut [Step]) {
    let sysfs = |step: &Step| step.filesystem() == Some("sysfs");
    let Some(first) = steps.iter().position(sysfs) else { return };
    let Some(at) = steps[first].place().cloned() else { return };
    let within = |step: &Step| step.place().is_some_and(|place| place.is_within(&at));
    let mut end = first;
    for index in first..steps.len() {
        if !within(&steps[index]) {
            steps[end..=index].rotate_right(1);
            end += 1;
        }
    }
}

fn attach(
    root: &Rootfs,
    furniture: &Furniture,
    label: &Option<Parameter>,
) -> Result<AttachRoot, Error> {
    Ok(match &root.origin {
        Origin::Directory { path, id, .. } => AttachRoot::Directory {
            path: DirectoryRoot {
                path: examine::c_string(path)?,
                id: *id,
                read_only: furniture.read_only_root,
            },
        },
        Origin::Tmpfs(limits) => {
            let (size, inodes) = (limits.size, limits.inodes);
            let mut parameters = vec![
                parameter(c"size", size)?,
                parameter(c"nr_inodes", inodes)?,
                Parameter { key: c"mode".into(), value: Some(c"755".into()) },
            ];
            parameters.extend(label.clone());
            AttachRoot::Tmpfs { parameters: TmpfsParameters(parameters) }
        }
    })
}

fn scratch(files: Vec<ScratchFile>, label: Option<Parameter>) -> Result<Scratch, Error> {
    /// With its label, which has at most 4095 bytes and is counted since Linux 6.6.
    const INODES_OF_A_FILE: u64 = 6;
    let page = rustix::param::page_size() as u64;
    let pages: u64 = files.iter().map(|file| (file.content.len() as u64).div_ceil(page)).sum();
    // The root, three directories, an empty file, and one to spare.
    let mut parameters = vec![
        parameter(c"size", (pages + 4) * page)?,
        parameter(c"nr_inodes", INODES_OF_A_FILE * (files.len() as u64 + 5))?,
        Parameter { key: c"mode".into(), value: Some(c"755".into()) },
    ];
    parameters.extend(label);
    Ok(Scratch { parameters, files })
}

fn label(label: &str) -> Result<Parameter, Error> {
    let value = CString::new(label);
    let value = value.map_err(|_| Error::unusable("/", "label holds a NUL byte"))?;
    Ok(Parameter { key: c"context".into(), value: Some(value) })
}

fn parameter(key: &std::ffi::CStr, number: u64) -> Result<Parameter, Error> {
    let value = CString::new(number.to_string());
    let value = value.map_err(|_| Error::unusable("/", "number holds a NUL byte"))?;
    Ok(Parameter { key: key.into(), value: Some(value) })
}

/// A file of the host by its name and the directory that has it.
struct OwnName<'a> {
    directory: &'a Path,
    name: &'a OsStr,
}

impl<'a> OwnName<'a> {
    fn of(file: &'a Path) -> Result<OwnName<'a>, Error> {
        let Some(name) = file.file_name() else {
            return Err(Error::unusable(file, "path does not name a file"));
        };
        let directory = match file.parent() {
            Some(parent) if parent.as_os_str().as_bytes().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => Path::new("/"),
        };
        Ok(OwnName { directory, name })
    }
}

fn id_of(path: &Path) -> Result<FileId, Error> {
    let stat = rustix::fs::stat(path).map_err(|errno| Error::io(path, errno))?;
    Ok(FileId::from(&stat))
}

/// Where a file of the host lies below the root directory, whatever path leads to
/// it: the directories above it are compared by device and inode.
fn below_root(root: &Rootfs, file: &Path) -> Result<Option<PathBuf>, Error> {
    let Origin::Directory { id, .. } = &root.origin else { return Ok(None) };
    let OwnName { directory, name } = OwnName::of(file)?;
    if id_of(directory)? == *id {
        return Ok(Some(name.into()));
    }
    let real = examine::canonical(directory)?;
    for above in real.ancestors().skip(1) {
        if id_of(above)? == *id {
            let below = real.strip_prefix(above).unwrap_or(Path::new(""));
            return Ok(Some(below.join(name)));
        }
    }
    Ok(None)
}
