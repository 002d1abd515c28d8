//! The command `nsinit`: arguments, one printed error, an exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use nsinit::Error;
use nsinit::cli::{self, CommandLine};

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version go to standard output, everything else to standard error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match cli::run(&line) {
        Ok(code) => ExitCode::from(code),
        Err(error) => report(&error),
    }
}

fn report(error: &Error) -> ExitCode {
    let mut text = match error {
        // Faults of a configuration come with their own places.
        Error::Config(_) => format!("{error}\n"),
        _ => format!("nsinit: {error}\n"),
    };
    if let Some(hint) = error.hint() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    // Nobody is left to be told when standard error is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(error.exit_code())
}
