//! Running cargo, and finding what it built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// The directory of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let manifest = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    manifest.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The directory that cargo builds in.
pub(crate) fn target_dir() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(chosen.unwrap_or_else(|| PathBuf::from("target")))
}

/// `cargo ARGUMENTS` in the workspace's directory, without standard input.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs `command`; anything but success is an error that shows the command.
pub(crate) fn succeed(command: &mut Command) -> Result {
    let status = command.status().map_err(|error| format!("{}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", shown(command))) }
}

/// Runs `command` and returns its standard output; standard error is shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", shown(command)))?;
    if !done.status.success() {
        return Err(format!("{}: {}", shown(command), done.status));
    }
    String::from_utf8(done.stdout).map_err(|_| format!("{}: output is not UTF-8", shown(command)))
}

/// Runs `cargo build …` and returns the path of the executable it made.
pub(crate) fn build(command: &mut Command) -> Result<PathBuf> {
    let messages = output(command.arg("--message-format=json-render-diagnostics"))?;
    let key = "\"executable\":\"";
    let mut paths = messages.lines().filter_map(|line| {
        let start = line.find(key)? + key.len();
        Some(PathBuf::from(line[start..].split('"').next()?))
    });
    paths.next_back().ok_or_else(|| format!("{}: no executable was built", shown(command)))
}

/// The triple of the machine that rustc runs on, such as `x86_64-unknown-linux-gnu`.
pub(crate) fn host_triple() -> Result<String> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// The caller's RUSTFLAGS, and linking without shared libraries. Only for
/// builds with `--target`: without one, the flag would reach procedural
/// macros, which are shared libraries.
pub(crate) fn static_rustflags() -> String {
    let inherited = std::env::var("RUSTFLAGS").unwrap_or_default();
    format!("{inherited} -C target-feature=+crt-static").trim().to_owned()
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
