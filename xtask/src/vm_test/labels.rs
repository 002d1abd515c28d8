//! The policies of label systems: compiled from the repository's sources with
//! tools from locked packages, so that what is loaded is what can be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cpio::Image;
use super::lock::Wanted;
use super::matrix::Lsm;
use crate::Result;
use crate::cargo::{root, succeed};

/// The tools and the libraries that they are linked with.
pub(super) const PACKAGES: [Wanted; 6] = [
    Wanted { suite: "bookworm", name: "apparmor" },
    Wanted { suite: "bookworm", name: "libc6" },
    Wanted { suite: "bookworm", name: "libgcc-s1" },
    Wanted { suite: "bookworm", name: "libsepol2" },
    Wanted { suite: "bookworm", name: "libstdc++6" },
    Wanted { suite: "bookworm", name: "secilc" },
];

const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
const LOADER: &str = "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
/// What the AppArmor parser is linked with.
const OF_PARSER: [&str; 4] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6"];
/// Where that is in a machine, apart from the host's libraries.
const TOOLS: &str = "/opt/labels";

/// The newest that Linux 5.10 reads.
const POLICY_VERSION: &str = "31";

/// Puts into the image what the guest loads; `tree` has the packages unpacked.
pub(super) fn install(image: &mut Image, lsm: Lsm, tree: &Path) -> Result {
    match lsm {
        Lsm::Selinux => selinux(image, tree),
        Lsm::AppArmor => apparmor(image, tree),
        Lsm::None => Ok(()),
    }
}

fn selinux(image: &mut Image, tree: &Path) -> Result {
    let source = root().join("tests/guest/policy/selinux.cil");
    let policy = tree.join(format!("policy.{POLICY_VERSION}"));
    let mut compiler = Command::new(tree.join(LOADER));
    let libraries = LIBRARIES.map(|directory| tree.join(directory).display().to_string());
    compiler.arg("--library-path").arg(libraries.join(":")).arg(tree.join("usr/bin/secilc"));
    compiler.args(["-M", "true", "-c", POLICY_VERSION, "-U", "allow", "-f", "/dev/null", "-o"]);
    succeed(compiler.arg(&policy).arg(source))?;
    image.copy(&policy, "etc/selinux/nsinit/policy")?;
    // What libselinux reads; the guest does not.
    let config = "SELINUX=enforcing\nSELINUXTYPE=nsinit\n";
    image.file("etc/selinux/config", 0o644, config.as_bytes())
}

fn apparmor(image: &mut Image, tree: &Path) -> Result {
    for name in OF_PARSER {
        let mut places = LIBRARIES.iter().map(|directory| tree.join(directory).join(name));
        let from = places.find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name));
        image.copy(&from, &format!("{TOOLS}/{name}"))?;
    }
    image.copy(&tree.join(LOADER), &format!("{TOOLS}/ld.so"))?;
    image.copy(&tree.join("sbin/apparmor_parser"), &format!("{TOOLS}/apparmor_parser"))?;
    let script = format!(
        "#!/bin/sh\nexec {TOOLS}/ld.so --library-path {TOOLS} {TOOLS}/apparmor_parser \"$@\"\n"
    );
    image.file("usr/sbin/apparmor_parser", 0o755, script.as_bytes())?;
    image.file("etc/apparmor/parser.conf", 0o644, b"")?;
    image.tree(&tree.join("etc/apparmor.d/abi"), "etc/apparmor.d/abi")?;
    for directory in ["crates/security/profiles", "tests/guest/policy/apparmor"] {
        let told = |error| format!("{directory}: {error}");
        for entry in fs::read_dir(root().join(directory)).map_err(told)? {
            let path = entry.map_err(told)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            image.copy(&path, &format!("etc/apparmor.d/nsinit/{name}"))?;
        }
    }
    Ok(())
}
