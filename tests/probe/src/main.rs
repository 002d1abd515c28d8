//! The program of the black-box tests. It is linked statically, runs inside
//! the containers and prints facts, one a line; tests compare its output.
//!
//! `probe FACT ARGUMENTS [, FACT ARGUMENTS]…`: facts one after the other.
//! `probe with SETTING… -- COMMAND`: on the host, a caller with peculiar
//! settings for the command (see `caller`).
#![no_main]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints facts")]

use std::io::{self, Write};

mod attacks;
mod caller;
mod facts;
mod files;
mod network;
mod signals;
#[expect(unsafe_code, reason = "system calls that rustix lacks")]
mod sys;
mod terminal;
mod trace;

/// The arguments of one fact.
type Words<'a> = &'a [String];

/// Called by `sys::main`; returns the exit status.
fn run(arguments: &[String]) -> i32 {
    if arguments.first().is_some_and(|word| word == "with") {
        return failed("with", &caller::become_caller(&arguments[1..]));
    }
    for words in arguments.split(|word| word == ",") {
        let Some((fact, rest)) = words.split_first() else { continue };
        if let Err(error) = find(fact, rest).and_then(|()| io::stdout().flush()) {
            return failed(fact, &error);
        }
    }
    0
}

fn failed(fact: &str, error: &io::Error) -> i32 {
    eprintln!("probe {fact}: {error}");
    1
}

fn find(fact: &str, words: Words<'_>) -> io::Result<()> {
    let modules =
        [facts::find, files::find, signals::find, network::find, terminal::find, attacks::find];
    for module in modules {
        if let Some(outcome) = module(fact, words) {
            return outcome;
        }
    }
    Err(io::Error::other("no such fact"))
}

/// The argument at `index`, or an error that says which is missing.
fn word<'a>(words: Words<'a>, index: usize) -> io::Result<&'a str> {
    let missing = || io::Error::other(format!("argument {} is missing", index + 1));
    words.get(index).map(String::as_str).ok_or_else(missing)
}

/// The number at `index`.
fn number<T: std::str::FromStr>(words: Words<'_>, index: usize) -> io::Result<T> {
    let text = word(words, index)?;
    text.parse().map_err(|_| io::Error::other(format!("{text:?} is not a number")))
}

/// Prints whether something could be done: `ok`, or the name of the errno.
fn print_outcome<T, E: Into<io::Error>>(outcome: Result<T, E>) -> io::Result<()> {
    match outcome {
        Ok(_) => println!("ok"),
        Err(error) => println!("{}", errno_name(&error.into())),
    }
    Ok(())
}

fn errno_name(error: &io::Error) -> String {
    let names = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::EIO, "EIO"),
        (libc::ENXIO, "ENXIO"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EACCES, "EACCES"),
        (libc::EBUSY, "EBUSY"),
        (libc::EEXIST, "EEXIST"),
        (libc::ENODEV, "ENODEV"),
        (libc::ENOTDIR, "ENOTDIR"),
        (libc::EISDIR, "EISDIR"),
        (libc::EINVAL, "EINVAL"),
        (libc::ENOTTY, "ENOTTY"),
        (libc::ETXTBSY, "ETXTBSY"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::EROFS, "EROFS"),
        (libc::ELOOP, "ELOOP"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::ENOKEY, "ENOKEY"),
        (libc::ESRCH, "ESRCH"),
        (libc::EXDEV, "EXDEV"),
        (libc::ENETUNREACH, "ENETUNREACH"),
    ];
    let known = names.iter().find(|(number, _)| Some(*number) == error.raw_os_error());
    known.map_or_else(|| error.to_string(), |(_, name)| (*name).to_owned())
}
