//! container.json becomes a plan: one fixture for each feature, no privileges.
//!
//! `tests/fixtures/NAME.json` is lowered for the host that [`host`] describes, and the
//! printed plan is compared with `NAME.plan`. With `NSINIT_BLESS=1` the plans are
//! written instead; read the difference before you commit it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use nsinit::config::RootfsSource;
use nsinit::rootfs::{CgroupMode, Facts, TmpfsRoot};
use nsinit::security::CapabilitySet;
use nsinit::{Container, HardLimits, Host, Plan, Rootfs, Source};

/// A host whose facts do not depend on where the test runs.
fn host() -> Host {
    let mut host = Host::probe().unwrap();
    (host.uid, host.gid, host.privileged) = (0, 0, true);
    host.bounding = CapabilitySet::ALL;
    (host.terminal, host.term) = (false, Some("xterm".into()));
    host.ipv6 = true;
    host.rootfs = Facts { can_mknod: true, mount_setattr: true, openat2: true, ..Facts::probe() };
    host.cgroups = CgroupMode::Unified.into();
    host.hard_limits = HardLimits { nofile: Some(4096), core: None };
    host.own_executable = None;
    host
}

/// A directory that can be a root filesystem and a mount source.
fn image() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/image")
}

fn printed_plan(fixture: &Path) -> String {
    let image = image().to_str().unwrap().to_owned();
    let text = fs::read_to_string(fixture).unwrap().replace("IMAGE", &image);
    let container = match Container::from_str(&text, "container.json") {
        Ok(container) => container,
        Err(faults) => return format!("{faults}\n"),
    };
    let rootfs = match &container.rootfs {
        Some(RootfsSource::Tmpfs(_)) => Rootfs::tmpfs(TmpfsRoot::default()),
        _ => Rootfs::open(&image).unwrap(),
    };
    let source = Source {
        container: &container,
        host: &host(),
        rootfs: &rootfs,
        directory: Path::new(&image),
        run_directory: None,
        environment: &[],
    };
    match Plan::from_source(&source, ["true"]) {
        Ok(plan) => placeless(&plan.to_string().replace(&image, "IMAGE")),
        Err(error) => format!("error: {error}\n"),
    }
}

/// Without the hash of the directory's path in the cgroup's default name.
fn placeless(plan: &str) -> String {
    let Some((before, rest)) = plan.split_once("make cgroup nsinit/nsinit-") else {
        return plan.to_owned();
    };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    assert_eq!(rest.len() - after.len(), 16, "a hash of 64 bits");
    format!("{before}make cgroup nsinit/nsinit-HASH{after}")
}

#[test]
fn every_fixture_lowers_to_its_plan() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut seen = 0;
    for entry in fs::read_dir(&fixtures).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let (plan, expected) = (printed_plan(&path), path.with_extension("plan"));
        if std::env::var_os("NSINIT_BLESS").is_some() {
            fs::write(&expected, &plan).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(plan, expected, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 15, "only {seen} fixtures were found");
}

#[test]
fn equal_inputs_give_equal_plans() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minimal.json");
    assert_eq!(printed_plan(&fixture), printed_plan(&fixture));
}

#[test]
fn docs_launch_shows_the_minimal_plan() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(crate_root.join("../../docs/launch.md")).unwrap();
    let plan = fs::read_to_string(crate_root.join("tests/fixtures/minimal.plan")).unwrap();
    let shown = page.split("```text\n").find(|block| block.starts_with("launcher\n"));
    let shown = shown.and_then(|block| block.split("```").next());
    assert_eq!(shown, Some(&*plan), "copy tests/fixtures/minimal.plan to docs/launch.md");
}

#[test]
fn docs_launch_shows_the_handshake() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(crate_root.join("../../docs/launch.md")).unwrap();
    let source = fs::read_to_string(crate_root.join("src/handshake.rs")).unwrap();
    let lines = source.lines().skip_while(|line| *line != "//! ```text").skip(1);
    let diagram = lines.map_while(|line| line.strip_prefix("//! ").filter(|line| *line != "```"));
    let diagram: String = diagram.map(|line| format!("{line}\n")).collect();
    assert!(!diagram.is_empty() && page.contains(&diagram), "copy the drawing of handshake.rs");
}
