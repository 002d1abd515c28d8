//! Parent: runs a program as root of new namespaces, without privileges:
//! `cargo run -p nsinit-namespaces --example shell -- sh -c 'id; hostname box; hostname'`
#![expect(clippy::print_stderr, reason = "an example talks to its user")]

use std::process::ExitCode;

use nsinit_namespaces::{Child, Command, Error, IdMaps, Kinds};

fn start() -> Result<Child, Error> {
    let mut args = std::env::args_os().skip(1);
    Command::new(args.next().unwrap_or_else(|| "sh".into()))
        .args(args)
        .unshare(Kinds::USER | Kinds::MOUNT | Kinds::PID | Kinds::UTS | Kinds::IPC)
        .id_maps(IdMaps::caller_as_root())
        .spawn()
}

fn main() -> std::io::Result<ExitCode> {
    match start() {
        Ok(mut child) => Ok(child.wait()?.code().map_or(255, |code| code as u8).into()),
        Err(error) => {
            let hint = error.hint().map_or(String::new(), |hint| format!("\nhint: {hint}"));
            eprintln!("{error}{hint}");
            Ok(125.into())
        }
    }
}
