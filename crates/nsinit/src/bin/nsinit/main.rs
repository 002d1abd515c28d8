//! Parent: the command `nsinit`: arguments, one printed error, an exit code.
#![no_main]

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use nsinit::Error;
use nsinit::cli::{self, CommandLine};

mod arena {
    #[expect(unsafe_code, reason = "an allocator is unsafe to write")]
    pub(crate) mod sys;
}
#[expect(unsafe_code, reason = "the entry point that the C library calls")]
mod sys;

#[global_allocator]
static MEMORY: arena::sys::Arena = arena::sys::Arena::new();

/// What `main` is elsewhere: the exit code.
fn run(arguments: Vec<OsString>) -> u8 {
    let line = match understand(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help and version go to standard output, everything else to standard error.
            // Nobody is left to be told when they are closed.
            let _ = error.print().and_then(|()| std::io::stdout().flush());
            return if error.use_stderr() { 2 } else { 0 };
        }
    };
    match cli::run(&line) {
        Ok(code) => code,
        Err(error) if line.wants_json() => {
            let _ = std::io::stdout().write_all(format!("{}\n", error.to_json()).as_bytes());
            error.exit_code()
        }
        Err(error) if line.logs_errors() => error.exit_code(),
        Err(error) => report(&error),
    }
}

fn understand(arguments: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    if let Some(line) = CommandLine::usual(&arguments) {
        cli::reexecute_early(&line);
        MEMORY.map();
        return Ok(line);
    }
    MEMORY.map();
    let line = CommandLine::parse_arguments(arguments)?;
    // Of the memory that the parser took nothing is left then.
    Ok(MEMORY.rest(|| line.clone()))
}

/// Names in a message may come from whoever wrote the image: nothing in them moves the
/// cursor or looks like another message.
fn one_line(message: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    message.chars().map(escape).collect()
}

/// Whether standard error shows colours, and nobody objects (no-color.org).
fn colours() -> bool {
    let objection = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    std::io::stderr().is_terminal() && !objection && !dumb
}

fn report(error: &Error) -> u8 {
    let mut text = match error {
        // Faults of a configuration come with their own places.
        Error::Config(error) if colours() => format!("{}\n", error.faults().coloured()),
        Error::Config(error) => format!("{error}\n"),
        _ => format!("nsinit: {}\n", one_line(&error.to_string())),
    };
    if let Some(hint) = error.hint() {
        let lines: Vec<_> = hint.lines().map(one_line).collect();
        text.push_str(&format!("hint: {}\n", lines.join("\n")));
    }
    // Nobody is left to be told when standard error is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
    error.exit_code()
}
