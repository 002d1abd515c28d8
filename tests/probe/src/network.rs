//! Interfaces and connections.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::{Words, print_outcome, sys, word};

pub(crate) fn find(fact: &str, words: Words<'_>) -> Option<io::Result<()>> {
    Some(match fact {
        "addresses" => {
            sys::addresses().map(|lines| lines.iter().for_each(|line| println!("{line}")))
        }
        "routes" => std::fs::read_to_string("/proc/net/route").map(|text| print!("{text}")),
        "listen" => word(words, 0).and_then(listen),
        "connect" => word(words, 0).and_then(connect),
        "reach" => word(words, 0).and_then(reach),
        "loop" => word(words, 0).and_then(to_itself),
        "ping-socket" => print_outcome(sys::ping_socket()),
        _ => return None,
    })
}

/// Greets one caller.
fn listen(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("ready");
    io::stdout().flush()?;
    listener.accept()?.0.write_all(b"hello\n")
}

fn connect(address: &str) -> io::Result<()> {
    let mut text = String::new();
    TcpStream::connect(address)?.read_to_string(&mut text)?;
    print!("{text}");
    Ok(())
}

/// Whether a host answers, if only with a refusal.
fn reach(address: &str) -> io::Result<()> {
    let address = address.parse().map_err(io::Error::other)?;
    match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => println!("ok"),
        other => return print_outcome(other),
    }
    Ok(())
}

/// Connects to a listener of its own.
fn to_itself(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    print_outcome(listener.local_addr().and_then(TcpStream::connect))
}
