//! How long links and bridges live.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use nsinit_network::{
    BRIDGE_MARK, Interface, NetworkNamespace, Veth, blocking, connect, open_socket, remove_bridge,
    remove_link,
};

use crate::harness::{
    add_br0, as_host, eth0, eth0_on_new_bridge, ip, links, only, require_namespaces, within,
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap()
}

/// `eth0` with an address of its own on a bridge that is to be made.
fn numbered(number: usize) -> Veth {
    Veth {
        address: Some(format!("10.7.0.{}/24", number + 2).parse().unwrap()),
        ..eth0_on_new_bridge()
    }
}

#[test]
fn dropping_removes_within_and_without_a_runtime() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        drop(blocking::connect(&ns, &only(eth0())).unwrap());
        assert_eq!(links(), ["br0", "lo"]);
        runtime().block_on(async {
            let interfaces = only(eth0());
            let made = connect(&ns, &interfaces).await.unwrap();
            assert_eq!(links().len(), 3);
            drop(made);
            assert_eq!(links(), ["br0", "lo"]);
            // Not of much use there, but no panic either.
            drop(blocking::connect(&ns, &interfaces).unwrap());
        });
        assert_eq!((links().len(), within(&ns, links).len()), (2, 1));
    });
}

#[test]
fn dropping_in_another_namespace_removes_in_the_right_one() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        let made = blocking::connect(&ns, &only(eth0())).unwrap();
        as_host(move || drop(made));
        assert_eq!(links(), ["br0", "lo"]);
    });
}

#[test]
fn kept_links_stay_until_they_are_removed_by_name() {
    require_namespaces!();
    as_host(|| {
        let ns = NetworkNamespace::new().unwrap();
        let made = blocking::connect(&ns, &only(eth0_on_new_bridge())).unwrap();
        let host_name = made.host_names().next().unwrap().to_owned();
        assert_eq!(made.own_bridges(), ["br0"]);
        made.keep();
        assert_eq!(links(), ["br0", "lo", host_name.as_str()]);
        remove_link(&host_name).unwrap();
        assert_eq!(links(), ["lo"]);
        remove_link(&host_name).unwrap();
    });
}

#[test]
fn a_reused_name_is_not_removed() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        let made = blocking::connect(&ns, &only(eth0())).unwrap();
        let host_name = made[0].host_name().to_owned();
        ip(&format!("link delete {host_name}"));
        ip(&format!("link add {host_name} type veth peer name other"));
        drop(made);
        assert!(links().contains(&host_name));
    });
}

#[test]
fn a_renamed_link_is_somebody_elses() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let ns = NetworkNamespace::new().unwrap();
        let made = blocking::connect(&ns, &only(eth0())).unwrap();
        ip(&format!("link set {} down", made[0].host_name()));
        ip(&format!("link set {} name mine", made[0].host_name()));
        drop(made);
        assert_eq!(links(), ["br0", "lo", "mine"]);
    });
}

#[test]
fn a_bridge_that_was_made_goes_with_its_last_port() {
    require_namespaces!();
    as_host(|| {
        let [one, two] = [0, 1].map(|_| NetworkNamespace::new().unwrap());
        let first = blocking::connect(&one, &only(numbered(0))).unwrap();
        let second = blocking::connect(&two, &only(numbered(1))).unwrap();
        let bridge = ip("-d -o link show br0") + &ip("-o address show br0");
        for wanted in [",UP,", "10.7.0.1/24", &format!("alias {BRIDGE_MARK}")] {
            assert!(bridge.contains(wanted), "{wanted}: {bridge}");
        }
        drop(first);
        assert_eq!(links().len(), 3);
        drop(second);
        assert_eq!(links(), ["lo"]);
    });
}

#[test]
fn a_bridge_that_one_interface_makes_is_there_for_the_next() {
    require_namespaces!();
    as_host(|| {
        let ns = NetworkNamespace::new().unwrap();
        let second = Veth { bridge: "br0".into(), ..Veth::named("eth1") };
        let both = [Interface::from(eth0_on_new_bridge()), second.clone().into()];
        let made = blocking::connect(&ns, &both).unwrap();
        assert_eq!(links().len(), 4);
        drop(made);
        assert_eq!(links(), ["lo"]);
        let reversed = [Interface::from(second), eth0_on_new_bridge().into()];
        let error = blocking::connect(&ns, &reversed).unwrap_err();
        assert!(matches!(&error, nsinit_network::Error::NoSuchBridge { .. }), "{error}");
    });
}

#[test]
fn a_bridge_that_was_made_heeds_no_router_advertisement() {
    require_namespaces!();
    as_host(|| {
        let ns = NetworkNamespace::new().unwrap();
        let setting =
            |key| std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/br0/{key}")).unwrap();
        let made = blocking::connect(&ns, &only(eth0_on_new_bridge())).unwrap();
        assert_eq!((setting("accept_ra").trim(), setting("disable_ipv6").trim()), ("0", "1"));
        drop(made);
        let six = Veth {
            ipv6_address: Some("fd00:7::2/64".parse().unwrap()),
            ipv6_gateway: Some("fd00:7::1".parse().unwrap()),
            ..eth0_on_new_bridge()
        };
        let _made = blocking::connect(&ns, &only(six)).unwrap();
        assert_eq!((setting("accept_ra").trim(), setting("disable_ipv6").trim()), ("0", "0"));
        assert!(ip("-o address show br0").contains("fd00:7::1/64"));
    });
}

#[test]
fn a_bridge_that_was_there_stays_and_is_used_as_it_is() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let before = ip("-d -o link show br0") + &ip("-o address show br0");
        let ns = NetworkNamespace::new().unwrap();
        let made = blocking::connect(&ns, &only(eth0_on_new_bridge())).unwrap();
        assert!(made.own_bridges().is_empty());
        assert_eq!(ip("-o -4 address show br0").matches("inet ").count(), 1);
        drop(made);
        remove_bridge("br0").unwrap();
        assert_eq!(links(), ["br0", "lo"]);
        assert!(!before.contains("alias") && !ip("-d -o link show br0").contains("alias"));
    });
}

#[test]
fn links_go_when_their_namespace_does() {
    require_namespaces!();
    as_host(|| {
        let ns = NetworkNamespace::new().unwrap();
        let made = blocking::connect(&ns, &only(eth0_on_new_bridge())).unwrap();
        drop(ns);
        let until = Instant::now() + Duration::from_secs(10);
        while links().len() > 2 && Instant::now() < until {
            thread::sleep(Duration::from_millis(5)); // the kernel does it later
        }
        assert_eq!(links(), ["br0", "lo"]);
        made.remove().unwrap();
        assert_eq!(links(), ["lo"]);
    });
}

#[test]
fn a_future_that_is_dropped_half_way_leaves_nothing() {
    require_namespaces!();
    as_host(|| {
        let ns = NetworkNamespace::new().unwrap();
        let mut finished = false;
        for polls in 0..40 {
            finished = runtime().block_on(async {
                let interfaces = only(eth0_on_new_bridge());
                let mut future = pin!(connect(&ns, &interfaces));
                let mut left = polls;
                poll_fn(|turn| match (left, future.as_mut().poll(turn)) {
                    (_, Poll::Ready(done)) => Poll::Ready(done.is_ok()),
                    (0, Poll::Pending) => Poll::Ready(false),
                    (_, Poll::Pending) => {
                        left -= 1;
                        Poll::Pending
                    }
                })
                .await
            });
            assert_eq!(
                (links(), within(&ns, links)),
                (vec!["lo".into()], vec!["lo".into()]),
                "after {polls}"
            );
            if finished {
                break;
            }
        }
        assert!(finished, "40 polls should be enough to get to the end");
    });
}

#[test]
fn what_a_dropped_future_left_unread_confuses_no_other() {
    require_namespaces!();
    as_host(|| {
        add_br0();
        let container = NetworkNamespace::new().unwrap();
        let ns =
            NetworkNamespace::from_socket(within(&container, || open_socket().unwrap())).unwrap();
        let interfaces = only(eth0());
        for polls in 0..12 {
            runtime().block_on(async {
                let mut future = pin!(connect(&ns, &interfaces));
                for _ in 0..polls {
                    let done =
                        poll_fn(|turn| Poll::Ready(future.as_mut().poll(turn).is_ready())).await;
                    if done {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            });
            let _made = blocking::connect(&ns, &interfaces).unwrap();
            let inside = within(&container, || ip("-o address show eth0") + &ip("route"));
            assert!(
                inside.contains("10.7.0.2/24") && inside.contains("default via"),
                "{polls}: {inside}"
            );
        }
    });
}

#[test]
fn many_at_once_share_a_bridge_and_leave_nothing() {
    require_namespaces!();
    as_host(|| {
        let host = NetworkNamespace::open("/proc/thread-self/ns/net").unwrap();
        // Few enough that a last port often goes while a first one comes.
        let connect_often = |number: usize| {
            let ns = NetworkNamespace::new().unwrap();
            within(&host, || {
                for round in 0..40 {
                    let made = blocking::connect(&ns, &only(numbered(number)));
                    made.unwrap_or_else(|error| panic!("round {round}: {error}")).remove().unwrap();
                }
            });
        };
        thread::scope(|scope| {
            (0..3).for_each(|number| {
                drop(scope.spawn({
                    let connect_often = &connect_often;
                    move || connect_often(number)
                }))
            })
        });
        assert_eq!(links(), ["lo"]);
    });
}

#[test]
fn many_at_once_on_one_thread_share_a_bridge() {
    require_namespaces!();
    as_host(|| {
        let spaces: Vec<_> = (0..6).map(|_| NetworkNamespace::new().unwrap()).collect();
        let interfaces: Vec<[Interface; 1]> = (0..6).map(|number| only(numbered(number))).collect();
        runtime().block_on(async {
            let mut futures: Vec<_> = spaces
                .iter()
                .zip(&interfaces)
                .map(|(ns, wanted)| Box::pin(connect(ns, wanted)))
                .collect();
            let mut made = Vec::new();
            poll_fn(|turn| {
                futures.retain_mut(|future| match future.as_mut().poll(turn) {
                    Poll::Ready(done) => {
                        made.push(done.unwrap());
                        false
                    }
                    Poll::Pending => true,
                });
                if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            assert_eq!(links().len(), 2 + 6);
        });
        assert_eq!(links(), ["lo"]);
    });
}
