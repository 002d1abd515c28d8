//! The library: launches from programs with threads, with a runtime, with pipes.
//!
//! These run unprivileged, too: a user namespace is made then.

#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(unsafe_code, reason = "a global allocator that ends a child that allocates")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nsinit::config::{Mount, RootfsSource};
use nsinit::rootfs::TmpfsRoot;
use nsinit::{Container, Error, Host, Plan, Reason, Rootfs, Stdio};
use rustix::process::Signal;
use rustix::thread::CapabilitySet;

/// Ends any process but the test's own as soon as it allocates or frees: between
/// clone and execve another thread may have held the allocator's lock.
struct Guard;

static PARENT: AtomicU32 = AtomicU32::new(0);
const ALLOCATED_IN_CHILD: i32 = 99;

fn refuse_in_child() {
    let parent = PARENT.load(Ordering::Relaxed);
    if parent != 0 && parent != std::process::id() {
        // SAFETY: _exit has no preconditions.
        unsafe { libc::_exit(ALLOCATED_IN_CHILD) }
    }
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        refuse_in_child();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        refuse_in_child();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GUARD: Guard = Guard;

fn arm() {
    PARENT.store(std::process::id(), Ordering::Relaxed);
}

/// The host's programs on an empty root.
fn container() -> Container {
    let mounts = ["/usr", "/bin", "/lib", "/lib64"]
        .map(|directory| Mount { optional: true, ..Mount::bind(directory, directory) });
    Container {
        rootfs: Some(RootfsSource::Tmpfs(Default::default())),
        hostname: Some("koye".into()),
        tty: Some(false),
        mounts: mounts.to_vec(),
        ..Container::default()
    }
}

fn plan(container: &Container, args: &[&str]) -> Plan {
    let rootfs = Rootfs::tmpfs(TmpfsRoot::default());
    Plan::new(container, &Host::probe().unwrap(), &rootfs, args).unwrap()
}

fn sh(script: &str) -> Plan {
    plan(&container(), &["sh", "-c", script])
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn output_and_exit_code_are_the_programs() {
    arm();
    let output = sh("echo hi; echo no >&2; exit 3").launch(Stdio::piped()).unwrap();
    let output = output.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!((&*output.stdout, &*output.stderr), (&b"hi\n"[..], &b"no\n"[..]));
}

#[test]
fn a_signal_that_ends_the_program_is_its_status() {
    arm();
    let mut running = plan(&container(), &["sleep", "100"]).launch(Stdio::null()).unwrap();
    running.signal(Signal::KILL).unwrap();
    assert_eq!(running.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_missing_program_names_the_path_that_was_searched() {
    arm();
    let error = plan(&container(), &["no-such-program"]).launch(Stdio::null()).unwrap_err();
    let Error::Program { path, reason: Reason::NotFound { searched: Some(searched) } } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(path, "no-such-program");
    assert!(searched.ends_with("/usr/bin:/sbin:/bin"), "{searched}");
    assert_eq!(error.exit_code(), 127);
}

#[test]
fn a_caller_without_standard_descriptors_learns_the_same() {
    const ITSELF: &str = "NSINIT_TEST_WITHOUT_DESCRIPTORS";
    const LEARNT: i32 = 42;
    if std::env::var_os(ITSELF).is_some() {
        for fd in 0..3 {
            // SAFETY: this process uses none of them, and ends itself.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        let error = plan(&container(), &["no-such-program"]).launch(Stdio::null());
        let status = |plan: Plan| plan.launch(Stdio::null()).unwrap().wait().unwrap().code();
        let with_init = Container { init: Some(true), ..container() };
        let learnt = matches!(error, Err(Error::Program { .. }))
            && status(plan(&with_init, &["sh", "-c", "exit 3"])) == Some(3);
        // SAFETY: _exit has no preconditions.
        unsafe { libc::_exit(if learnt { LEARNT } else { 1 }) }
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "a_caller_without_standard_descriptors_learns_the_same"]);
    again.env(ITSELF, "1");
    assert_eq!(again.status().unwrap().code(), Some(LEARNT));
}

#[test]
fn the_own_executable_is_never_started() {
    arm();
    let own = std::env::current_exe().unwrap();
    let mut container = container();
    container.mounts.push(Mount::bind(&own, "/opt/innocent"));
    let error = plan(&container, &["/opt/innocent"]).launch(Stdio::null()).unwrap_err();
    assert!(matches!(&error, Error::Program { reason: Reason::OwnExecutable, .. }), "{error}");
}

#[test]
fn dropping_a_running_container_kills_it() {
    arm();
    let running = plan(&container(), &["sleep", "100"]).launch(Stdio::null()).unwrap();
    let pid = running.pid().as_raw_nonzero().get();
    drop(running);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn every_step_of_a_traced_launch_has_its_time() {
    arm();
    let plan = plan(&container(), &["true"]);
    let mut running = plan.launch(Stdio::null().traced()).unwrap();
    running.wait().unwrap();
    let trace = running.trace().unwrap();
    let times: Vec<_> =
        (0..plan.all_steps().count()).map(|step| trace.time(step as u32).unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

fn network() -> PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").unwrap()
}

#[test]
fn a_launch_leaves_the_thread_in_its_network() {
    arm();
    let before = network();
    let mut running = plan(&container(), &["true"]).launch(Stdio::null()).unwrap();
    assert_eq!(network(), before);
    running.wait().unwrap();
}

/// Of the thread, which may make a network, but not bring up its loopback. An ordinary user
/// is root in a user namespace.
#[test]
fn a_network_that_cannot_be_made_is_told_by_its_step() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none_or(|value| value != "1"));
        eprintln!("SKIPPED: needs root");
        return;
    }
    arm();
    let before = network();
    let plan = plan(&container(), &["true"]);
    let mut sets = rustix::thread::capabilities(None).unwrap();
    sets.effective -= CapabilitySet::NET_ADMIN;
    rustix::thread::set_capabilities(None, sets).unwrap();
    let error = plan.launch(Stdio::null()).unwrap_err();
    assert_eq!(error.to_string(), "bring up lo: Operation not permitted");
    assert_eq!(network(), before);
}

/// Threads that allocate all the time, so that the allocator's lock is often held.
fn with_allocating_threads(work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::black_box(vec![0u8; 4096]);
                    std::thread::yield_now();
                }
            });
        }
        work();
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn hundreds_of_launches_beside_allocating_threads_hang_never_and_leak_nothing() {
    arm();
    let plan = plan(&container(), &["true"]);
    let launches = launches(100);
    with_allocating_threads(|| {
        for _ in 0..launches {
            let mut running = plan.launch(Stdio::null()).unwrap();
            assert!(running.wait().unwrap().success());
        }
    });
}

/// How often; `NSINIT_LAUNCHES` asks for more.
fn launches(usual: usize) -> usize {
    std::env::var("NSINIT_LAUNCHES").map_or(usual, |count| count.parse().unwrap())
}

/// In a process of its own: other tests open descriptors meanwhile.
#[test]
fn a_launch_leaves_no_descriptor_open() {
    arm();
    if std::env::var_os("NSINIT_COUNT_DESCRIPTORS").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_launch_leaves_no_descriptor_open", "--test-threads=1"])
            .env("NSINIT_COUNT_DESCRIPTORS", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let plan = plan(&container(), &["true"]);
    let before = descriptors();
    for _ in 0..launches(20) {
        plan.launch(Stdio::piped()).unwrap().wait_with_output().unwrap();
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn launches_inside_of_a_runtime_work() {
    arm();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let plan = plan(&container(), &["true"]);
    runtime.block_on(async {
        for _ in 0..launches(20) {
            let mut running = plan.launch(Stdio::null()).unwrap();
            assert!(running.wait().unwrap().success());
            tokio::task::yield_now().await;
        }
    });
}
