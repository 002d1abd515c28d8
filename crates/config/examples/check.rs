//! Tells everything that is wrong with a `container.json`:
//! `cargo run -p nsinit-config --example check -- container.json`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the example is for")]

use std::process::ExitCode;

use nsinit_config::{Container, Error, Mount};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        let mut container = Container::default();
        container.mounts.push(Mount { writable: true, ..Mount::bind("/srv/data", "/data") });
        print!("{}", container.to_json_pretty());
        return ExitCode::SUCCESS;
    };
    match Container::load(path) {
        Ok(container) => print!("{}", container.to_json_pretty()),
        Err(error) => {
            eprintln!("{error}");
            if let Error::Faults(faults) = &error {
                eprintln!("\n{} faults", faults.len());
            }
            return ExitCode::from(125);
        }
    }
    ExitCode::SUCCESS
}
