//! The command line of one run: the settings of its caller, then nsinit.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::needs::is_root;
use crate::programs;

/// `nsinit ARGUMENTS` in `directory`, with an environment of its own.
pub(crate) fn command(
    directory: &Path,
    settings: &[String],
    environment: &[(String, OsString)],
) -> Command {
    let (nsinit, probe) = (programs::nsinit(), programs::probe());
    let mut command = if settings.is_empty() {
        Command::new(nsinit)
    } else {
        let mut command = Command::new(probe);
        command.arg("with").args(settings).arg("--").arg(nsinit);
        command
    };
    let home = if is_root() { "/root" } else { "/" };
    command.current_dir(directory).env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", home).env("TERM", "xterm").env("HOST_SECRET", "host-secret");
    command.envs(environment.iter().map(|(key, value)| (key, value)));
    command
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
