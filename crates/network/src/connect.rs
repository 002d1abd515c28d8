//! Parent: interfaces for a namespace: check everything, then act; after an
//! error remove what was made, last first.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::bridge::{BRIDGE_MARK, Turn, find, find_or_make, random, random_mac, silence_port};
use crate::check::{fits_bridge, validate};
use crate::kernel::{Kernel, Pair, drive};
use crate::namespace::Session;
use crate::socket::{LinkFacts, Refusal, Socket};
use crate::{Error, Interface, Links, NetworkNamespace, Side, Veth, loopback_up, sys};

/// Names tried for a host's end.
const TRIES: u32 = 8;
/// Longest name of a link in bytes, `IFNAMSIZ` without its NUL.
pub(crate) const LONGEST_NAME: usize = 15;
/// First octet of a host end's address: a bridge without an address of its own
/// takes the lowest of its ports', and this is above those of real hardware.
const HIGH_MAC: u8 = 0xfe;

/// Gives a namespace its interfaces: all of them or none.
///
/// Everything that can be known is checked before anything is changed, the
/// bridges and names on both sides included. The host is the caller's network
/// namespace (with a runtime of several threads, that of all of them). A host's end is named by its prefix and random digits, is up and
/// a port of its bridge, and has no IPv6 of its own where `/proc/sys` can be
/// written (its frames go to the bridge only, so that nothing depends on it). A
/// bridge that is made here ignores router advertisements, and has no IPv6
/// without [`Veth::ipv6_gateway`]; where that cannot be written the bridge is
/// not made. If two interfaces name a bridge that is missing, it is made for
/// the first of them.
///
/// If the returned future is dropped half-way, what it made is removed.
///
/// # Errors
/// What [`validate`] finds; [`Error::NoSuchBridge`], [`Error::NotABridge`],
/// [`Error::NameInUse`], [`Error::AddressInUse`], [`Error::Mtu`] before a change;
/// [`Error::Link`] where the kernel refuses one, with its own words. After
/// each of them the host and the namespace are as before, or it is
/// [`Error::Undo`]. [`Error::Busy`] for a second call on a namespace
/// [`from_socket`](NetworkNamespace::from_socket) while the first is under way.
///
/// # Panics
/// Within a tokio runtime that was built without `enable_io`, as everything of
/// tokio's that waits for a descriptor.
pub async fn connect(
    namespace: &NetworkNamespace,
    interfaces: &[Interface],
) -> Result<Links, Error> {
    connect_named(namespace, interfaces, random_name).await
}

/// Checks what [`connect`] checks before it changes anything, but for the namespace:
/// names, sizes and addresses, the bridges of the caller's network namespace, and
/// whether their addresses are taken.
///
/// # Errors
/// As [`connect`].
pub fn check_host(interfaces: &[Interface]) -> Result<(), Error> {
    validate(interfaces)?;
    if veths(interfaces).next().is_none() {
        return Ok(());
    }
    check_veths(&Socket::open().map_err(no_socket)?, interfaces)
}

/// Interfaces that need no host's end, nor a runtime.
pub(crate) fn connect_loopback(
    namespace: &NetworkNamespace,
    interfaces: &[Interface],
) -> Result<Links, Error> {
    validate(interfaces)?;
    let mut links = Links::new(None);
    let session = namespace.session()?;
    raise_loopback(&session, interfaces, &mut links)?;
    Ok(links)
}

/// The pairs among the interfaces.
pub(crate) fn veths(interfaces: &[Interface]) -> impl Iterator<Item = &Veth> {
    interfaces.iter().filter_map(|interface| match interface {
        Interface::Loopback => None,
        Interface::Veth(veth) => Some(veth),
    })
}

/// [`connect`] with a source of names, so that they can be made to collide.
async fn connect_named(
    namespace: &NetworkNamespace,
    interfaces: &[Interface],
    mut name: impl FnMut(&str) -> io::Result<String> + Send,
) -> Result<Links, Error> {
    let Some(first) = veths(interfaces).next() else {
        return connect_loopback(namespace, interfaces);
    };
    validate(interfaces)?;
    let session = namespace.session()?;
    let inside = session.socket.try_clone().and_then(Socket::from_fd).map_err(no_socket)?;
    let mut links = Links::new(Some(Socket::open().map_err(no_socket)?));
    let target = namespace.descriptor()?;
    refuse_own(links.host()?, target.as_fd(), first)?;
    check_veths(links.host()?, interfaces)?;
    veths(interfaces).try_for_each(|veth| check_inside(&inside, veth))?;
    let (host_driver, host) =
        Kernel::connect(crate::open_socket().map_err(|e| no_socket(e.into()))?, Side::Host)?;
    let (inside_driver, within) =
        Kernel::connect(session.socket.try_clone().map_err(no_socket)?, Side::Inside)?;
    let mut both = Both { host, within, inside, target: target.as_fd(), links: &mut links };
    let work = async {
        let mut ports = Vec::new();
        for veth in veths(interfaces) {
            ports.push(both.attach(veth, &mut name).await?);
        }
        both.still_attached(&ports)
    };
    let done = drive([host_driver, inside_driver], work).await;
    // Last, for there is nothing to undo about it then.
    match done.and_then(|()| raise_loopback(&session, interfaces, &mut links)) {
        Ok(()) => Ok(links),
        Err(error) => Err(error.with_left(links.remove_all())),
    }
}

/// Both sides of the pairs that are being made.
struct Both<'a> {
    host: Kernel,
    within: Kernel,
    /// For looking up inside, between the requests of `within`: the two share
    /// a socket.
    inside: Socket,
    target: BorrowedFd<'a>,
    links: &'a mut Links,
}

/// A host's end and the bridge that it belongs to.
struct Port<'a> {
    index: u32,
    bridge: u32,
    veth: &'a Veth,
}

impl Both<'_> {
    async fn attach<'v>(
        &mut self,
        veth: &'v Veth,
        name: &mut (impl FnMut(&str) -> io::Result<String> + Send),
    ) -> Result<Port<'v>, Error> {
        let turn = Turn::take(self.links.host()?).await?;
        let bridge = find_or_make(&self.host, veth, self.links).await?;
        if bridge.alias.as_deref() == Some(BRIDGE_MARK)
            && !self.links.own_bridges.contains(&bridge.name)
        {
            self.links.own_bridges.push(bridge.name.clone());
        }
        let (index, host_name) = self.make_pair(veth, &bridge, name).await?;
        drop(turn);
        silence_port(&host_name)?;
        self.configure(veth).await?;
        Ok(Port { index, bridge: bridge.index, veth })
    }

    async fn make_pair(
        &mut self,
        veth: &Veth,
        bridge: &LinkFacts,
        name: &mut (impl FnMut(&str) -> io::Result<String> + Send),
    ) -> Result<(u32, String), Error> {
        let host_mac = random_mac(HIGH_MAC).map_err(no_socket)?;
        for _ in 0..TRIES {
            let host_name = name(&veth.host_prefix).map_err(no_socket)?;
            if host_link(self.links.host()?, &host_name)?.is_some() {
                continue;
            }
            let pair = Pair {
                host_name: &host_name,
                host_mac,
                bridge: bridge.index,
                name: &veth.name,
                mac: veth.mac,
                mtu: veth.mtu.unwrap_or(bridge.mtu),
                namespace: self.target,
            };
            self.links.begin(&veth.name, &host_name);
            let refusal = match self.host.create_pair(&pair).await {
                Ok(()) => {
                    let made = host_link(self.links.host()?, &host_name)?;
                    let made = made.ok_or_else(|| vanished(&host_name, Side::Host))?;
                    self.links.begun_as(made.index);
                    return Ok((made.index, host_name));
                }
                Err(refusal) => refusal,
            };
            self.links.forget();
            if refusal.is(libc::EEXIST) {
                check_inside(&self.inside, veth)?; // else it was the host's name
            } else {
                find(self.links.host()?, &veth.bridge)?.ok_or_else(|| no_bridge(veth))?;
                return Err(self.host.error(
                    &veth.name,
                    &format!("create as {host_name}"),
                    refusal,
                ));
            }
        }
        Err(Error::NoFreeName { prefix: veth.host_prefix.clone(), tries: TRIES })
    }

    /// Addresses, then up, then routes: a route needs a link that is up, and a
    /// next hop within reach of an address.
    async fn configure(&mut self, veth: &Veth) -> Result<(), Error> {
        let name = veth.name.as_str();
        let link = self
            .inside
            .link_by_name(name)
            .map_err(|refusal| refusal.of_link(name, Side::Inside, "look up"))?;
        let index = link.ok_or_else(|| vanished(name, Side::Inside))?.index;
        for address in veth.addresses() {
            self.within.add_address(index, name, address).await?;
        }
        self.within.set_up(index, name).await?;
        for route in veth.all_routes() {
            self.within.add_route(index, name, route).await?;
        }
        Ok(())
    }

    /// Somebody may have removed a bridge meanwhile.
    fn still_attached(&self, ports: &[Port<'_>]) -> Result<(), Error> {
        for port in ports {
            let link = self.links.host()?.link_by_index(port.index);
            let link =
                link.map_err(|refusal| refusal.of_link(&port.veth.name, Side::Host, "look up"))?;
            if link.and_then(|link| link.controller) != Some(port.bridge) {
                return Err(no_bridge(port.veth));
            }
        }
        Ok(())
    }
}

fn raise_loopback(
    session: &Session<'_>,
    interfaces: &[Interface],
    links: &mut Links,
) -> Result<(), Error> {
    if interfaces.contains(&Interface::Loopback) {
        loopback_up(session.socket.as_fd())
            .map_err(|errno| Refusal::from(errno).of_link("lo", Side::Inside, "bring up"))?;
        links.begin("lo", "");
    }
    links.arrange(interfaces);
    Ok(())
}

/// The namespace of a child that never left the host's would have the host
/// configured. Also tells at once whether the caller may make a host's end.
fn refuse_own(host: &Socket, target: BorrowedFd<'_>, veth: &Veth) -> Result<(), Error> {
    let own = sys::namespace_of_socket(host.fd()).map_err(|source| {
        Refusal::from(source).of_link(&veth.name, Side::Host, "create host end")
    })?;
    let identity = |file: BorrowedFd<'_>| {
        let stat = rustix::fs::fstat(file);
        stat.map(|stat| (stat.st_dev, stat.st_ino)).map_err(|errno| no_socket(errno.into()))
    };
    if identity(own.as_fd())? == identity(target)? { Err(Error::OwnNamespace) } else { Ok(()) }
}

/// A missing bridge is made by the first who may: those after it find it there.
fn check_veths(host: &Socket, interfaces: &[Interface]) -> Result<(), Error> {
    let mut made = HashSet::new();
    veths(interfaces).try_for_each(|veth| {
        if veth.create_bridge {
            made.insert(veth.bridge.as_str());
        }
        check_veth(host, veth, made.contains(veth.bridge.as_str()))
    })
}

fn check_veth(host: &Socket, veth: &Veth, may_be_missing: bool) -> Result<(), Error> {
    let missing = || if may_be_missing { Ok(()) } else { Err(no_bridge(veth)) };
    let Some(bridge) = find(host, &veth.bridge)? else { return missing() };
    fits_bridge(veth, &bridge)?;
    for address in veth.addresses().map(crate::IpCidr::address) {
        let taken = match host.has_address(bridge.index, address) {
            // It went just now, with the last port of somebody else.
            Err(refusal) if refusal.is(libc::ENODEV) => return missing(),
            answer => answer,
        };
        if taken
            .map_err(|refusal| refusal.of_link(&bridge.name, Side::Host, "look up addresses"))?
        {
            return Err(Error::AddressInUse {
                interface: veth.name.clone(),
                address,
                holder: bridge.name,
            });
        }
    }
    Ok(())
}

fn check_inside(inside: &Socket, veth: &Veth) -> Result<(), Error> {
    let link = inside.link_by_name(&veth.name);
    match link.map_err(|refusal| refusal.of_link(&veth.name, Side::Inside, "look up"))? {
        Some(_) => Err(Error::NameInUse { name: veth.name.clone() }),
        None => Ok(()),
    }
}

fn host_link(host: &Socket, name: &str) -> Result<Option<LinkFacts>, Error> {
    host.link_by_name(name).map_err(|refusal| refusal.of_link(name, Side::Host, "look up"))
}

/// The prefix and 4 to 8 random hexadecimal digits, as many as fit.
fn random_name(prefix: &str) -> io::Result<String> {
    let digits = format!("{:08x}", u32::from_ne_bytes(random()?));
    let room = LONGEST_NAME.saturating_sub(prefix.len()).min(digits.len());
    Ok(format!("{prefix}{}", &digits[..room]))
}

fn no_bridge(veth: &Veth) -> Error {
    Error::NoSuchBridge { name: veth.bridge.clone() }
}

fn no_socket(source: io::Error) -> Error {
    Error::Socket { source }
}

fn vanished(name: &str, side: Side) -> Error {
    Refusal::from(io::Error::from_raw_os_error(libc::ENODEV)).of_link(
        name,
        side,
        "find what was made",
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

    use super::*;

    /// Runs a test on a thread in a namespace that plays the host and has two
    /// bridges; says so where there can be none.
    fn as_host(test: impl FnOnce(&NetworkNamespace) + Send) {
        let (host, ns) = match (NetworkNamespace::new(), NetworkNamespace::new()) {
            (Ok(host), Ok(ns)) => (host.descriptor().unwrap(), ns),
            (Err(reason), _) | (_, Err(reason)) => {
                assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none(), "{reason}");
                return eprintln!("SKIPPED: needs root: {reason}");
            }
        };
        let in_host = || {
            move_into_link_name_space(host.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            ip("link add br0 type bridge");
            ip("link add br1 type bridge");
            test(&ns);
        };
        std::thread::scope(|scope| scope.spawn(in_host).join()).unwrap();
    }

    fn ip(arguments: &str) {
        assert!(
            Command::new("ip").args(arguments.split(' ')).status().unwrap().success(),
            "{arguments}"
        );
    }

    fn has_link(name: &str) -> bool {
        Socket::open().unwrap().link_by_name(name).unwrap().is_some()
    }

    fn on(bridge: &str, name: &str) -> Interface {
        Veth { bridge: bridge.to_owned(), ..Veth::named(name) }.into()
    }

    fn connect_with(
        ns: &NetworkNamespace,
        interfaces: &[Interface],
        name: impl FnMut(&str) -> io::Result<String> + Send,
    ) -> Result<Links, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(connect_named(ns, interfaces, name))
    }

    #[test]
    fn a_name_that_is_taken_is_not_tried_again() {
        as_host(|ns| {
            ip("link add taken type bridge");
            ip("link property add dev taken altname known");
            let mut names = ["taken", "known", "free"].iter();
            let next = |_: &str| Ok((*names.next().unwrap()).to_owned());
            let links = connect_with(ns, &[on("br0", "eth0")], next).unwrap();
            assert_eq!(links[0].host_name(), "free");
        });
    }

    #[test]
    fn names_that_are_all_taken_end_after_eight() {
        as_host(|ns| {
            // One that only the kernel knows as taken, so that it is asked.
            ip("link property add dev br1 altname taken");
            let mut tried = 0;
            let next = |_: &str| {
                tried += 1;
                Ok("taken".to_owned())
            };
            let error = connect_with(ns, &[on("br0", "eth0")], next).unwrap_err();
            assert!(matches!(&error, Error::NoFreeName { tries: 8, .. }), "{error}");
            assert_eq!(tried, 8);
            assert!(has_link("br1"));
        });
    }

    #[test]
    fn a_bridge_that_vanishes_before_its_port_comes_is_named() {
        as_host(|ns| {
            let next = |_: &str| {
                ip("link delete br0");
                Ok("v0".to_owned())
            };
            let error = connect_with(ns, &[on("br0", "eth0")], next).unwrap_err();
            assert!(matches!(&error, Error::NoSuchBridge { name } if name == "br0"), "{error}");
            assert!(!has_link("v0"));
        });
    }

    #[test]
    fn a_bridge_that_vanishes_after_its_port_came_is_noticed() {
        as_host(|ns| {
            let mut names = ["v0", "v1"].iter();
            let next = |_: &str| {
                let name = *names.next().unwrap();
                if name == "v1" {
                    ip("link delete br0");
                }
                Ok(name.to_owned())
            };
            let error =
                connect_with(ns, &[on("br0", "eth0"), on("br1", "eth1")], next).unwrap_err();
            assert!(matches!(&error, Error::NoSuchBridge { name } if name == "br0"), "{error}");
            assert!(!has_link("v0") && !has_link("v1"));
        });
    }

    #[test]
    fn one_socket_serves_one_connect_at_a_time() {
        as_host(|ns| {
            let ns = NetworkNamespace::from_socket(ns.session().unwrap().socket).unwrap();
            let second = |_: &str| {
                let error = connect_loopback(&ns, &[Interface::Loopback]).unwrap_err();
                assert!(matches!(error, Error::Busy), "{error}");
                Ok("v0".to_owned())
            };
            connect_with(&ns, &[on("br0", "eth0")], second).unwrap().remove().unwrap();
            connect_loopback(&ns, &[Interface::Loopback]).unwrap().keep();
        });
    }

    #[test]
    fn random_names_fill_what_the_prefix_leaves() {
        for (prefix, length) in [("", 8), ("veth", 12), ("1234567", 15), ("12345678901", 15)] {
            let name = random_name(prefix).unwrap();
            assert!(name.starts_with(prefix) && name.len() == length, "{name}");
        }
    }
}
