//! A shell in namespaces of its own, and a socket opened in those of another process.

use std::net::TcpListener;

use nsinit_namespaces::{Command, Denier, Error, IdMaps, Join, Kinds};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Err(err) = shell().and_then(|()| web()) {
        match err.downcast_ref() {
            Some(Error::Denied { by: Denier::AppArmor, .. }) => eprintln!("AppArmor forbids it"),
            Some(Error::IdRange { file, user, .. }) => {
                eprintln!("{}: nothing for {user}", file.display())
            }
            _ => (),
        }
        return Err(err);
    }
    Ok(())
}

fn shell() -> Result<(), Box<dyn std::error::Error>> {
    let mut child = Command::new("sh")
        .args(["-c", "id -u; hostname box; hostname"])
        .unshare(Kinds::USER | Kinds::UTS | Kinds::PID)
        .id_maps(IdMaps::caller_as_root())
        .spawn()?;
    assert!(child.wait()?.success()); // waits by pidfd
    Ok(())
}

/// Listens in the network namespace of a process that is made for it.
fn web() -> Result<(), Box<dyn std::error::Error>> {
    let mut other = Command::new("sleep")
        .arg("1")
        .unshare(Kinds::USER | Kinds::NET)
        .id_maps(IdMaps::caller_as_root())
        .spawn()?;
    let web = Join::process(other.pid().as_raw_nonzero().get())?; // pidfd, identity checked
    match web.run(Kinds::NET, || TcpListener::bind("[::]:80")) {
        Ok(listener) => println!("listening at {}", listener?.local_addr()?),
        Err(error) => {
            println!("SKIPPED: needs root, to enter a network namespace: {error}");
            assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none());
        }
    }
    assert!(other.wait()?.success());
    Ok(())
}
