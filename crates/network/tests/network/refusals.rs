//! What is refused changes nothing.

use std::fs::File;
use std::net::TcpListener;

use nsinit_network::{
    Error, Interface, NetworkNamespace, Route, Side, Veth, blocking, connect, remove_link, validate,
};

use crate::harness::{
    add_br0, as_host, eth0, eth0_on_new_bridge, ip, links, only, require_namespaces, within,
};

/// Connects in vain, and looks whether everything is as before.
fn refused(ns: &NetworkNamespace, interfaces: &[Interface]) -> Error {
    let before = (links(), within(ns, links));
    let error = blocking::connect(ns, interfaces).expect_err("should have been refused");
    assert_eq!((links(), within(ns, links)), before, "{error}");
    error
}

#[test]
fn a_missing_bridge_is_named() {
    require_namespaces!();
    as_host(|| {
        let error = refused(&NetworkNamespace::new().unwrap(), &only(eth0()));
        assert!(matches!(&error, Error::NoSuchBridge { name } if name == "br0"), "{error}");
    });
}

#[test]
fn a_link_that_is_no_bridge_is_refused() {
    require_namespaces!();
    as_host(|| {
        ip("link add br0 type veth peer name other");
        for veth in [eth0(), eth0_on_new_bridge()] {
            let error = refused(&NetworkNamespace::new().unwrap(), &only(veth));
            assert!(matches!(&error, Error::NotABridge { kind, .. } if kind == "veth"), "{error}");
        }
        let error = refused(
            &NetworkNamespace::new().unwrap(),
            &only(Veth { bridge: "lo".into(), ..eth0() }),
        );
        assert_eq!(error.to_string(), "bridge lo: not a bridge");
    });
}

#[test]
fn an_alternative_name_is_no_name() {
    require_namespaces!();
    as_host(|| {
        ip("link add real type bridge");
        ip("link property add dev real altname br0");
        let error = refused(&NetworkNamespace::new().unwrap(), &only(eth0()));
        assert!(matches!(error, Error::NoSuchBridge { .. }), "{error}");
    });
}

#[test]
fn a_name_in_use_inside_is_refused() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        within(&ns, || ip("link add eth0 type bridge"));
        let error = refused(&ns, &only(eth0()));
        assert!(matches!(&error, Error::NameInUse { name } if name == "eth0"), "{error}");
    });
}

#[test]
fn the_bridges_own_address_is_in_use() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        ip("address add fd00:7::1/64 dev br0");
        let ns = NetworkNamespace::new().unwrap();
        let four = Veth { address: Some("10.7.0.1/24".parse().unwrap()), gateway: None, ..eth0() };
        let six = Veth { ipv6_address: Some("fd00:7::1/64".parse().unwrap()), ..eth0() };
        for veth in [four, six] {
            let error = refused(&ns, &only(veth));
            assert!(
                matches!(&error, Error::AddressInUse { holder, .. } if holder == "br0"),
                "{error}"
            );
        }
    });
}

#[test]
fn an_mtu_above_the_bridges_is_refused() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let error =
            refused(&NetworkNamespace::new().unwrap(), &only(Veth { mtu: Some(9000), ..eth0() }));
        assert_eq!(error.to_string(), "eth0: mtu 9000: above the 1500 of bridge br0");
    });
}

fn kernel_is_at_least(version: (u32, u32)) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= version
}

#[test]
fn a_late_refusal_of_the_kernels_undoes_all_in_its_own_words() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        within(&ns, || {
            std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap()
        });
        let six = Veth {
            bridge: "br1".into(),
            create_bridge: true,
            ipv6_address: Some("fd00:7::2/64".parse().unwrap()),
            ..Veth::named("eth1")
        };
        let error = refused(&ns, &[Interface::Loopback, eth0().into(), six.into()]);
        assert!(error.to_string().starts_with("eth1: add address fd00:7::2/64: "), "{error}");
        let Error::Link { kernel, side: Side::Inside, .. } = &error else { panic!("{error:?}") };
        // Older kernels have no words for it.
        if kernel_is_at_least((6, 12)) {
            assert!(kernel.as_ref().is_some_and(|words| words.contains("IPv6")), "{error:?}");
        }
        assert!(within(&ns, || ip("-o link show lo")).contains("state DOWN"));
    });
}

#[test]
fn the_hosts_own_namespace_is_refused() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let own = NetworkNamespace::open("/proc/thread-self/ns/net").unwrap();
        assert!(matches!(refused(&own, &only(eth0())), Error::OwnNamespace));
    });
}

#[test]
fn only_network_namespaces_are_opened() {
    for path in ["/proc/self/ns/mnt", "/dev/null", "/proc/self/ns"] {
        let error = NetworkNamespace::open(path).unwrap_err();
        assert!(matches!(&error, Error::NotANetworkNamespace { what } if what == path), "{error}");
    }
    assert!(matches!(NetworkNamespace::open("/nowhere"), Err(Error::Namespace { .. })));
    let file = File::open("/dev/null").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0");
    assert!(NetworkNamespace::from_socket(file.into()).is_err());
    assert!(tcp.is_err() || NetworkNamespace::from_socket(tcp.unwrap().into()).is_err());
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        let interfaces = only(eth0());
        let mut future = std::pin::pin!(connect(&ns, &interfaces));
        let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(done) = future.as_mut().poll(&mut nobody) else {
            panic!("pending")
        };
        assert!(matches!(done, Err(Error::NoRuntime)));
    });
}

#[test]
fn a_stale_name_removes_a_veth_only() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        ip("link add v1 type veth peer name v2");
        ip("link property add dev v1 altname v3");
        remove_link("v3").unwrap();
        remove_link("missing").unwrap();
        assert!(
            remove_link("br0").unwrap_err().to_string().starts_with("br0: remove: not a veth: ")
        );
        assert_eq!(links(), ["br0", "lo", "v1", "v2"]);
        remove_link("v1").unwrap();
        assert_eq!(links(), ["br0", "lo"]);
    });
}

/// An interface, and the start of what is said about it.
type Fault = (Veth, &'static str);

fn six(text: &str) -> Veth {
    Veth { ipv6_address: Some(text.parse().unwrap()), ..eth0() }
}

fn faults_of_links() -> Vec<Fault> {
    vec![
        (Veth { name: String::new(), ..eth0() }, "interface \"\": is empty"),
        (
            Veth { name: "sixteen-bytes-xy".into(), ..eth0() },
            "interface \"sixteen-bytes-xy\": is too long",
        ),
        (Veth { name: "a/b".into(), ..eth0() }, "interface \"a/b\": has"),
        (Veth { name: "eth%d".into(), ..eth0() }, "interface \"eth%d\": has"),
        (Veth { name: "e 0".into(), ..eth0() }, "interface \"e 0\": has"),
        (Veth { name: "..".into(), ..eth0() }, "interface \"..\": is reserved"),
        (Veth { name: "lo".into(), ..eth0() }, "interface \"lo\": given twice"),
        (Veth { bridge: String::new(), ..eth0() }, "bridge \"\": is empty"),
        (
            Veth { host_prefix: "twelve-bytes".into(), ..eth0() },
            "host prefix \"twelve-bytes\": is too long",
        ),
        (Veth { mtu: Some(67), ..eth0() }, "eth0: mtu 67: not between"),
        (Veth { mtu: Some(65536), ..eth0() }, "eth0: mtu 65536: not between"),
        (Veth { mtu: Some(1279), ..six("fd00::2/64") }, "eth0: mtu 1279: below"),
        (
            Veth { mac: Some("03:00:00:00:00:01".parse().unwrap()), ..eth0() },
            "eth0: hardware address 03:",
        ),
    ]
}

fn faults_of_addresses() -> Vec<Fault> {
    let address = |text: &str| Some(text.parse().unwrap());
    vec![
        (
            Veth { address: address("10.7.0.0/24"), ..eth0() },
            "eth0: address 10.7.0.0: is its network's own",
        ),
        (
            Veth { address: address("10.7.0.255/24"), ..eth0() },
            "eth0: address 10.7.0.255: is its network's broad",
        ),
        (Veth { address: address("10.7.0.2/0"), ..eth0() }, "eth0: address 10.7.0.2: has a prefix"),
        (Veth { address: address("224.0.0.1/24"), ..eth0() }, "eth0: address 224.0.0.1: is not"),
        (Veth { address: address("127.0.0.5/8"), ..eth0() }, "eth0: address 127.0.0.5: is not"),
        (six("ff02::1/64"), "eth0: address ff02::1: is not"),
        (six("fd00::/64"), "eth0: address fd00::: is its network's anycast"),
    ]
}

fn faults_of_routes() -> Vec<Fault> {
    let gateway = |text: &str| Some(text.parse().unwrap());
    let route = |to: &str, via: &str| Veth {
        routes: vec![Route {
            destination: Some(to.parse().unwrap()),
            gateway: via.parse().unwrap(),
        }],
        ..eth0()
    };
    vec![
        (Veth { gateway: gateway("10.8.0.1"), ..eth0() }, "eth0: gateway 10.8.0.1: is not in"),
        (
            Veth { gateway: gateway("10.7.0.2"), ..eth0() },
            "eth0: gateway 10.7.0.2: is the interface's own",
        ),
        (
            Veth { gateway: gateway("10.7.0.255"), ..eth0() },
            "eth0: gateway 10.7.0.255: is its network's",
        ),
        (Veth { address: None, ..eth0() }, "eth0: gateway 10.7.0.1: the interface has no address"),
        (
            Veth { ipv6_gateway: Some("fd01::1".parse().unwrap()), ..six("fd00::2/64") },
            "eth0: gateway fd01::1: is not",
        ),
        (
            route("10.9.0.1/24", "10.7.0.9"),
            "eth0: route 10.9.0.1/24 via 10.7.0.9: the destination has",
        ),
        (route("fd00::/8", "10.7.0.9"), "eth0: route fd00::/8 via 10.7.0.9: the destination and"),
        (route("10.9.0.0/24", "10.8.0.9"), "eth0: gateway 10.8.0.9: is not in"),
        (route("0.0.0.0/0", "10.7.0.9"), "eth0: gateway 10.7.0.9: there is a default route"),
    ]
}

#[test]
fn every_fault_is_found_before_anything_is_asked_of_the_kernel() {
    let faults = [faults_of_links(), faults_of_addresses(), faults_of_routes()].concat();
    for (veth, wanted) in faults {
        let error = validate(&[Interface::Loopback, veth.into()]).expect_err(wanted);
        assert!(error.to_string().starts_with(wanted), "{error}\n{wanted}");
    }
    let twin = Veth { gateway: None, ..Veth { name: "eth1".into(), ..eth0() } };
    let error = validate(&[eth0().into(), twin.into()]).unwrap_err();
    assert_eq!(error.to_string(), "eth1: address 10.7.0.2: in use by eth0");
}

#[test]
fn unusual_but_right_is_accepted() {
    let link_local = Veth {
        ipv6_address: Some("fd00::2/64".parse().unwrap()),
        ipv6_gateway: Some("fe80::1".parse().unwrap()),
        ..eth0()
    };
    let point_to_point = Veth {
        address: Some("10.7.0.0/31".parse().unwrap()),
        gateway: Some("10.7.0.1".parse().unwrap()),
        ..eth0()
    };
    let bare = Veth { bridge: "br0".into(), ..Veth::named("eth0") };
    for veth in [link_local, point_to_point, bare] {
        validate(&only(veth)).unwrap();
    }
    validate(&[]).unwrap();
}
