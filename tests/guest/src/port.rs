//! The virtio-serial port on which the host listens.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::Result;

/// `xtask/src/vm_test/qemu.rs` gives it this name.
const NAME: &str = "nsinit.result";
/// Begins what is said about the tests, among what they say; no test prints it.
const MARK: char = '\x01';

pub(crate) struct Port(File);

impl Port {
    /// Its node is there a moment before it can be opened.
    pub(crate) fn open() -> Result<Port> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let opened = find().and_then(|path| {
                let file = OpenOptions::new().write(true).open(&path);
                file.map_err(|error| format!("{}: {error}", path.display()))
            });
            match opened {
                Ok(file) => return Ok(Port(file)),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Passes on what a test program wrote, complete lines or not.
    pub(crate) fn pass_on(&mut self, bytes: &[u8]) -> Result {
        self.0.write_all(bytes).map_err(|error| format!("{NAME}: {error}"))
    }

    /// Says something about the tests, on a line of its own.
    pub(crate) fn say(&mut self, text: &str) -> Result {
        self.pass_on(format!("\n{MARK}{text}\n").as_bytes())
    }
}

fn find() -> Result<PathBuf> {
    let directory = "/sys/class/virtio-ports";
    let ports = fs::read_dir(directory).map_err(|error| format!("{directory}: {error}"))?;
    let mut ports = ports.filter_map(std::result::Result::ok).map(|port| port.path());
    let named = |port: &PathBuf| {
        fs::read_to_string(port.join("name")).is_ok_and(|name| name.trim() == NAME)
    };
    let port = ports.find(named).ok_or_else(|| format!("{directory}: none is {NAME}"))?;
    let name = port.file_name().unwrap_or_default();
    Ok(PathBuf::from("/dev").join(name))
}
