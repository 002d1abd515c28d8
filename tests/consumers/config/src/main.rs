//! Change a configuration, hear everything that is wrong with it, write it back.

use std::process::exit;

use nsinit_config::{Container, Mount};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("consumer-config-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let file = directory.join("container.json");
    std::fs::write(&file, r#"{ "hostname": "koye", "environment": ["PATH=/bin"] }"#)?;

    let mut c = Container::load(&file).unwrap_or_else(|e| {
        eprint!("{e}");
        exit(125)
    });
    c.mounts.push(Mount { writable: true, ..Mount::bind("/srv/data", "/data") });
    if let Err(faults) = c.validate() {
        for f in &faults {
            eprintln!("{}: {} ({:?})", f.path, f.message, f.suggestion)
        }
    }
    std::fs::write(&file, c.to_json_pretty())?;
    assert_eq!(Container::load(&file)?, c);
    print!("{}", std::fs::read_to_string(&file)?);

    c.mounts.push(Mount::bind("/srv", "relative"));
    let faults = c.validate().expect_err("a relative destination is a fault");
    let of_mounts: Vec<_> = faults.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(of_mounts, ["mounts[1].destination"]);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
