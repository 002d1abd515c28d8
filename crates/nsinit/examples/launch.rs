//! Prints the steps of a launch, then starts a container that greets.
//!
//! The root filesystem is an empty tmpfs with the host's /usr, as in
//! `nsinit exec` without a container.json. Needs no privileges.

#![expect(clippy::print_stdout, reason = "an example that shows something")]

use nsinit::config::{Mount, RootfsSource};
use nsinit::rootfs::TmpfsRoot;
use nsinit::{Container, Host, Plan, Rootfs, Stdio};

fn main() -> nsinit::Result<()> {
    let mut container = Container {
        rootfs: Some(RootfsSource::Tmpfs(Default::default())),
        hostname: Some("example".into()),
        tty: Some(false),
        ..Container::default()
    };
    for directory in ["/usr", "/bin", "/lib", "/lib64"] {
        container.mounts.push(Mount { optional: true, ..Mount::bind(directory, directory) });
    }
    let rootfs = Rootfs::tmpfs(TmpfsRoot::default());
    let plan = Plan::new(&container, &Host::probe()?, &rootfs, ["uname", "-n"])?;
    for step in plan.steps() {
        println!("{step}");
    }
    let output = plan.launch(Stdio::piped())?.wait_with_output()?;
    println!("{}: {}", output.status, String::from_utf8_lossy(&output.stdout));
    Ok(())
}
