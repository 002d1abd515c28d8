//! Parent: the same without a runtime of the caller's.

use std::thread;

use crate::connect::{connect_loopback, veths};
use crate::{Error, Interface, Links, NetworkNamespace};

/// [`connect`](crate::connect()) for a caller without a runtime. One is made for
/// the call, on the calling thread, and only where there is a pair to make.
/// Within a runtime a thread is used, so that the call is safe there too; it
/// blocks all the same.
///
/// # Errors
/// Those of [`connect`](crate::connect()).
pub fn connect(namespace: &NetworkNamespace, interfaces: &[Interface]) -> Result<Links, Error> {
    if veths(interfaces).next().is_none() {
        return connect_loopback(namespace, interfaces);
    }
    if tokio::runtime::Handle::try_current().is_err() {
        return on_this_thread(namespace, interfaces);
    }
    let ended = || Error::Socket { source: std::io::Error::other("the helper thread ended early") };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("network".to_owned());
        let thread = thread.spawn_scoped(scope, || on_this_thread(namespace, interfaces));
        thread.map_err(|source| Error::Socket { source })?.join().unwrap_or_else(|_| Err(ended()))
    })
}

fn on_this_thread(namespace: &NetworkNamespace, interfaces: &[Interface]) -> Result<Links, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    runtime
        .map_err(|source| Error::Socket { source })?
        .block_on(crate::connect(namespace, interfaces))
}
