//! A container from a program: its plan, its launch, its output, and two of its errors.

use std::path::Path;

use nsinit::{Container, Error, Host, Plan, Reason, Rootfs, Stdio};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let koye = std::env::temp_dir().join(format!("consumer-nsinit-{}", std::process::id()));
    std::fs::create_dir(&koye)?;
    write_container(&koye)?;
    let result = run(&koye);
    std::fs::remove_dir_all(koye)?;
    match result {
        Err(err) => {
            match err.downcast_ref() {
                Some(Error::Step { step, .. }) => eprintln!("the step was: {step}"),
                Some(Error::Program { path, reason: Reason::NotFound { searched } }) => {
                    eprintln!("{path:?} is not in {searched:?}")
                }
                _ => (),
            }
            eprintln!("{err}: {:?}", err.source());
            Err(err)
        }
        ok => ok,
    }
}

fn run(koye: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let container = Container::load(koye.join("container.json"))?;
    let (host, rootfs) = (Host::probe()?, Rootfs::open(koye)?);
    let plan = Plan::new(&container, &host, &rootfs, ["sh", "-c", "echo hi; exit 3"])?;
    for step in plan.steps() {
        println!("{step}") // mount proc on /proc …
    }
    let running = plan.launch(Stdio::piped())?; // safe from a program with threads or tokio
    let out = running.wait_with_output()?;
    assert_eq!((out.status.code(), &*out.stdout), (Some(3), b"hi\n".as_slice()));

    let missing = Plan::new(&container, &host, &rootfs, ["no-such-program"])
        .and_then(|plan| plan.launch(Stdio::null()));
    assert!(matches!(missing, Err(Error::Program { reason: Reason::NotFound { .. }, .. })));
    Ok(())
}

/// A root filesystem of links and mount points for the host's programs.
fn write_container(koye: &Path) -> std::io::Result<()> {
    let mut mounts = Vec::new();
    for path in ["/usr", "/bin", "/sbin", "/lib", "/lib64"] {
        let inside = koye.join(&path[1..]);
        match Path::new(path).symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                std::os::unix::fs::symlink(std::fs::read_link(path)?, inside)?;
            }
            Ok(_) => mounts.push(format!(r#"{{ "source": "{path}", "destination": "{path}" }}"#)),
            Err(_) => (),
        }
    }
    let text = format!(r#"{{ "hostname": "koye", "mounts": [{}] }}"#, mounts.join(", "));
    std::fs::write(koye.join("container.json"), text)
}
