//! A machine whose PID 1 is systemd, with a manager for the user: units and
//! programs of locked packages, and as little of them as the tests need.

use std::path::Path;

use super::cpio::Image;
use super::lock::Wanted;
use crate::Result;

const fn package(name: &'static str) -> Wanted {
    Wanted { suite: "bookworm", name }
}

pub(super) const PACKAGES: [Wanted; 38] = [
    package("dbus-bin"),
    package("dbus-daemon"),
    package("dbus-session-bus-common"),
    package("dbus-system-bus-common"),
    package("dbus-user-session"),
    package("dbus"),
    package("libacl1"),
    package("libapparmor1"),
    package("libaudit1"),
    package("libblkid1"),
    package("libc6"),
    package("libcap-ng0"),
    package("libcap2"),
    package("libcrypt1"),
    package("libcryptsetup12"),
    package("libdbus-1-3"),
    package("libexpat1"),
    package("libffi8"),
    package("libgcrypt20"),
    package("libgpg-error0"),
    package("libip4tc2"),
    package("libkmod2"),
    package("liblz4-1"),
    package("liblzma5"),
    package("libmount1"),
    package("libp11-kit0"),
    package("libpam0g"),
    package("libpcre2-8-0"),
    package("libseccomp2"),
    package("libselinux1"),
    package("libssl3"),
    package("libsystemd-shared"),
    package("libsystemd0"),
    package("libuuid1"),
    package("libzstd1"),
    package("mount"),
    package("systemd"),
    package("util-linux"),
];

/// What is taken of the packages, under the names of a merged system.
const TAKEN: [&str; 7] = [
    "etc/dbus-1",
    "lib/systemd",
    "lib/x86_64-linux-gnu",
    "usr/bin",
    "usr/lib/systemd",
    "usr/lib/x86_64-linux-gnu",
    "usr/share/dbus-1",
];

/// A generator and a timer cost seconds under emulation, and what sysinit wants
/// is a whole host: only what the units below name is started.
fn is_left_out(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let ends = ["-generators", ".timer", "systemd/catalog", "systemd/system/sysinit.target.wants"];
    ends.iter().any(|end| text.ends_with(end))
        || text.contains("/perl-base")
        || text.ends_with("/gconv")
}

const UNITS: [(&str, &str); 4] = [
    ("default.target", "[Unit]\nRequires=nsinit-test.service\n"),
    (
        "nsinit-test.service",
        "[Unit]\nRequires=dbus.service user@1000.service\nAfter=dbus.service user@1000.service\n\
         FailureAction=poweroff-immediate\n\
         [Service]\nType=oneshot\nExecStart=/usr/bin/guest run\nTimeoutStartSec=infinity\n\
         StandardOutput=tty\nStandardError=tty\nTTYPath=/dev/console\n",
    ),
    // Of logind, which is not there: the guest makes the directory.
    (
        "user-runtime-dir@.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/true\n",
    ),
    // Of PAM, which is not there either.
    (
        "user@.service.d/nsinit.conf",
        "[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n",
    ),
];

pub(super) fn install(image: &mut Image, tree: &Path) -> Result {
    for directory in TAKEN {
        image.part_of_tree(&tree.join(directory), directory, is_left_out)?;
    }
    for (name, text) in UNITS {
        image.file(&format!("etc/systemd/system/{name}"), 0o644, text.as_bytes())?;
    }
    image.file("etc/machine-id", 0o644, b"0123456789abcdef0123456789abcdef\n")
}
