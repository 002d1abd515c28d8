//! Parent: the options that shape a container, or one process in it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use nsinit_config::{Container, DEFAULT_NAMESPACES, Mount, NamespaceEntry};
use nsinit_namespaces::Namespace;

use crate::directory::{Directory, Origin};

/// The values of `--network`.
pub(super) const NETWORKS: [&str; 2] = ["host", "none"];

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Shape {
    /// Set a variable in the program's environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = environment_entry)]
    pub(super) env: Vec<String>,
    /// Run as this user: name, uid, name:group or uid:gid
    #[arg(long)]
    pub(super) user: Option<String>,
    /// Run in this directory of the container
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    pub(super) cwd: Option<PathBuf>,
    /// Give the program a terminal of its own (default: when standard input and output are
    /// terminals)
    #[arg(long)]
    pub(super) tty: bool,
    /// Bind a file or directory of the host: SRC[:DST][:rw], read-only by default
    #[arg(long, value_name = "SRC[:DST][:rw]", value_parser = parse_bind)]
    pub(super) bind: Vec<Mount>,
    /// The network: the host's, or none but the loopback
    #[arg(long, value_parser = NETWORKS)]
    pub(super) network: Option<String>,
    /// The program and its arguments; without them "args" of the configuration
    #[arg(
        trailing_var_arg = true,
        value_name = "CMD",
        value_hint = ValueHint::CommandWithArguments
    )]
    pub(super) command: Vec<OsString>,
}

pub(super) fn environment_entry(text: &str) -> std::result::Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err("must be KEY=VALUE".into()),
    }
}

pub(super) fn absolute(text: &str) -> std::result::Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("must be absolute".into()) }
}

pub(super) fn parse_bind(text: &str) -> std::result::Result<Mount, String> {
    const FORM: &str = "must be SRC[:DST][:rw], with an absolute DST";
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts.as_slice() {
        [source] => (*source, None, "ro"),
        [source, mode @ ("rw" | "ro")] => (*source, None, *mode),
        [source, destination] => (*source, Some(*destination), "ro"),
        [source, destination, mode] => (*source, Some(*destination), *mode),
        _ => return Err(format!("{FORM}; \"mounts\" takes paths with a colon")),
    };
    if !matches!(mode, "rw" | "ro") {
        return Err(format!("ends with {mode:?}, which is neither rw nor ro"));
    }
    if source.is_empty() || destination.is_some_and(|path| !path.starts_with('/')) {
        return Err(FORM.into());
    }
    let resolved = std::path::absolute(source).map_err(|error| error.to_string())?;
    if resolved.to_str().is_none() {
        return Err("is relative to a directory whose path is not UTF-8".into());
    }
    let destination = destination.map_or_else(|| resolved.clone(), PathBuf::from);
    Ok(Mount { writable: mode == "rw", ..Mount::bind(resolved, destination) })
}

/// Whether a mount stands on, or below, what that one is mounted on.
fn gives_way(mount: &Mount, to: &Mount) -> bool {
    mount.destination.starts_with(&to.destination)
}

/// The directory of the built-in container that every user may write.
const COMMON_HOME: &str = "/tmp";

/// Root's home is closed to others.
fn leave_root_home(container: &mut Container) {
    container.working_dir = Some(COMMON_HOME.into());
    if let Some(environment) = &mut container.environment {
        environment.retain(|entry| !entry.starts_with("HOME=") && !entry.starts_with("USER="));
        environment.push(format!("HOME={COMMON_HOME}"));
    }
}

impl Shape {
    /// What shapes the whole container, and is sealed with it.
    pub(super) fn shape(&self, directory: &mut Directory) {
        let container = &mut directory.container;
        match self.network.as_deref() {
            Some("host") => {
                container.networks.clear();
                if matches!(directory.origin, Origin::BuiltIn) {
                    // The host's network is of little use without its names.
                    let names = Mount::bind("/etc/resolv.conf", "/etc/resolv.conf");
                    container.mounts.push(Mount { optional: true, ..names });
                }
                let entries = container.namespaces.get_or_insert_with(|| {
                    DEFAULT_NAMESPACES.into_iter().map(NamespaceEntry::from).collect()
                });
                entries.retain(|entry| entry.kind != Namespace::Net);
            }
            Some(_) => {
                container.networks.clear();
                if let Some(entries) = &mut container.namespaces {
                    entries.retain(|entry| entry.kind != Namespace::Net);
                    entries.push(Namespace::Net.into());
                }
            }
            None => {}
        }
        if matches!(directory.origin, Origin::BuiltIn) {
            // Its mounts are defaults of ours.
            container.mounts.retain(|mount| !self.bind.iter().any(|bind| gives_way(mount, bind)));
        }
        // Last, so that they are known by their place.
        container.mounts.extend(self.bind.iter().cloned());
    }

    /// Whether a container that runs already has the shape that is asked for.
    pub(super) fn matches(&self, container: &Container) -> bool {
        let entries = container.namespaces.as_ref();
        let own_network = entries.is_none_or(|all| all.iter().any(|e| e.kind == Namespace::Net));
        let network = match self.network.as_deref() {
            Some("host") => !own_network,
            Some(_) => own_network && container.networks.is_empty(),
            None => true,
        };
        network && self.bind.iter().all(|bind| container.mounts.contains(bind))
    }

    /// The option that gave a key its value, where it is not the configuration's, and for
    /// `--bind` which of them.
    pub(super) fn option_of(&self, key: &str, directory: &Directory) -> Option<String> {
        let index: Option<usize> =
            key.strip_prefix("mounts[").and_then(|rest| rest.split(']').next()?.parse().ok());
        let own_mounts = directory.container.mounts.len().saturating_sub(self.bind.len());
        match key {
            "user" if self.user.is_some() => Some("--user".into()),
            "working_dir" if self.cwd.is_some() => Some("--cwd".into()),
            _ => {
                let bind = self.bind.get(index?.checked_sub(own_mounts)?)?;
                let destination = bind.destination.display().to_string();
                Some(format!("--bind to {}", destination.escape_debug()))
            }
        }
    }

    /// What is meant for this process alone.
    pub(super) fn personal(&self, container: &mut Container, is_built_in: bool) {
        if let Some(user) = &self.user {
            container.user = Some(user.clone());
            if is_built_in && !matches!(user.split(':').next(), Some("" | "root" | "0")) {
                leave_root_home(container);
            }
        }
        if let Some(cwd) = &self.cwd {
            container.working_dir = Some(cwd.clone());
        }
        if self.tty {
            container.tty = Some(true);
        }
    }
}
