//! `cargo xtask bench`: builds what is measured and what measures, and becomes the latter.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::cargo::{build, cargo};
use crate::{Result, dist};

pub(crate) fn run(arguments: &[String]) -> Result {
    let mut command = Command::new(build(&mut cargo(["build", "--package", "bench"]))?);
    command.args(arguments);
    let given = |option: &str| arguments.iter().any(|argument| argument == option);
    if !(given("--from") || given("help") || given("--help") || given("-h")) {
        command.arg("--floor").arg(dist::floor()?);
        if !given("--binary") {
            let binary = if given("--order") { dist::with_symbols() } else { dist::lean() };
            command.arg("--binary").arg(binary?);
        }
    }
    Err(format!("bench: {}", command.exec()))
}
