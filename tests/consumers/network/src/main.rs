//! A network namespace with `eth0` on a bridge, from async code.

use nsinit_network::{Error, Interface, NetworkNamespace, Veth, connect};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ns = match NetworkNamespace::new() {
        Ok(ns) => ns, // or ::of_process(1234), ::open("/run/netns/x")
        Err(error) => {
            println!("SKIPPED: needs root: {error}");
            assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none());
            return Ok(());
        }
    };
    // The same without a runtime of one's own.
    let links = nsinit_network::blocking::connect(&ns, &[Interface::Loopback])?;
    drop(links);
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(with_bridge(&ns))
}

async fn with_bridge(ns: &NetworkNamespace) -> Result<(), Box<dyn std::error::Error>> {
    let eth0 = Veth {
        bridge: "consumer0".into(),
        address: Some("10.7.0.2/24".parse()?),
        gateway: Some("10.7.0.1".parse()?),
        ..Veth::named("eth0")
    };
    match connect(ns, &[Interface::Loopback, eth0.clone().into()]).await {
        Err(Error::NoSuchBridge { name }) => println!("there is no {name}: have it made"),
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("somebody has a bridge consumer0".into()),
    }
    let eth0 = Veth { create_bridge: true, ..eth0 };
    let links = connect(ns, &[Interface::Loopback, eth0.into()]).await?; // all or nothing
    println!("host end {}", links[1].host_name()); // removed on drop; links.keep() leaves it
    Ok(())
}
