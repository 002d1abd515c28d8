//! Signals, children, memory.

use std::fs;
use std::io::{self, Write};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use crate::{Words, facts, number, print_outcome, sys, word};

static CAUGHT: AtomicI32 = AtomicI32::new(0);

pub(crate) fn find(fact: &str, words: Words<'_>) -> Option<io::Result<()>> {
    Some(match fact {
        "signals" => masks(),
        "kill-self" => word(words, 0).and_then(signal).and_then(|signal| sys::kill(0, signal)),
        "kill" => kill(words),
        "handle" => words
            .iter()
            .try_for_each(|name| sys::handle(signal(name)?, caught))
            .and_then(|()| wait()),
        "children" => children(words),
        "orphans" => orphans(words),
        "zombies" => zombies(),
        "allocate" => allocate(words),
        "spin" => loop {
            std::hint::spin_loop();
        },
        _ => return None,
    })
}

extern "C" fn caught(signal: libc::c_int) {
    CAUGHT.store(signal, Ordering::Relaxed);
}

/// Prints `ready`, waits for one of the handled signals, and prints its name.
fn wait() -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    while CAUGHT.load(Ordering::Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let number = CAUGHT.load(Ordering::Relaxed);
    let name = SIGNALS.iter().find(|(_, signal)| *signal == number).map_or("?", |(name, _)| name);
    println!("got {name}");
    Ok(())
}

/// The blocked, ignored and caught signals, as masks.
fn masks() -> io::Result<()> {
    for key in ["SigBlk", "SigIgn", "SigCgt"] {
        println!("{key}: {}", facts::status_value(key)?);
    }
    Ok(())
}

fn kill(words: Words<'_>) -> io::Result<()> {
    print_outcome(sys::kill(number(words, 0)?, signal(word(words, 1)?)?))
}

/// Forks that many children, which wait; prints how many there came to be.
fn children(words: Words<'_>) -> io::Result<()> {
    let wanted: usize = number(words, 0)?;
    let made: Vec<i32> = (0..wanted).map_while(|_| sys::fork(sys::pause).ok()).collect();
    println!("{}", made.len());
    io::stdout().flush()?;
    made.iter().try_for_each(|pid| sys::kill(*pid, libc::SIGKILL))
}

/// Children of children that end when nobody waits for them but PID 1.
fn orphans(words: Words<'_>) -> io::Result<()> {
    for _ in 0..number(words, 0)? {
        sys::fork(|| drop(sys::fork(|| std::thread::sleep(Duration::from_millis(20)))))?;
    }
    Ok(())
}

/// How many processes have ended and were not waited for, besides this one's children.
fn zombies() -> io::Result<()> {
    std::thread::sleep(Duration::from_millis(200));
    sys::reap();
    let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    println!("{}", stats.filter(|stat| stat.contains(") Z ")).count());
    Ok(())
}

fn allocate(words: Words<'_>) -> io::Result<()> {
    let mebibytes: usize = number(words, 0)?;
    let memory = vec![1_u8; mebibytes << 20];
    println!("{}", std::hint::black_box(&memory).len() >> 20);
    Ok(())
}

const SIGNALS: [(&str, i32); 15] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ABRT", libc::SIGABRT),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("WINCH", libc::SIGWINCH),
];

/// The number of a signal by its name without `SIG`.
pub(crate) fn signal(name: &str) -> io::Result<i32> {
    let known = SIGNALS.iter().find(|(known, _)| *known == name);
    known.map(|(_, signal)| *signal).ok_or_else(|| io::Error::other(format!("no signal {name}")))
}
