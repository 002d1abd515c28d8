//! Parent: the built-in container of hosts that are directories with a few files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use nsinit_config::MountKind;

use super::*;

/// A directory that stands for the root of a host.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Host {
        let path = std::env::temp_dir().join(format!("nsinit-host-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Host(path)
    }

    fn directories(self, paths: &[&str]) -> Host {
        paths.iter().for_each(|path| fs::create_dir_all(self.0.join(path)).unwrap());
        self
    }

    fn files(self, files: &[(&str, &str)]) -> Host {
        for (path, text) in files {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self
    }

    fn links(self, links: &[(&str, &str)]) -> Host {
        for (path, target) in links {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }
        self
    }

    fn container(&self, term: Option<&str>) -> Container {
        container(&self.0, TerminalNames { term, colorterm: None })
    }

    /// What the entry for `path` does with it.
    fn at(&self, path: &str) -> String {
        let container = self.container(None);
        let mut found =
            container.mounts.iter().filter(|mount| mount.destination == Path::new(path));
        let Some(mount) = found.next() else { return "nothing".into() };
        assert_eq!(found.next(), None, "{path} is there twice");
        match mount.kind {
            MountKind::Bind => {
                assert!(!mount.writable);
                format!("bind {}", mount.source.as_ref().unwrap().display())
            }
            MountKind::Symlink => format!("link {}", mount.target.as_ref().unwrap().display()),
            MountKind::File => mount.content.clone().unwrap(),
            kind => kind.name().into(),
        }
    }

    fn variable(&self, name: &str, term: Option<&str>) -> String {
        let environment = self.container(term).environment.unwrap();
        let start = format!("{name}=");
        environment.iter().find_map(|entry| entry.strip_prefix(&start)).unwrap().to_owned()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn merged(name: &str) -> Host {
    Host::new(name)
        .directories(&["usr/bin", "usr/lib", "lib.usr-is-merged", "etc/ssl/certs", "home/me"])
        .links(&[
            ("bin", "usr/bin"),
            ("sbin", "usr/sbin"),
            ("lib", "usr/lib"),
            ("lib64", "usr/lib64"),
        ])
        .links(&[("etc/localtime", "/usr/share/zoneinfo/Europe/Vienna")])
        .links(&[("etc/os-release", "../usr/lib/os-release")])
        .files(&[
            ("usr/bin/bash", ""),
            ("usr/lib/os-release", ""),
            ("usr/share/terminfo/v/vt100", ""),
        ])
        .files(&[("usr/share/zoneinfo/Europe/Vienna", ""), ("usr/share/terminfo/78/xterm-it", "")])
}

#[test]
fn a_host_with_merged_usr_gives_links() {
    let host = merged("merged");
    assert_eq!(host.at("/usr"), "bind /usr");
    assert_eq!(host.at("/bin"), "link usr/bin");
    assert_eq!(host.at("/lib64"), "link usr/lib64");
    assert_eq!(host.at("/lib.usr-is-merged"), "nothing");
    assert_eq!(host.at("/etc/os-release"), "link ../usr/lib/os-release");
    assert_eq!(host.at("/etc/localtime"), "link /usr/share/zoneinfo/Europe/Vienna");
    assert_eq!(host.variable("SHELL", None), "/bin/bash");
}

#[test]
fn a_host_with_split_usr_and_musl_gives_directories() {
    let host = Host::new("musl")
        .directories(&["usr/bin", "bin", "sbin", "lib"])
        .links(&[("bin/sh", "/bin/busybox")])
        .files(&[
            ("bin/busybox", ""),
            ("etc/ld-musl-x86_64.path", ""),
            ("etc/ssl/openssl.cnf", ""),
        ]);
    assert_eq!(host.at("/bin"), "bind /bin");
    assert_eq!(host.at("/lib"), "bind /lib");
    assert_eq!(host.at("/lib64"), "nothing");
    assert_eq!(host.at("/etc/ld-musl-x86_64.path"), "bind /etc/ld-musl-x86_64.path");
    assert_eq!(host.at("/etc/ssl/openssl.cnf"), "bind /etc/ssl/openssl.cnf");
    assert_eq!(host.variable("SHELL", None), "/bin/sh");
}

#[test]
fn a_host_that_lives_in_a_store_keeps_its_programs() {
    let store = "nix/store/1-system";
    let host = Host::new("nix")
        .directories(&["bin", "usr/bin", "nix/store/1-system/sw/bin", "nix/store/1-etc/zoneinfo"])
        .files(&[("nix/store/1-etc/zoneinfo/Vienna", ""), ("nix/store/1-etc/os-release", "")])
        .links(&[("run/current-system", "/nix/store/1-system"), ("etc/static", "/nix/store/1-etc")])
        .links(&[
            ("etc/zoneinfo", "/etc/static/zoneinfo"),
            ("etc/localtime", "/etc/zoneinfo/Vienna"),
        ])
        .links(&[
            ("etc/os-release", "/etc/static/os-release"),
            ("bin/sh", "/nix/store/1-system/sh"),
        ]);
    assert_eq!(host.at("/nix/store"), "bind /nix/store");
    assert_eq!(host.at("/gnu/store"), "nothing");
    assert_eq!(host.at("/run/current-system"), format!("link /{store}"));
    assert_eq!(host.at("/etc/static"), "link /nix/store/1-etc");
    assert_eq!(host.at("/etc/localtime"), "link /nix/store/1-etc/zoneinfo/Vienna");
    assert_eq!(host.at("/etc/os-release"), "link /nix/store/1-etc/os-release");
    assert_eq!(host.variable("PATH", None), format!("/run/current-system/sw/bin:{PATH}"));
}

#[test]
fn nothing_secret_is_inside() {
    let secrets =
        ["shadow", "gshadow", "sudoers", "ssh/ssh_host_key", "ssl/private/key", "krb5.keytab"];
    let files: Vec<_> = secrets.iter().map(|name| format!("etc/{name}")).collect();
    let files: Vec<_> = files.iter().map(|name| (name.as_str(), "secret")).collect();
    let host = merged("secrets").files(&files).files(&[("etc/pki/tls/private/key", "")]);
    let container = host.container(None);
    for mount in container.mounts.iter().filter(|mount| mount.kind == MountKind::Bind) {
        let source = mount.source.clone().unwrap();
        let covers = |name: &str| Path::new("/etc").join(name).starts_with(&source);
        assert!(!secrets.iter().any(|name| covers(name)), "{source:?}");
        assert!(
            !Path::new("/etc/pki/tls/private").starts_with(&source) && !source.starts_with("/home")
        );
    }
}

#[test]
fn an_etc_entry_that_leads_elsewhere_is_mounted_from_there() {
    let host = merged("elsewhere")
        .files(&[
            ("opt/java/conf", ""),
            ("etc/python3.11/sitecustomize.py", ""),
            ("etc/ld.so.cache", ""),
        ])
        .files(&[("etc/ld.so.preload", "/opt/spy.so")])
        .links(&[("etc/java-21", "/opt/java"), ("etc/vim", "/nowhere"), ("etc/fonts", "fonts")]);
    assert_eq!(host.at("/etc/java-21"), "bind /opt/java");
    assert_eq!(host.at("/etc/python3.11"), "bind /etc/python3.11");
    assert_eq!(host.at("/etc/ld.so.cache"), "bind /etc/ld.so.cache");
    assert_eq!(host.at("/etc/ld.so.preload"), "nothing");
    assert_eq!((host.at("/etc/vim"), host.at("/etc/fonts")), ("nothing".into(), "nothing".into()));
}

#[test]
fn unmapped_ids_have_the_hosts_names() {
    let host = merged("names").files(&[
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\nnfsnobody:x:65534:65534::/:/bin/false\n"),
        ("etc/group", "root:x:0:\nnobodies:x:65534:\n"),
    ]);
    assert!(host.at("/etc/passwd").contains("\nnfsnobody:x:65534:65534:"));
    assert!(host.at("/etc/group").ends_with("\nnobodies:x:65534:\n"));
    let host =
        host.files(&[("etc/passwd", "root:x:65534:\n"), ("etc/group", "bad name:x:65534:\n")]);
    assert!(host.at("/etc/passwd").contains("\nnobody:x:65534:65534:"));
    assert!(host.at("/etc/group").ends_with("\nnogroup:x:65534:\n"));
}

#[test]
fn a_terminal_is_named_only_if_it_is_described_inside() {
    let host = merged("term");
    for (term, expected) in [
        (Some("vt100"), "vt100"),
        (Some("xterm-it"), "xterm-it"),
        (Some("wy50"), "xterm-256color"),
        (Some("../v/vt100"), "xterm-256color"),
        (Some(""), "xterm-256color"),
        (None, "xterm-256color"),
    ] {
        assert_eq!(host.variable("TERM", term), expected, "{term:?}");
    }
}

#[test]
fn the_writable_parts_add_up_to_a_gibibyte_with_dev_shm() {
    let total: u32 = WRITABLE.iter().map(|(_, size, _)| size).sum();
    assert_eq!(total + 64, 1024);
    let host = merged("sizes");
    for mount in host.container(None).mounts.iter().filter(|mount| mount.kind == MountKind::Tmpfs) {
        let has = |start: &str| mount.options.iter().any(|option| option.starts_with(start));
        assert!(has("size=") && has("nr_inodes="), "{mount:?}");
    }
}

#[test]
fn it_is_a_valid_configuration_and_the_same_after_writing_it_down() {
    for container in [
        merged("json").container(Some("vt100")),
        Host::new("empty").container(None),
        container(Path::new("/"), TerminalNames { term: None, colorterm: Some("truecolor") }),
    ] {
        container.validate().unwrap();
        let again = Container::from_str(&container.to_json_pretty(), "container.json").unwrap();
        assert_eq!(again, container);
    }
}

#[test]
fn a_root_file_system_is_known_by_its_looks() {
    let empty = Host::new("none");
    assert!(!looks_like_root_filesystem(&empty.0));
    assert!(!looks_like_root_filesystem(&empty.0.join("missing")));
    assert!(looks_like_root_filesystem(&merged("looks").0));
    let alpine = Host::new("alpine").links(&[("bin/sh", "/bin/busybox")]);
    assert!(looks_like_root_filesystem(&alpine.0));
    assert!(!looks_like_root_filesystem(Path::new("/")));
    assert!(!looks_like_root_filesystem(Path::new("/usr/..")));
}
