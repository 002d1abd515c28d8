//! What the program finds at its terminal.

use std::fs::File;
use std::io::{self, BufRead, Write};

use rustix::termios::{isatty, tcgetpgrp, tcgetwinsize, ttyname};

use crate::{Words, signals, sys};

pub(crate) fn find(fact: &str, _words: Words<'_>) -> Option<io::Result<()>> {
    Some(match fact {
        "tty" => terminal(),
        "winsize" => size(),
        "resized" => resized(),
        "session" => session(),
        "line" => line(),
        _ => return None,
    })
}

/// `0 /dev/pts/0` for each standard descriptor that is a terminal, `0 -` for others.
fn terminal() -> io::Result<()> {
    let (stdin, stdout, stderr) =
        (rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr());
    for (number, fd) in [stdin, stdout, stderr].iter().enumerate() {
        let name = if isatty(fd) {
            ttyname(fd, Vec::new()).map_or("?".into(), |name| name.to_string_lossy().into_owned())
        } else {
            "-".to_owned()
        };
        println!("{number} {name}");
    }
    Ok(())
}

fn size() -> io::Result<()> {
    let size = tcgetwinsize(rustix::stdio::stdin())?;
    println!("{}x{}", size.ws_row, size.ws_col);
    Ok(())
}

/// Prints the size each time it changes, twice: at once and after SIGWINCH.
fn resized() -> io::Result<()> {
    let window = sys::Awaited::block(signals::signal("WINCH")?)?;
    size()?;
    io::stdout().flush()?;
    window.wait()?;
    size()
}

/// Whether this process leads its session, owns a controlling terminal and is in its foreground.
fn session() -> io::Result<()> {
    let pid = rustix::process::getpid();
    let leads = rustix::process::getsid(None)? == pid;
    let controlling = File::options().read(true).write(true).open("/dev/tty");
    let foreground = match &controlling {
        Ok(tty) => tcgetpgrp(tty)? == rustix::process::getpgrp(),
        Err(_) => false,
    };
    println!("leader={leads} terminal={} foreground={foreground}", controlling.is_ok());
    Ok(())
}

/// Reads a line and prints it in brackets: shows what the line discipline delivers.
fn line() -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text)?;
    println!("[{}]", text.escape_debug());
    Ok(())
}
