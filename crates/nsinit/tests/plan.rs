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
    (host.uid, host.gid, host.privileged, host.first_user_namespace) = (0, 0, true, true);
    host.highest_gid = i32::MAX as u32;
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
    match plan(fixture) {
        Ok(plan) => placeless(&plan.to_string()),
        Err(refusal) => refusal,
    }
}

/// The plan, or what is printed in its place.
fn plan(fixture: &Path) -> Result<Plan, String> {
    let image = image().to_str().unwrap().to_owned();
    let text = fs::read_to_string(fixture).unwrap().replace("IMAGE", &image);
    let container = Container::from_str(&text, "container.json").map_err(|f| format!("{f}\n"))?;
    let rootfs = match &container.rootfs {
        Some(RootfsSource::Tmpfs(_)) => Rootfs::tmpfs(TmpfsRoot::default()),
        _ => Rootfs::open(&image).unwrap(),
    };
    let source = Source {
        pid_file: true,
        container: &container,
        host: &host(),
        rootfs: &rootfs,
        directory: Path::new(&image),
        run_directory: None,
        environment: &[],
    };
    Plan::from_source(&source, ["true"]).map_err(|error| format!("error: {error}\n"))
}

/// Without the image's path, and its hash in the cgroup's default name.
fn placeless(plan: &str) -> String {
    let plan = plan.replace(image().to_str().unwrap(), "IMAGE");
    let Some((before, rest)) = plan.split_once("nsinit/nsinit-") else { return plan };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    assert_eq!(rest.len() - after.len(), 16, "a hash of 64 bits");
    format!("{before}nsinit/nsinit-HASH{after}")
}

#[test]
fn every_fixture_lowers_to_its_plan() {
    for fixture in fixtures() {
        compare(&printed_plan(&fixture), &fixture.with_extension("plan"));
    }
}

fn fixtures() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_fixture = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    let fixtures: Vec<_> = paths.filter(is_fixture).collect();
    assert!(fixtures.len() >= 15, "only {} fixtures were found", fixtures.len());
    fixtures
}

fn compare(printed: &str, expected: &Path) {
    if std::env::var_os("NSINIT_BLESS").is_some() {
        fs::write(expected, printed).unwrap();
    }
    let text = fs::read_to_string(expected).unwrap_or_default();
    assert_eq!(printed, text, "{}", expected.display());
}

#[test]
fn a_plan_as_json_has_the_same_steps_and_what_tools_want_to_know() {
    for fixture in fixtures() {
        let Ok(plan) = plan(&fixture) else { continue };
        let json = plan.to_json_pretty();
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        let steps = read["init"].as_array().unwrap().iter();
        let steps: Vec<_> = steps.map(|step| step["step"].as_str().unwrap()).collect();
        assert_eq!(steps, plan.steps().collect::<Vec<_>>(), "{}", fixture.display());
        let name = fixture.file_name().unwrap().to_str().unwrap();
        if ["cgroup-limits.json", "veth.json", "user-namespace.json"].contains(&name) {
            compare(&placeless(&json), &fixture.with_file_name("as-json").join(name));
        }
    }
}

/// Whoever is on the bridge may send router advertisements as soon as an interface is up.
#[test]
fn interfaces_come_when_the_parameters_are_set() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/veth.json");
    let plan = printed_plan(&fixture);
    let last = |words: &str| plan.rfind(words).unwrap_or_else(|| panic!("{words}: {plan}"));
    assert!(last("set sysctl net.ipv6.conf.default.accept_ra") < last("  connect veth"));
    assert!(last("set sysctl net.ipv4.ping_group_range") < last("  connect veth"));
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
