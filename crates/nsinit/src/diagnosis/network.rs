//! Parent: what the host has of bridges and addresses instead.

use nsinit_network::Error;

/// A remedy where the host's interfaces are not what the configuration takes them for.
pub(super) fn remedy(error: &Error) -> Option<String> {
    match error {
        Error::Undo { first, .. } => remedy(first),
        Error::NoSuchBridge { name } => {
            Some(without_bridge(name, &nsinit_network::bridges().unwrap_or_default()))
        }
        Error::AddressInUse { holder, .. } => {
            Some(format!("{holder} has it: choose another one of the same network"))
        }
        _ => error.hint().map(str::to_owned),
    }
}

fn without_bridge(name: &str, bridges: &[String]) -> String {
    let there = match bridges {
        [] => "this host has no bridge".to_owned(),
        names => format!("this host has {}", names.join(", ").escape_debug()),
    };
    format!(
        "{there}; as root: ip link add {name} type bridge, or have it made and removed with the \
         container: \"create\": true in its \"context\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridges_that_there_are_are_named() {
        let told = without_bridge("br9", &["br0".into(), "docker0".into()]);
        assert!(told.starts_with("this host has br0, docker0; as root: ip link add br9 type "));
        assert!(without_bridge("br9", &[]).starts_with("this host has no bridge; "));
    }
}
