//! Parent: one mount → its step.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::FileType;

use crate::attributes::Attributes;
use crate::bind::{Bind, BindFile};
use crate::examine;
use crate::filesystem::{Instance, MountFilesystem, OverProc, Role};
use crate::identity::FileId;
use crate::mask::ScratchFile;
use crate::mount::Filesystem;
use crate::node::Link;
use crate::options::{self, Options};
use crate::place::Place;
use crate::plan::Planner;
use crate::procfs;
use crate::resolve::Want;
use crate::root::Seal;
use crate::sys::Depth;
use crate::{Error, Hierarchy, Mount, Step};

/// Plans a new filesystem.
pub(crate) fn filesystem(
    planner: &mut Planner<'_>,
    mount: &Mount,
    filesystem: Filesystem,
) -> Result<(), Error> {
    let mut options = options::parse(mount)?;
    let (at, over_proc) = planner.site.mount_point(mount, Want::Directory)?;
    let role = match filesystem {
        Filesystem::Dev | Filesystem::Tmpfs if at.whole.as_c_str() == c"dev" => Role::Dev,
        _ => Role::Other,
    };
    complete(planner, mount, filesystem, role, &mut options)?;
    let mut parameters = options::parameters(mount, &options.parameters)?;
    if takes_label(filesystem) && !is_given(&options, "context") {
        parameters.extend(planner.label.clone());
    }
    let tmpfs = matches!(filesystem, Filesystem::Dev | Filesystem::Tmpfs);
    if tmpfs && options.attributes.set & libc::MOUNT_ATTR_RDONLY != 0 {
        options.attributes.set &= !libc::MOUNT_ATTR_RDONLY;
        planner.seals.push(at.clone());
    }
    planner.steps.push(Step::Mount(Box::new(MountFilesystem {
        name: filesystem.name(),
        instance: instance(filesystem, &options),
        parameters,
        attributes: options.attributes,
        at,
        over_proc,
        role,
    })));
    Ok(())
}

/// Those whose files are made by whoever mounts them, in every user namespace.
fn takes_label(filesystem: Filesystem) -> bool {
    matches!(filesystem, Filesystem::Tmpfs | Filesystem::Dev | Filesystem::Devpts)
}

fn is_given(options: &Options, key: &str) -> bool {
    options.parameters.iter().any(|(given, _)| given == key)
}

/// A procfs with the flags and parameters of the child's own need not be another one.
fn instance(filesystem: Filesystem, options: &Options) -> Instance {
    let plain = Attributes { set: procfs::FLAGS.bits().into(), clear: 0, propagation: 0 };
    match filesystem {
        Filesystem::Proc if options.attributes == plain && options.parameters.is_empty() => {
            Instance::OfProcfs
        }
        _ => Instance::New,
    }
}

/// What depends on facts, and on where the filesystem is mounted.
fn complete(
    planner: &Planner<'_>,
    mount: &Mount,
    filesystem: Filesystem,
    role: Role,
    options: &mut Options,
) -> Result<(), Error> {
    if filesystem == Filesystem::Devpts && planner.facts.maps_tty_gid && !is_given(options, "gid") {
        options.parameters.push(("gid".to_owned(), Some("5".to_owned())));
    }
    if role == Role::Dev && !is_given(options, "mode") {
        options.parameters.push(("mode".to_owned(), Some("755".to_owned())));
    }
    let labelled = takes_label(filesystem);
    if planner.facts.user_namespace && !labelled && is_given(options, "context") {
        let reason = "works on tmpfs and devpts only in a user namespace";
        return Err(options::refuse(mount, "context", reason, None));
    }
    Ok(())
}

/// Version 1: a tmpfs with one directory for each hierarchy, and a link for each
/// controller of a hierarchy that has several; read-only in the end.
pub(crate) fn legacy_cgroups(
    planner: &mut Planner<'_>,
    mount: &Mount,
    hierarchies: &[Hierarchy],
) -> Result<(), Error> {
    let mut options = options::parse(mount)?;
    let read_only = options.attributes.set & libc::MOUNT_ATTR_RDONLY != 0;
    let top =
        Attributes { set: options.attributes.set & !libc::MOUNT_ATTR_RDONLY, ..options.attributes };
    options.parameters = vec![("mode".to_owned(), Some("755".to_owned()))];
    let (at, over_proc) = planner.site.mount_point(mount, Want::Directory)?;
    let base = mount.destination.clone();
    let push =
        |planner: &mut Planner<'_>, name: &'static CStr, at, attributes, parameters: &[_]| {
            let mut parameters = options::parameters(mount, parameters)?;
            parameters.extend(planner.label.clone().filter(|_| name == c"tmpfs"));
            let role = Role::Other;
            let instance = Instance::New;
            let step =
                MountFilesystem { name, instance, parameters, attributes, at, over_proc, role };
            planner.steps.push(Step::Mount(Box::new(step)));
            Ok(())
        };
    push(planner, c"tmpfs", at.clone(), top, &options.parameters)?;
    for Hierarchy { directory, controllers } in hierarchies {
        let path = base.join(directory);
        let place = Place::new(&path, &examine::relative(&path)?)?;
        if controllers.is_empty() {
            push(planner, c"cgroup2", place, options.attributes, &[])?;
            continue;
        }
        let parameters: Vec<_> = controllers.split(',').flat_map(controller).collect();
        push(planner, c"cgroup", place, options.attributes, &parameters)?;
        for name in controllers.split(',').filter(|_| controllers.contains(',')) {
            let path = base.join(name);
            let at = Place::new(&path, &examine::relative(&path)?)?;
            let target = examine::c_string(Path::new(directory))?;
            planner.steps.push(Step::Link(Link { at, target }));
        }
    }
    if read_only {
        planner.steps.push(Step::Seal(Seal { at: Some(at) }));
    }
    Ok(())
}

/// A named hierarchy has no controller, which the kernel wants to be told.
fn controller(name: &str) -> Vec<(String, Option<String>)> {
    match name.strip_prefix("name=") {
        Some(name) => {
            vec![("none".to_owned(), None), ("name".to_owned(), Some(name.to_owned()))]
        }
        None => vec![(name.to_owned(), None)],
    }
}

/// A generated file is read-only and has no other options; a link has none.
fn without_options(mount: &Mount) -> Result<(), Error> {
    options::parse(mount)?;
    let reason = "is for mounts, not for generated files and links";
    let propagation = mount.propagation.map(|flow| flow.name());
    match mount.options.iter().map(AsRef::as_ref).chain(propagation).find(|word| *word != "ro") {
        Some(option) => Err(options::refuse(mount, option, reason, None)),
        None => Ok(()),
    }
}

impl Planner<'_> {
    pub(crate) fn bind(&mut self, mount: &Mount, source: &Path) -> Result<(), Error> {
        if !source.is_absolute() {
            return Err(Error::unusable(source, "source is not absolute"));
        }
        let real = match source.canonicalize() {
            Ok(real) => real,
            Err(error) if mount.optional && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(());
            }
            Err(error) => return Err(Error::io(source, error)),
        };
        let stat = rustix::fs::lstat(&real).map_err(|errno| Error::io(source, errno))?;
        let id = FileId::from(&stat);
        let mut options = options::parse(mount)?;
        let device = matches!(id.kind, FileType::CharacterDevice | FileType::BlockDevice);
        if device {
            options.attributes.set &= !libc::MOUNT_ATTR_NODEV;
        }
        if options.attributes.propagation == 0 {
            options.attributes.propagation = libc::MS_SLAVE;
        }
        let want = if id.kind == FileType::Directory { Want::Directory } else { Want::File };
        let (at, over_proc) = self.site.mount_point(mount, want)?;
        self.push_bind(mount, source, &real, id, options, (at, want, over_proc))
    }

    fn push_bind(
        &mut self,
        mount: &Mount,
        given: &Path,
        real: &Path,
        id: FileId,
        options: Options,
        (at, want, over_proc): (Place, Want, OverProc),
    ) -> Result<(), Error> {
        let recursive = options.recursive.unwrap_or(mount.recursive);
        self.steps.push(Step::Bind(Box::new(Bind {
            source: examine::c_string(real)?,
            given: given.to_owned(),
            id,
            at,
            want,
            depth: if recursive { Depth::Tree } else { Depth::Top },
            attributes: options.attributes,
            over_proc,
        })));
        Ok(())
    }

    /// The host's `/proc` or `/sys` in the place of a new one, with the same flags.
    /// Parameters of the filesystem are the host's.
    pub(crate) fn bind_of_host(&mut self, mount: &Mount, source: &str) -> Result<(), Error> {
        let source = Path::new(source);
        let stat = rustix::fs::lstat(source).map_err(|errno| Error::io(source, errno))?;
        let mut options = options::parse(mount)?;
        options.recursive = Some(true);
        options.attributes.propagation = libc::MS_PRIVATE;
        let (at, over_proc) = self.site.mount_point(mount, Want::Directory)?;
        let place = (at, Want::Directory, over_proc);
        self.push_bind(mount, source, source, FileId::from(&stat), options, place)
    }

    pub(crate) fn file(&mut self, mount: &Mount, content: &[u8], mode: u32) -> Result<(), Error> {
        without_options(mount)?;
        let (at, over_proc) = self.site.mount_point(mount, Want::File)?;
        let name = examine::c_string(Path::new(&format!("file-{}", self.files.len())))?;
        let (content, mode) = (content.to_vec(), mode & 0o777);
        self.files.push(ScratchFile { name: name.clone(), content, mode });
        self.steps.push(Step::File(BindFile { name, at, over_proc }));
        Ok(())
    }

    pub(crate) fn link(&mut self, mount: &Mount, target: &Path) -> Result<(), Error> {
        without_options(mount)?;
        if target.as_os_str().as_bytes().is_empty() {
            return Err(Error::unusable(
                &mount.destination,
                "target of the symbolic link is empty",
            ));
        }
        let at = self.site.link(mount)?;
        self.steps.push(Step::Link(Link { at, target: examine::c_string(target)? }));
        Ok(())
    }
}
