//! Gives a new network namespace a loopback and a pair on a bridge of its own
//! making, and shows them. As root, or within `unshare -Urn` as anybody:
//! `cargo run -p nsinit-network --example pair`.
#![expect(clippy::print_stdout, reason = "an example shows something")]

use std::os::fd::AsFd;
use std::process::Command;

use nsinit_network::{Interface, NetworkNamespace, Veth, blocking};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ns = NetworkNamespace::new()?;
    let eth0 = Veth {
        bridge: "nsinit-demo".into(),
        create_bridge: true,
        address: Some("10.213.7.2/24".parse()?),
        gateway: Some("10.213.7.1".parse()?),
        ..Veth::named("eth0")
    };
    let links = blocking::connect(&ns, &[Interface::Loopback, eth0.into()])?; // removed on drop
    println!("host end {}", links[1].host_name());
    Command::new("ip").args(["-brief", "link", "show", "master", "nsinit-demo"]).status()?;
    move_into_link_name_space(ns.descriptor()?.as_fd(), Some(LinkNameSpaceType::Network))?;
    Command::new("ip").args(["-brief", "address"]).status()?; // the view from inside
    Ok(())
}
