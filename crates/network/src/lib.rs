//! Give a network namespace its interfaces, addresses and routes, from outside.
//!
//! A netlink socket belongs to the network namespace that it was opened in, so
//! one process can configure both ends of a pair: nothing of this runs in the
//! container, but one `socket(2)` and, if wanted, one message for `lo`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use nsinit_network::{Interface, NetworkNamespace, Veth, connect};
//!
//! let ns = NetworkNamespace::of_process(1234)?; // or ::open("/run/netns/x"), ::new()
//! let eth0 = Veth {
//!     bridge: "br0".into(),
//!     address: Some("10.7.0.2/24".parse()?),
//!     gateway: Some("10.7.0.1".parse()?),
//!     ..Veth::named("eth0")
//! };
//! let links = connect(&ns, &[Interface::Loopback, eth0.into()]).await?; // all or nothing
//! println!("host end {}", links[1].host_name()); // removed on drop
//! links.keep(); // unless kept
//! # Ok(()) }
//! ```
//!
//! [`blocking::connect`] is the same for a caller without a runtime.
//!
//! | function | process |
//! |---|---|
//! | [`open_socket`], [`loopback_up`] | child: allocate nothing, fit `pre_exec` |
//! | everything else | parent |
//!
//! # What is changed on the host
//! The links that are made here and nothing else: a veth end per [`Veth`], and
//! a bridge where [`Veth::create_bridge`] asks for one that is missing. Their
//! own `accept_ra` and `disable_ipv6` are set (see [`connect`](connect()));
//! forwarding and address translation are the administrator's.

mod address;
pub mod blocking;
mod bridge;
mod change;
mod check;
mod child;
mod connect;
mod error;
mod interface;
mod kernel;
mod links;
mod message;
mod namespace;
mod socket;
#[expect(
    unsafe_code,
    reason = "ioctl(2), setsockopt(2) and unshare(2) on descriptors that rustix has no safe call for"
)]
mod sys;

pub use address::{Cidr4, Cidr6, IpCidr, MacAddress};
pub use bridge::{BRIDGE_MARK, bridges, link_exists, remove_bridge, remove_unfinished_bridge};
pub use check::validate;
pub use child::{enter_namespace_of, loopback_up, open_socket};
pub use connect::{check_host, connect};
pub use error::{Error, Side};
pub use interface::{Interface, Route, Veth};
pub use links::{Link, Links, remove_link};
pub use namespace::NetworkNamespace;
