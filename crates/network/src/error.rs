//! Parent: the one error of this crate.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::{MacAddress, Route};

/// What went wrong, with the name of the link, bridge, address or file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A text is not what its type reads.
    Parse {
        /// The text as given.
        text: String,
        /// What it should have been, with an example.
        expected: &'static str,
    },
    /// A name that no link may have, or that is given twice.
    Name {
        /// Which name: `interface`, `bridge` or `host prefix`.
        what: &'static str,
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A packet size that the interface or its bridge cannot have.
    Mtu {
        /// Name of the interface in the namespace.
        interface: String,
        /// The size as given, in bytes.
        mtu: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// A hardware address that no interface can have.
    Mac {
        /// Name of the interface in the namespace.
        interface: String,
        /// The address as given.
        mac: MacAddress,
    },
    /// An address that no interface can have.
    Address {
        /// Name of the interface in the namespace.
        interface: String,
        /// The address as given.
        address: IpAddr,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A gateway that cannot be reached through its interface.
    Gateway {
        /// Name of the interface in the namespace.
        interface: String,
        /// The gateway as given.
        gateway: IpAddr,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A route with a destination that is none.
    Route {
        /// Name of the interface in the namespace.
        interface: String,
        /// The route as given.
        route: Route,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An address that another interface has already.
    AddressInUse {
        /// Name of the interface in the namespace.
        interface: String,
        /// The address as given.
        address: IpAddr,
        /// The link that has it.
        holder: String,
    },
    /// The host has no link of this name, or no longer.
    NoSuchBridge {
        /// The bridge as given.
        name: String,
    },
    /// The host's link of this name is something else than a bridge.
    NotABridge {
        /// The bridge as given.
        name: String,
        /// What it is, as in `ip -details link`; empty for hardware.
        kind: String,
    },
    /// The namespace has a link of this name already.
    NameInUse {
        /// Name of the interface in the namespace.
        name: String,
    },
    /// Every name tried for a host's end was taken.
    NoFreeName {
        /// The first part of the names.
        prefix: String,
        /// How many were tried.
        tries: u32,
    },
    /// The kernel refused a change to a link.
    Link {
        /// Name of the link.
        name: String,
        /// Where the link is or should have been.
        side: Side,
        /// What was asked for: `bring up`, `add address 10.7.0.2/24`.
        action: String,
        /// The kernel's own words, where it gave any (extended
        /// acknowledgement, netlink(7), `NETLINK_EXT_ACK`).
        kernel: Option<String>,
        /// The error number.
        source: io::Error,
    },
    /// A namespace could not be opened, made or used.
    Namespace {
        /// Its file, or `new network namespace`.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// A file or descriptor that is no network namespace.
    NotANetworkNamespace {
        /// The file, or what was given.
        what: String,
    },
    /// The namespace is the caller's own: the host would be configured.
    OwnNamespace,
    /// Another [`connect`](crate::connect()) uses the namespace's only socket.
    Busy,
    /// [`connect`](crate::connect()) was polled outside of a tokio runtime.
    NoRuntime,
    /// A socket or a runtime could not be made.
    Socket {
        /// The cause.
        source: io::Error,
    },
    /// A per-link setting of the host's could not be written.
    Sysctl {
        /// The file below `/proc/sys`.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Something failed, and what had been made could not all be removed.
    Undo {
        /// What failed first.
        first: Box<Error>,
        /// What is left, and why.
        left: Vec<Error>,
    },
}

/// On which side of a pair a link is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// In the caller's network namespace.
    Host,
    /// In the namespace that is given its interfaces.
    Inside,
}

impl Error {
    /// What may help, in one line; nothing where the error says it all.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Undo { first, .. } => first.hint(),
            Self::Link { side: Side::Host, source, .. } if is_denied(source) => Some(
                "a veth pair's host end needs CAP_NET_ADMIN in the host's network namespace: only root has it",
            ),
            Self::Link { side: Side::Inside, source, .. } | Self::Namespace { source, .. }
                if is_denied(source) =>
            {
                Some(
                    "changing a network namespace needs CAP_NET_ADMIN in the user namespace that owns it",
                )
            }
            Self::NoSuchBridge { .. } => Some("make the bridge first, or ask for it to be made"),
            Self::Sysctl { .. } => {
                Some("make /proc/sys writable, or make the bridge beforehand with accept_ra off")
            }
            _ => None,
        }
    }

    /// The error with what could not be cleaned up after it.
    pub(crate) fn with_left(self, left: Vec<Error>) -> Self {
        if left.is_empty() { self } else { Self::Undo { first: Box::new(self), left } }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse { text, expected } => write!(f, "{text:?}: not {expected}"),
            Self::Name { what, name, reason } => write!(f, "{what} {name:?}: {reason}"),
            Self::Mtu { interface, mtu, reason } => write!(f, "{interface}: mtu {mtu}: {reason}"),
            Self::Mac { interface, mac } => {
                write!(f, "{interface}: hardware address {mac}: not the address of one interface")
            }
            Self::Address { interface, address, reason } => {
                write!(f, "{interface}: address {address}: {reason}")
            }
            Self::Gateway { interface, gateway, reason } => {
                write!(f, "{interface}: gateway {gateway}: {reason}")
            }
            Self::Route { interface, route, reason } => {
                write!(f, "{interface}: route {route}: {reason}")
            }
            Self::AddressInUse { interface, address, holder } => {
                write!(f, "{interface}: address {address}: in use by {holder}")
            }
            Self::NoSuchBridge { name } => write!(f, "bridge {name}: there is none"),
            Self::NotABridge { name, kind } if kind.is_empty() => {
                write!(f, "bridge {name}: not a bridge")
            }
            Self::NotABridge { name, kind } => {
                write!(f, "bridge {name}: not a bridge but a {kind}")
            }
            Self::NameInUse { name } => {
                write!(f, "{name}: the namespace has a link of this name already")
            }
            Self::NoFreeName { prefix, tries } => {
                write!(f, "host prefix {prefix:?}: {tries} random names were all taken")
            }
            Self::Link { name, action, kernel: Some(kernel), source, .. } => {
                write!(f, "{name}: {action}: {kernel}: {}", Plain(source))
            }
            Self::Link { name, action, source, .. } => {
                write!(f, "{name}: {action}: {}", Plain(source))
            }
            Self::Namespace { what, source } => write!(f, "{what}: {}", Plain(source)),
            Self::NotANetworkNamespace { what } => write!(f, "{what}: not a network namespace"),
            Self::OwnNamespace => {
                f.write_str("network namespace: the caller's own, not another one")
            }
            Self::Busy => f.write_str("network namespace: another connect is using its socket"),
            Self::NoRuntime => {
                f.write_str("connect: not within a tokio runtime (blocking::connect needs none)")
            }
            Self::Socket { source } => write!(f, "netlink socket: {}", Plain(source)),
            Self::Sysctl { path, source } => write!(f, "{}: {}", path.display(), Plain(source)),
            Self::Undo { first, left } => {
                write!(f, "{first}; left behind")?;
                left.iter().try_for_each(|error| write!(f, ": {error}"))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Link { source, .. }
            | Self::Namespace { source, .. }
            | Self::Socket { source }
            | Self::Sysctl { source, .. } => Some(source),
            Self::Undo { first, .. } => Some(first),
            _ => None,
        }
    }
}

/// An error number's text without "(os error N)".
struct Plain<'a>(&'a io::Error);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split(" (os error").next().unwrap_or(&text))
    }
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(side: Side) -> Error {
        Error::Link {
            name: "eth0".to_owned(),
            side,
            action: "add address 10.7.0.2/24".to_owned(),
            kernel: Some("ipv4: no".to_owned()),
            source: io::Error::from_raw_os_error(libc::EPERM),
        }
    }

    #[test]
    fn the_object_comes_first_and_the_errno_last_without_its_number() {
        assert_eq!(
            refused(Side::Inside).to_string(),
            "eth0: add address 10.7.0.2/24: ipv4: no: Operation not permitted"
        );
    }

    #[test]
    fn a_refused_host_end_names_the_capability_and_where_it_counts() {
        assert!(
            refused(Side::Host)
                .hint()
                .unwrap()
                .contains("CAP_NET_ADMIN in the host's network namespace")
        );
        assert!(refused(Side::Inside).hint().unwrap().contains("owns it"));
    }

    #[test]
    fn what_is_left_behind_never_hides_the_first_error() {
        let first = Error::NoSuchBridge { name: "br0".to_owned() };
        let error = first.with_left(vec![refused(Side::Host)]);
        assert!(
            error.to_string().starts_with("bridge br0: there is none; left behind: eth0: "),
            "{error}"
        );
        assert!(error.hint().is_some());
        assert!(matches!(Error::Busy.with_left(Vec::new()), Error::Busy));
    }
}
