//! Parent: the host's bridge: found, made, and removed with its last port.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::kernel::Kernel;
use crate::links::Links;
use crate::socket::{LinkFacts, Ports, Socket};
use crate::{Error, MacAddress, Side, Veth, sys};

/// The alias (`IFLA_IFALIAS`, `ip link show`) of a bridge that was made here.
/// It stays with the bridge, so that whoever removes the last port, in
/// whatever process, knows that the bridge goes, too. Taking the alias away
/// makes the bridge stay.
pub const BRIDGE_MARK: &str = "nsinit";

const PAUSE: Duration = Duration::from_micros(200);
const PATIENCE_TO_CONNECT: Duration = Duration::from_secs(1);
/// How long the kernel may take to remove the links of a namespace that has ended.
const PATIENCE_FOR_PORTS: Duration = Duration::from_secs(2);
const PATIENCE_TO_REMOVE: Duration = Duration::from_millis(100);

/// Removes a bridge that was made here and has no port left, in the caller's
/// network namespace; for a launcher that finds the state of a container whose
/// links went with its namespace, or are about to: that takes the kernel a moment. Any
/// other bridge, and none, is left alone.
///
/// # Errors
/// [`Error::Link`] where the kernel refuses.
pub fn remove_bridge(name: &str) -> Result<(), Error> {
    remove_after_its_ports(name, |alias| alias == Some(BRIDGE_MARK), Duration::ZERO)
}

/// The same for a launcher that was killed while it made the bridge, perhaps before it
/// could mark it: one without an alias is removed as well. To be asked for a bridge only
/// that did not exist before. What the launcher had started may be about to end: a port is
/// waited for, for half a second.
///
/// # Errors
/// As [`remove_bridge`].
pub fn remove_unfinished_bridge(name: &str) -> Result<(), Error> {
    let is_ours = |alias: Option<&str>| alias.is_none() || alias == Some(BRIDGE_MARK);
    remove_after_its_ports(name, is_ours, Duration::from_millis(500))
}

fn remove_after_its_ports(
    name: &str,
    is_ours: fn(Option<&str>) -> bool,
    patience_with_the_living: Duration,
) -> Result<(), Error> {
    let socket = Socket::open().map_err(|source| Error::Socket { source })?;
    let start = Instant::now();
    loop {
        let patience = match remove(&socket, name, is_ours)? {
            Ports::None => return Ok(()),
            Ports::WithoutCarrier => PATIENCE_FOR_PORTS,
            Ports::Alive => patience_with_the_living,
        };
        if start.elapsed() >= patience {
            return Ok(());
        }
        sleep(10 * PAUSE);
    }
}

/// Whether the caller's network namespace has a link of that name.
///
/// # Errors
/// [`Error::Link`] where the kernel refuses to tell.
pub fn link_exists(name: &str) -> Result<bool, Error> {
    let socket = Socket::open().map_err(|source| Error::Socket { source })?;
    let link = socket.link_by_name(name);
    Ok(link.map_err(|refusal| refusal.of_link(name, Side::Host, "look up"))?.is_some())
}

/// The bridges of the caller's network namespace.
///
/// # Errors
/// [`Error::Socket`] where the kernel refuses to tell.
pub fn bridges() -> Result<Vec<String>, Error> {
    let socket = Socket::open().map_err(|source| Error::Socket { source })?;
    socket.bridges().map_err(|refusal| Error::Socket { source: refusal.source })
}

/// The same over a socket of the host's namespace.
pub(crate) fn remove_if_unused(socket: &Socket, name: &str) -> Result<(), Error> {
    remove(socket, name, |alias| alias == Some(BRIDGE_MARK)).map(drop)
}

/// Removes it unless it has ports: these.
fn remove(socket: &Socket, name: &str, is_ours: fn(Option<&str>) -> bool) -> Result<Ports, Error> {
    let failed =
        |refusal: crate::socket::Refusal| refusal.of_link(name, Side::Host, "remove bridge");
    // Whoever has the turn for so long is about to give a bridge a port.
    let Some(_turn) = Turn::wait(socket)? else { return Ok(Ports::Alive) };
    let Some(bridge) = socket.link_by_name(name).map_err(failed)? else { return Ok(Ports::None) };
    if bridge.kind != "bridge" || !is_ours(bridge.alias.as_deref()) {
        return Ok(Ports::None);
    }
    let ports = socket.ports(bridge.index).map_err(failed)?;
    if ports == Ports::None {
        socket.delete(bridge.index, name).map_err(failed)?;
    }
    Ok(ports)
}

/// The host's bridge of that name, if there is one.
pub(crate) fn find(socket: &Socket, name: &str) -> Result<Option<LinkFacts>, Error> {
    let link = socket
        .link_by_name(name)
        .map_err(|refusal| refusal.of_link(name, Side::Host, "look up"))?;
    match link {
        Some(link) if link.kind != "bridge" => {
            Err(Error::NotABridge { name: name.to_owned(), kind: link.kind })
        }
        link => Ok(link),
    }
}

/// The bridge for an interface, made if it is missing and may be made. To be
/// called with the [`Turn`] in hand.
pub(crate) async fn find_or_make(
    kernel: &Kernel,
    veth: &Veth,
    links: &mut Links,
) -> Result<LinkFacts, Error> {
    let name = &veth.bridge;
    let missing = || Error::NoSuchBridge { name: name.clone() };
    if let Some(bridge) = find(links.host()?, name)? {
        return Ok(bridge);
    }
    if !veth.create_bridge {
        return Err(missing());
    }
    let mac = random_mac(0x02).map_err(|source| Error::Socket { source })?;
    links.unmarked_bridge = Some(name.clone());
    if let Err(refusal) = kernel.create_bridge(name, mac).await {
        links.unmarked_bridge = None;
        return match refusal.is(libc::EEXIST) {
            true => find(links.host()?, name)?.ok_or_else(missing),
            false => Err(kernel.error(name, "create bridge", refusal)),
        };
    }
    let bridge = find(links.host()?, name)?.ok_or_else(missing)?;
    kernel.set_alias(bridge.index, name, BRIDGE_MARK).await?;
    links.unmarked_bridge = None;
    links.own_bridges.push(name.clone());
    // Before it is up: what a container announces must not reroute the host
    // (CVE-2020-13401).
    set_ipv6(name, "accept_ra", "0")?;
    set_ipv6(name, "disable_ipv6", if veth.ipv6_gateway.is_some() { "0" } else { "1" })?;
    for address in veth.bridge_addresses() {
        kernel.add_address(bridge.index, name, address).await?;
    }
    kernel.set_up(bridge.index, name).await?;
    find(links.host()?, name)?.ok_or_else(missing)
}

/// Switches IPv6 off on a port of a bridge. What comes in through a port goes to
/// the bridge and not to the port's own IPv6 (`br_handle_frame`), so this is for
/// quiet, not for safety, and a read-only `/proc/sys` is no error.
pub(crate) fn silence_port(name: &str) -> Result<(), Error> {
    for (key, value) in [("accept_ra", "0"), ("disable_ipv6", "1")] {
        match set_ipv6(name, key, value) {
            Err(Error::Sysctl { source, .. }) if is_read_only(&source) => (),
            done => done?,
        }
    }
    Ok(())
}

/// Writes one of a link's own IPv6 settings (linux/Documentation/networking/
/// ip-sysctl.rst, `conf/interface/*`) unless it is as wanted. There is no
/// message for it: `/proc/sys/net` shows the calling thread's namespace.
fn set_ipv6(link: &str, key: &str, value: &str) -> Result<(), Error> {
    let conf = PathBuf::from("/proc/sys/net/ipv6/conf");
    let path = conf.join(link).join(key);
    let failed = |source| Error::Sysctl { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(current) if current.trim_end() == value => return Ok(()),
        Ok(_) => (),
        // A kernel, or a link, without IPv6; but not a missing /proc.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && PathBuf::from("/proc/sys/net").is_dir() =>
        {
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    }
    fs::write(&path, value).map_err(failed)
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EROFS | libc::EACCES | libc::EPERM))
}

/// A random hardware address that begins with `first`.
pub(crate) fn random_mac(first: u8) -> io::Result<MacAddress> {
    let [_, b, c, d, e, f] = random::<6>()?;
    Ok(MacAddress::new([first, b, c, d, e, f]))
}

pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    rustix::io::retry_on_intr(|| getrandom(&mut bytes[..], GetRandomFlags::empty()))?;
    Ok(bytes)
}

/// The right to make a bridge or a port of one, or to remove a bridge that has
/// none, in one network namespace: an flock(2) on the namespace itself, which
/// goes with the process that holds it.
///
/// The kernel has no "remove unless used". Without this, a last port that goes
/// would take with it the bridge to which another process just added one. It is
/// a courtesy between launchers: one who never gives it back only makes others
/// wait for a second, and `connect` looks at the end whether its port is still
/// on its bridge.
pub(crate) struct Turn(#[expect(dead_code, reason = "held open for its lock")] OwnedFd);

impl Turn {
    /// Waits for it on the runtime, and does without it in the end.
    pub(crate) async fn take(socket: &Socket) -> Result<Option<Self>, Error> {
        let until = Instant::now() + PATIENCE_TO_CONNECT;
        loop {
            match Self::try_take(socket)? {
                None if Instant::now() < until => {
                    sleep(PAUSE);
                    tokio::task::yield_now().await;
                }
                taken => return Ok(taken),
            }
        }
    }

    fn wait(socket: &Socket) -> Result<Option<Self>, Error> {
        let until = Instant::now() + PATIENCE_TO_REMOVE;
        loop {
            match Self::try_take(socket)? {
                None if Instant::now() < until => sleep(PAUSE),
                taken => return Ok(taken),
            }
        }
    }

    fn try_take(socket: &Socket) -> Result<Option<Self>, Error> {
        let failed =
            |source| Error::Namespace { what: "the host's network namespace".to_owned(), source };
        let namespace = sys::namespace_of_socket(socket.fd()).map_err(failed)?;
        match flock(namespace.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(namespace))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(failed(errno.into())),
        }
    }
}
