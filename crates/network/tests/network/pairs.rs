//! What is made is there, seen with other eyes than ours.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;

use nsinit_network::{
    Interface, NetworkNamespace, Route, Veth, blocking, connect, loopback_up, open_socket,
};

use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::harness::{
    add_br0, as_host, eth0, eth0_on_new_bridge, ip, links, only, require_namespaces, within,
};

#[test]
fn the_loopback_is_brought_up_by_the_child() {
    require_namespaces!();
    as_host(|| {
        assert!(ip("-o link show lo").contains("state DOWN"));
        loopback_up(open_socket().unwrap().as_fd()).unwrap();
        assert!(ip("-o link show lo").contains(",UP,"));
        assert!(ip("-o address show lo").contains("127.0.0.1/8"));
    });
}

#[test]
fn a_refusal_to_bring_the_loopback_up_is_told() {
    require_namespaces!();
    as_host(|| {
        let socket = open_socket().unwrap();
        let mut mine = capabilities(None).unwrap();
        mine.effective = CapabilitySet::empty();
        set_capabilities(None, mine).unwrap(); // this thread's only
        assert_eq!(loopback_up(socket.as_fd()), Err(Errno::PERM));
    });
}

#[test]
fn an_answer_that_was_left_unread_is_not_taken_for_another() {
    require_namespaces!();
    let container = NetworkNamespace::new().unwrap();
    let socket = within(&container, || open_socket().unwrap());
    // A request with the number 1 for a link that is not there.
    let mut request = [0_u8; 32];
    request[..12].copy_from_slice(&[32, 0, 0, 0, 16, 0, 5, 0, 1, 0, 0, 0]);
    request[20] = 99;
    rustix::net::send(&socket, &request, SendFlags::empty()).unwrap();
    let ns = NetworkNamespace::from_socket(socket).unwrap();
    blocking::connect(&ns, &[Interface::Loopback]).unwrap().keep();
    assert!(within(&container, || ip("-o link show lo")).contains(",UP,"));
}

#[test]
fn the_loopback_is_brought_up_from_outside_without_a_runtime() {
    require_namespaces!();
    let ns = NetworkNamespace::new().unwrap();
    let links = blocking::connect(&ns, &[Interface::Loopback]).unwrap();
    assert_eq!((links[0].name(), links[0].host_name(), links.host_names().count()), ("lo", "", 0));
    assert!(within(&ns, || ip("-o link show lo")).contains(",UP,"));
}

#[test]
fn a_pair_has_the_mtu_mac_addresses_and_routes_asked_for() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        let veth = Veth {
            mtu: Some(1400),
            mac: Some("02:42:0a:07:00:02".parse().unwrap()),
            ipv6_address: Some("fd00:7::2/64".parse().unwrap()),
            ipv6_gateway: Some("fd00:7::1".parse().unwrap()),
            routes: vec![Route {
                destination: Some("192.0.2.0/24".parse().unwrap()),
                gateway: "10.7.0.9".parse().unwrap(),
            }],
            ..eth0()
        };
        let links = blocking::connect(&ns, &[Interface::Loopback, veth.into()]).unwrap();
        let (link, address, routes) = within(&ns, || {
            (ip("-o link show eth0"), ip("-o address show eth0"), ip("route") + &ip("-6 route"))
        });
        for wanted in ["mtu 1400", ",UP,LOWER_UP", "02:42:0a:07:00:02"] {
            assert!(link.contains(wanted), "{wanted}: {link}");
        }
        for wanted in ["10.7.0.2/24 brd 10.7.0.255", "fd00:7::2/64 scope global nodad"] {
            assert!(address.contains(wanted), "{wanted}: {address}");
        }
        assert!(!address.contains("fd00:7::2/64 scope global nodad tentative"), "{address}");
        for wanted in [
            "default via 10.7.0.1 dev eth0",
            "192.0.2.0/24 via 10.7.0.9",
            "default via fd00:7::1 dev eth0",
        ] {
            assert!(routes.contains(wanted), "{wanted}: {routes}");
        }
        let host = ip(&format!("-d -o link show {}", links[1].host_name()));
        for wanted in ["master br0", "mtu 1400", "link/ether fe:", ",UP,LOWER_UP", "hairpin off"] {
            assert!(host.contains(wanted), "{wanted}: {host}");
        }
    });
}

#[test]
fn a_host_end_is_named_by_its_prefix_and_has_no_ipv6() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        for (prefix, length) in [("veth", 12), ("v", 9), ("elevenbytes", 15)] {
            let veth = Veth { host_prefix: prefix.to_owned(), ..eth0() };
            let links = blocking::connect(&ns, &only(veth)).unwrap();
            let host_name = links[0].host_name();
            assert!(host_name.starts_with(prefix) && host_name.len() == length, "{host_name}");
            assert!(!ip(&format!("-o address show {host_name}")).contains("inet6"));
            let setting =
                std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{host_name}/accept_ra"));
            assert_eq!(setting.unwrap().trim(), "0");
        }
    });
}

#[test]
fn without_an_mtu_the_interface_has_its_bridges() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        ip("link set br0 mtu 1300");
        let ns = NetworkNamespace::new().unwrap();
        let _links = blocking::connect(&ns, &only(eth0())).unwrap();
        assert!(within(&ns, || ip("-o link show eth0")).contains("mtu 1300"));
    });
}

#[test]
fn two_interfaces_on_two_bridges_keep_their_order() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        ip("link add br1 type bridge");
        let ns = NetworkNamespace::new().unwrap();
        let eth1 = Veth {
            bridge: "br1".into(),
            address: Some("10.8.0.2/24".parse().unwrap()),
            ..Veth::named("eth1")
        };
        let made =
            blocking::connect(&ns, &[eth0().into(), Interface::Loopback, eth1.into()]).unwrap();
        assert_eq!(made.iter().map(|link| link.name()).collect::<Vec<_>>(), ["eth0", "lo", "eth1"]);
        assert_eq!(within(&ns, links), ["eth0", "eth1", "lo"]);
        assert!(ip("-o link show master br0").contains(made[0].host_name()));
        assert!(ip("-o link show master br1").contains(made[2].host_name()));
    });
}

#[test]
fn tcp_over_ipv4_and_ipv6_crosses_a_bridge_that_was_made() {
    require_namespaces!();
    as_host(|| {
        let ns = NetworkNamespace::new().unwrap();
        let veth = Veth {
            ipv6_address: Some("fd00:7::2/64".parse().unwrap()),
            ipv6_gateway: Some("fd00:7::1".parse().unwrap()),
            ..eth0_on_new_bridge()
        };
        let _links = blocking::connect(&ns, &only(veth)).unwrap();
        for (listen, reach) in [("10.7.0.1:0", "10.7.0.2"), ("[fd00:7::1]:0", "fd00:7::2")] {
            let listener = TcpListener::bind(listen).unwrap();
            let address = listener.local_addr().unwrap();
            let client = within(&ns, || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"hello").unwrap();
                stream.local_addr().unwrap()
            });
            assert_eq!(client.ip().to_string(), reach);
            let mut text = String::new();
            listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
        }
    });
}

#[test]
fn a_socket_of_the_childs_is_enough() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let container = NetworkNamespace::new().unwrap();
        let socket = within(&container, || open_socket().unwrap());
        loopback_up(socket.as_fd()).unwrap();
        let ns = NetworkNamespace::from_socket(socket).unwrap();
        for _ in 0..2 {
            let made = blocking::connect(&ns, &only(eth0())).unwrap();
            assert_eq!(within(&container, links), ["eth0", "lo"]);
            made.remove().unwrap();
            assert_eq!(within(&container, links), ["lo"]);
        }
    });
}

#[test]
fn a_process_names_its_namespace() {
    require_namespaces!();
    as_host(|| {
        let container = NetworkNamespace::new().unwrap();
        let mut sleeper = within(&container, || Command::new("sleep").arg("60").spawn().unwrap());
        let pid = i32::try_from(sleeper.id()).unwrap();
        let ns = NetworkNamespace::of_process(pid).unwrap();
        let made = blocking::connect(&ns, &only(eth0_on_new_bridge())).unwrap();
        assert_eq!(within(&container, links), ["eth0", "lo"]);
        drop(made);
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(NetworkNamespace::of_process(pid).is_err());
        assert!(
            NetworkNamespace::of_process(-1).is_err() && NetworkNamespace::of_process(0).is_err()
        );
    });
}

#[test]
fn the_future_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    require_namespaces!();
    let ns = NetworkNamespace::new().unwrap();
    is_send(&connect(&ns, &[Interface::Loopback]));
}

#[test]
fn a_subnet_of_two_addresses_has_none_for_everybody() {
    // RFC 3021
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        let veth = Veth {
            address: Some("10.9.0.2/31".parse().unwrap()),
            gateway: Some("10.9.0.3".parse().unwrap()),
            ..eth0()
        };
        let _links = blocking::connect(&ns, &only(veth)).unwrap();
        let (address, route) = within(&ns, || (ip("-o -4 address show eth0"), ip("route")));
        assert!(address.contains("10.9.0.2/31") && !address.contains("brd"), "{address}");
        assert!(route.contains("default via 10.9.0.3 dev eth0"), "{route}");
    });
}
