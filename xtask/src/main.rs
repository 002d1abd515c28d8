//! The project's own commands: `cargo xtask COMMAND`.
//!
//! One file per command. No dependencies: this program is compiled before
//! anything else is, and has to be there at once.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a command says is its work")]

use std::process::ExitCode;

mod bench;
mod cargo;
mod ci;
mod dist;
mod docs;
mod source;
mod stats;
mod test;
mod tidy;
mod vm_test;

/// What every command returns: a sentence on failure.
type Result<T = ()> = std::result::Result<T, String>;

const USAGE: &str = "\
cargo xtask COMMAND

  test [-p PACKAGE] [FILTER] [-- ARGS]  build nsinit and the probe, run every test, say what did not run;
                                        without arguments the examples and the consumers too
  vm-test [OPTIONS] [-- FILTER]         the tests in virtual machines of other kernels, cgroups and label systems;
                                        docs/testing.md has the options and the cells
  ci                                    everything the gate asks for: format, clippy, tidy, test, docs, package
  tidy [--budget]                       the rules that a compiler does not check; --budget measures the first build
  docs                                  the documentation without warnings, and links that lead somewhere
  bench [--rounds N] [--json FILE]      our start-up time beside other runtimes', in alternating pairs
  dist                                  the release binaries, into target/dist
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{USAGE}");
        return Ok(ExitCode::from(2));
    };
    match command.as_str() {
        "test" => Ok(exit_code(test::run(rest)?.succeeded())),
        "vm-test" => vm_test::run(rest),
        "ci" => none(rest).and_then(|()| ci::run()),
        "tidy" => tidy::run(rest).map(|()| ExitCode::SUCCESS),
        "docs" => none(rest).and_then(|()| docs::run()).map(|()| ExitCode::SUCCESS),
        "bench" => bench::run(rest).map(|()| ExitCode::SUCCESS),
        "dist" => none(rest).and_then(|()| dist::run()).map(|()| ExitCode::SUCCESS),
        "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => {
            eprint!("xtask: no command {other:?}\n\n{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

fn exit_code(succeeded: bool) -> ExitCode {
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Refuses arguments where a command takes none.
fn none(arguments: &[String]) -> Result {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => Err(format!("unexpected argument {argument:?}")),
    }
}
