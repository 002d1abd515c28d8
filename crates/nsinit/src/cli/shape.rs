//! Parent: the options that shape a container, or one process in it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use nsinit_config::{Container, Mount, NamespaceEntry};
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
    let (paths, writable) = match text.strip_suffix(":rw") {
        Some(paths) => (paths, true),
        None => (text.strip_suffix(":ro").unwrap_or(text), false),
    };
    let (source, destination) = paths.split_once(':').unwrap_or((paths, paths));
    if source.is_empty() || !(destination.starts_with('/') || destination == source) {
        return Err("must be SRC[:DST][:rw], with an absolute DST".into());
    }
    let resolved = std::path::absolute(source).map_err(|error| error.to_string())?;
    let destination = match paths.contains(':') {
        true => PathBuf::from(destination),
        false => resolved.clone(),
    };
    Ok(Mount { writable, ..Mount::bind(resolved, destination) })
}

impl Shape {
    /// What shapes the whole container, and is sealed with it.
    pub(super) fn shape(&self, directory: &mut Directory) {
        let container = &mut directory.container;
        let all_but_net =
            [Namespace::Mount, Namespace::Uts, Namespace::Ipc, Namespace::Pid, Namespace::Cgroup];
        match self.network.as_deref() {
            Some("host") => {
                container.networks.clear();
                if matches!(directory.origin, Origin::BuiltIn) {
                    // The host's network is of little use without its names.
                    let names = Mount::bind("/etc/resolv.conf", "/etc/resolv.conf");
                    container.mounts.push(Mount { optional: true, ..names });
                }
                let entries = container.namespaces.get_or_insert_with(|| {
                    all_but_net.into_iter().map(NamespaceEntry::from).collect()
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
        // Last, so that they are known by their place.
        container.mounts.extend(self.bind.iter().cloned());
    }

    /// The option that gave a key its value, where it is not the configuration's.
    pub(super) fn option_of(&self, key: &str, directory: &Directory) -> Option<&'static str> {
        let index =
            key.strip_prefix("mounts[").and_then(|rest| rest.split(']').next()?.parse().ok());
        let own_mounts = directory.container.mounts.len().saturating_sub(self.bind.len());
        match key {
            "user" if self.user.is_some() => Some("--user"),
            "working_dir" if self.cwd.is_some() => Some("--cwd"),
            _ if index.is_some_and(|index: usize| index >= own_mounts) => Some("--bind"),
            _ => None,
        }
    }

    /// What is meant for this process alone.
    pub(super) fn personal(&self, container: &mut Container) {
        if let Some(user) = &self.user {
            container.user = Some(user.clone());
        }
        if let Some(cwd) = &self.cwd {
            container.working_dir = Some(cwd.clone());
        }
        if self.tty {
            container.tty = Some(true);
        }
    }
}
