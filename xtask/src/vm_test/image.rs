//! What is in a machine: the guest's init, programs of the host, the kernel's
//! modules, the tests and what they start, and `/cell`, which says what to do.

use std::path::{Path, PathBuf};

use super::cpio::Image;
use super::matrix::{Cell, Init};
use super::programs::{Programs, TestProgram};
use super::{Ready, host, labels, libselinux, modules, systemd};
use crate::cargo::root;
use crate::{Result, source};

/// Where the programs under test are, and the names by which the tests find them.
const NSINIT: &str = "/usr/bin/nsinit";
const PROBE: &str = "/usr/bin/probe";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const FILES: [(&str, &str); 6] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n\
         messagebus:x:100:100::/nonexistent:/usr/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\ntty:x:5:\nmessagebus:x:100:\nuser:x:1000:\nnogroup:x:65534:\n"),
    ("etc/subuid", "user:100000:65536\n"),
    ("etc/subgid", "user:100000:65536\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
];

pub(super) fn make(
    path: &Path,
    cell: &Cell,
    ready: &Ready,
    programs: &Programs,
    orders: &str,
) -> Result<PathBuf> {
    let mut image = Image::create(path)?;
    for directory in ["proc", "sys", "newroot", "tmp", "run", "mnt", "var/tmp", "usr/local/bin"] {
        image.directory(directory, 0o755)?;
    }
    image.directory("root", 0o700)?;
    image.copy(&programs.guest, "init")?;
    image.link("usr/bin/guest", "/init")?;
    image.link("var/run", "/run")?;
    image.copy(ready.nsinit.as_ref().unwrap_or(&programs.nsinit), NSINIT)?;
    image.copy(&programs.probe, PROBE)?;
    for TestProgram { name, path } in &programs.tests {
        let place = format!("tests/{name}");
        // The machine unpacks what is in it, and that takes an emulated one its time.
        if orders.contains(&format!("/{place}\t")) {
            image.copy(path, &place)?;
        }
    }
    for (name, text) in FILES {
        image.file(name, 0o644, text.as_bytes())?;
    }
    host::userland(&mut image)?;
    if let (Some(tree), Some(nsinit)) = (&ready.libselinux, &ready.nsinit) {
        libselinux::install(&mut image, tree, nsinit)?;
    }
    if let Some(tree) = &ready.systemd {
        systemd::install(&mut image, tree)?;
    }
    image.tree(&ready.kernel.modules.join("lib"), "lib")?;
    fixtures(&mut image)?;
    if let Some(tree) = &ready.labels {
        labels::install(&mut image, cell.lsm, tree)?;
    }
    image.file("cell", 0o644, description(cell, orders).as_bytes())?;
    image.finish()
}

/// Files that tests read: of the repository, everything but sources. The guest
/// puts them where the tests were compiled.
fn fixtures(image: &mut Image) -> Result {
    let files = source::tracked_files()?;
    for file in files.iter().filter(|file| !file.ends_with(".rs")) {
        image.copy(&root().join(file), &format!("repository/{file}"))?;
    }
    Ok(())
}

/// `tests/guest/src/cell.rs` reads it.
fn description(cell: &Cell, orders: &str) -> String {
    let mut text = format!("cgroups {}\nlsm {}\n", cell.cgroups.word(), cell.lsm.word());
    if cell.init == Init::Systemd {
        text.push_str("systemd\n");
    }
    modules::LOADED.iter().for_each(|name| text.push_str(&format!("module {name}\n")));
    for (key, value) in [
        ("PATH", PATH),
        ("NSINIT_TEST_BIN", NSINIT),
        ("NSINIT_TEST_CALLERS", "own"),
        ("NSINIT_TEST_LINK", "1"),
        ("RUST_BACKTRACE", "0"),
    ] {
        text.push_str(&format!("environment {key}={value}\n"));
    }
    text.push_str(&format!("repository {}\n", root().display()));
    text.push_str(orders);
    text
}
