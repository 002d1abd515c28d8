//! Both: the crate on the kernel of this machine, in cgroups of its own below
//! `nsinit-test-PID-…`, which are gone afterwards.

/// Leaves the test, loudly, when it cannot run; fails it under `NSINIT_TEST_REQUIRE=1`.
macro_rules! require {
    ($condition:expr, $what:literal) => {
        if !$condition {
            let text = concat!("SKIPPED: needs ", $what, ": ", module_path!(), ":", line!());
            assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none(), "{text}");
            eprintln!("{text}");
            return;
        }
    };
}

/// Leaves a test that is about another arrangement of hierarchies than this
/// host's, which no privilege could change; another host runs it.
macro_rules! only_where {
    ($condition:expr, $what:literal) => {
        if !$condition {
            eprintln!(concat!(
                "SKIPPED: not a host with ",
                $what,
                ": ",
                module_path!(),
                ":",
                line!()
            ));
            return;
        }
    };
}

mod devices;
mod jobs;
mod life;
mod limits;
mod place;
#[expect(unsafe_code, reason = "clone3(2) with CLONE_INTO_CGROUP")]
mod sys;
