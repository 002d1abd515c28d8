//! Parent: `/etc` of the built-in container: what it has from the host, what is made for it.

use std::path::{Component, Path, PathBuf};

use nsinit_config::Mount;

use super::tree::{Entry, Tree};
use super::{HOSTNAME, STORES};

/// What programs need of the host's /etc, and nothing that is secret or says
/// how the host is run: files, directories, and beginnings of names (`*`).
///
/// Of ssl and pki only the public parts are named: ssl/private holds keys.
const FROM_HOST: [&str; 23] = [
    "alternatives",
    "ca-certificates*",
    "crypto-policies",
    "fonts",
    "inputrc",
    "java-*",
    "ld-musl-*",
    "ld.so.*",
    "locale.alias",
    "localtime",
    "mime.types",
    "os-release",
    "perl",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "python3*",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    // Not a file: where everything of a NixOS /etc leads to.
    "static",
    "terminfo",
    "vim",
];

/// Names libraries of the host's that need not be inside; every program would
/// complain of that on standard error.
const LEFT_OUT: &str = "ld.so.preload";

/// Identifies nothing and nobody, as every built-in container has it.
const MACHINE_ID: &str = "6e73696e697400000000000000000000\n";

const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n\
    networks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n";

/// The id that stands for ids without a mapping (user_namespaces(7)).
const OVERFLOW_ID: &str = "65534";

/// The host's files that are on the list.
pub(super) fn from_host(host: &Tree<'_>) -> Vec<Mount> {
    let mut names = host.names("/etc");
    names.sort_unstable();
    let mut paths = Vec::new();
    for entry in FROM_HOST {
        match entry.strip_suffix('*') {
            Some(prefix) => {
                let named =
                    names.iter().filter(|name| name.starts_with(prefix) && *name != LEFT_OUT);
                paths.extend(named.map(|name| format!("/etc/{name}")));
            }
            None => paths.push(format!("/etc/{entry}")),
        }
    }
    paths.iter().filter_map(|path| same_as_host(host, path)).collect()
}

/// A link into /usr or a store as a link, anything else read-only in its
/// place. The mount is optional: `nsinit spec` may write it down for a day on
/// which the package is gone.
fn same_as_host(host: &Tree<'_>, path: &str) -> Option<Mount> {
    let real = host.resolve(path)?;
    match host.entry(path)? {
        // The target as written says more (a time zone is known by it), but
        // may lead through something that is not inside.
        Entry::Link(target) if is_inside(&real) => {
            let stays = is_inside(&lexically(path, &target));
            Some(Mount::symlink(path, if stays { target } else { real }))
        }
        _ if path == "/etc/static" => None,
        _ => Some(Mount { optional: true, ..Mount::bind(real, path) }),
    }
}

fn is_inside(path: &Path) -> bool {
    STORES.into_iter().chain(["/usr"]).any(|inside| path.starts_with(inside))
}

/// Where the link at `path` leads, as far as its text tells.
fn lexically(path: &str, target: &Path) -> PathBuf {
    let mut place = PathBuf::from(path);
    place.pop();
    for part in target.components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            part => place.push(part),
        }
    }
    place
}

/// The files that are made for the container.
pub(super) fn generated(host: &Tree<'_>) -> Vec<Mount> {
    let nobody = name_of(host, "/etc/passwd").unwrap_or_else(|| "nobody".into());
    let nogroup = name_of(host, "/etc/group").unwrap_or_else(|| "nogroup".into());
    let shell = if host.resolve("/bin/bash").is_some() { "bash" } else { "sh" };
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/{shell}\n\
         {nobody}:x:{OVERFLOW_ID}:{OVERFLOW_ID}:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    let group = format!("root:x:0:\ntty:x:5:\n{nogroup}:x:{OVERFLOW_ID}:\n");
    let hosts = format!(
        "127.0.0.1\tlocalhost {HOSTNAME}\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n"
    );
    vec![
        Mount::file("/etc/passwd", passwd),
        Mount::file("/etc/group", group),
        Mount::file("/etc/hosts", hosts),
        Mount::file("/etc/hostname", format!("{HOSTNAME}\n")),
        Mount::file("/etc/machine-id", MACHINE_ID),
        Mount::file("/etc/nsswitch.conf", NSSWITCH),
        Mount::file("/etc/fstab", ""),
        Mount::symlink("/etc/mtab", "/proc/self/mounts"),
    ]
}

/// What the host calls 65534, if the name is one that passwd(5) allows.
fn name_of(host: &Tree<'_>, file: &str) -> Option<String> {
    let text = host.text(file);
    let mut fields = text.lines().map(|line| line.split(':'));
    let name = fields.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)? == OVERFLOW_ID).then_some(name)
    })?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (!name.is_empty()
        && name.len() <= 32
        && name.chars().all(is_plain)
        && name != "root"
        && name != "tty")
        .then(|| name.to_owned())
}
