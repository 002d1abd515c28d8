//! Parent: what was made, and its removal.

use std::ops::Index;

use crate::bridge::{BRIDGE_MARK, remove_if_unused};
use crate::socket::{Ports, Refusal, Socket};
use crate::{Error, Interface, Side};

/// The interfaces that [`connect`](crate::connect()) made, in the order in which
/// they were asked for. Dropping them removes them, within a runtime or
/// without one: the requests are made in place. The loopback stays up.
#[derive(Debug)]
#[must_use = "the links are removed when this is dropped"]
pub struct Links {
    links: Vec<Link>,
    /// In the host's namespace, wherever the thread is that drops this.
    host: Option<Socket>,
    /// A bridge that is being made and does not bear the mark yet.
    pub(crate) unmarked_bridge: Option<String>,
    /// Bridges with the mark, which go with their last port.
    pub(crate) own_bridges: Vec<String>,
}

/// One interface that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    name: String,
    host_name: String,
    host_index: Option<u32>,
}

impl Link {
    /// Name in the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of the host's end; empty for the loopback, which has none.
    pub fn host_name(&self) -> &str {
        &self.host_name
    }
}

impl Links {
    pub(crate) fn new(host: Option<Socket>) -> Self {
        Self { links: Vec::new(), host, unmarked_bridge: None, own_bridges: Vec::new() }
    }

    pub(crate) fn host(&self) -> Result<&Socket, Error> {
        let closed = || Error::Socket { source: std::io::Error::from_raw_os_error(libc::ENOTCONN) };
        self.host.as_ref().ok_or_else(closed)
    }

    /// Notes an interface before it is made, so that it is removed even if
    /// whoever waits for the kernel's answer gives up.
    pub(crate) fn begin(&mut self, name: &str, host_name: &str) {
        self.links.push(Link {
            name: name.to_owned(),
            host_name: host_name.to_owned(),
            host_index: None,
        });
    }

    pub(crate) fn begun_as(&mut self, host_index: u32) {
        if let Some(link) = self.links.last_mut() {
            link.host_index = Some(host_index);
        }
    }

    /// Forgets what was noted last: the name belongs to somebody else.
    pub(crate) fn forget(&mut self) {
        self.links.pop();
    }

    /// The order in which the interfaces were asked for.
    pub(crate) fn arrange(&mut self, interfaces: &[Interface]) {
        self.links.sort_by_key(|link| {
            interfaces.iter().position(|interface| interface.name() == link.name)
        });
    }

    /// How many interfaces there are.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// All interfaces, in the order in which they were asked for.
    pub fn iter(&self) -> std::slice::Iter<'_, Link> {
        self.links.iter()
    }

    /// The names of the host's ends: what [`remove_link`] takes later, in
    /// another process.
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(Link::host_name).filter(|name| !name.is_empty())
    }

    /// The bridges that were made here, now or earlier, and that therefore go
    /// with their last port: what [`remove_bridge`](crate::remove_bridge) takes
    /// later, in another process.
    pub fn own_bridges(&self) -> &[String] {
        &self.own_bridges
    }

    /// Leaves the interfaces where they are. They go with their namespace, or
    /// by [`remove_link`].
    pub fn keep(mut self) {
        self.forget_all();
    }

    /// Removes the interfaces and tells what could not be removed.
    ///
    /// # Errors
    /// The first error; further ones with it, in [`Error::Undo`].
    pub fn remove(mut self) -> Result<(), Error> {
        let mut left = self.remove_all().into_iter();
        left.next().map_or(Ok(()), |first| Err(first.with_left(left.collect())))
    }

    /// Removes everything, last made first, and goes on after an error.
    pub(crate) fn remove_all(&mut self) -> Vec<Error> {
        let mut left = Vec::new();
        if let Some(host) = &self.host {
            for link in self.links.iter().rev().filter(|link| !link.host_name.is_empty()) {
                let removed = match link.host_index {
                    Some(index) => host.delete(index, &link.host_name),
                    None => delete_veth(host, &link.host_name),
                };
                left.extend(removed.err().map(|refusal| of_host(&link.host_name, refusal)));
            }
            for bridge in self.own_bridges.iter().rev() {
                left.extend(remove_if_unused(host, bridge).err());
            }
            if let Some(bridge) = &self.unmarked_bridge {
                left.extend(
                    delete_empty_bridge(host, bridge).err().map(|refusal| of_host(bridge, refusal)),
                );
            }
        }
        self.forget_all();
        left
    }

    fn forget_all(&mut self) {
        self.links.clear();
        self.own_bridges.clear();
        self.unmarked_bridge = None;
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // Nobody is there to be told; `remove` is for those who want to know.
        let _left = self.remove_all();
    }
}

impl Index<usize> for Links {
    type Output = Link;

    fn index(&self, index: usize) -> &Link {
        &self.links[index]
    }
}

impl<'a> IntoIterator for &'a Links {
    type Item = &'a Link;
    type IntoIter = std::slice::Iter<'a, Link>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Removes the host's end of a pair by its name, and the other end with it, in
/// the caller's network namespace: for a launcher that finds the state of an
/// earlier one. Only a veth of exactly this name is removed; where there is no
/// link of the name, nothing is to be done.
///
/// # Errors
/// [`Error::Link`] where the link is something else (`EEXIST`), or where the
/// kernel refuses.
pub fn remove_link(host_name: &str) -> Result<(), Error> {
    let socket = Socket::open().map_err(|source| Error::Socket { source })?;
    let failed = |refusal| of_host(host_name, refusal);
    let Some(link) = socket.link_by_name(host_name).map_err(failed)? else { return Ok(()) };
    let bridge = link
        .controller
        .map(|index| socket.link_by_index(index))
        .transpose()
        .map_err(failed)?
        .flatten();
    delete_veth(&socket, host_name).map_err(failed)?;
    bridge.map_or(Ok(()), |bridge| remove_if_unused(&socket, &bridge.name))
}

fn delete_veth(socket: &Socket, name: &str) -> Result<(), Refusal> {
    match socket.link_by_name(name)? {
        Some(link) if link.kind == "veth" => socket.delete(link.index, name),
        Some(_) => Err(Refusal {
            words: Some("not a veth".to_owned()),
            source: std::io::Error::from_raw_os_error(libc::EEXIST),
        }),
        None => Ok(()),
    }
}

/// Removes a bridge whose making was given up; the mark may be there already.
fn delete_empty_bridge(socket: &Socket, name: &str) -> Result<(), Refusal> {
    let Some(link) = socket.link_by_name(name)? else { return Ok(()) };
    let ours = link.kind == "bridge" && link.alias.is_none_or(|alias| alias == BRIDGE_MARK);
    if ours && socket.ports(link.index)? == Ports::None {
        socket.delete(link.index, name)
    } else {
        Ok(())
    }
}

fn of_host(name: &str, refusal: Refusal) -> Error {
    refusal.of_link(name, Side::Host, "remove")
}
