//! Which tests run in a cell: under emulation all of them in all of them would
//! take an hour.

use super::matrix::Share;
use super::programs::TestProgram;

/// Nothing of a kernel has a part in these.
const PURE: [&str; 4] = ["nsinit-config/", "nsinit-rootfs/plan", "nsinit/plan", "tests/lib"];

/// A kernel has, but not its label systems and cgroups.
const OF_KERNELS: [&str; 6] = [
    "nsinit-namespaces/",
    "nsinit-network/",
    "nsinit-rootfs/lib",
    "nsinit-cgroups/lib",
    "nsinit/launch",
    "nsinit/lib",
];

/// They repeat something until a race would have shown.
const RACES: [&str; 4] = [
    "regressions::races::",
    "hundreds_of_launches_beside_allocating_threads",
    "clones_among_allocating_threads",
    "who_may_trace_finds_nothing_on_a_joining_process",
];

const OF_LABELERS: [&str; 4] = ["security::", "joining::", "selinux", "label"];

/// They become an ordinary user, and do what the user does by himself.
const ROOT_LEAVES_OUT: [&str; 1] = ["unprivileged::all_tests_pass_in_a_user_namespace"];

/// The lines of `/cell` that start the test programs, first as root, then as the user.
pub(super) fn orders(share: Share, programs: &[TestProgram], filter: &[String]) -> String {
    let mut text = String::new();
    for (who, left_out) in [("root", &ROOT_LEAVES_OUT[..]), ("user", &[])] {
        for program in programs.iter().filter(|program| has(share, &program.name)) {
            let mut words = vec![format!("/tests/{}", program.name)];
            words.extend(["--test-threads=1", "--nocapture"].map(str::to_owned));
            let races = if share == Share::Races { &[][..] } else { &RACES[..] };
            words.extend(races.iter().chain(left_out).map(|name| format!("--skip={name}")));
            if share == Share::Labels && filter.is_empty() {
                words.extend(OF_LABELERS.map(str::to_owned));
            }
            words.extend(filter.iter().cloned());
            text.push_str(&format!("{who} {}\n", words.join("\t")));
        }
    }
    text
}

fn has(share: Share, program: &str) -> bool {
    let among = |names: &[&str]| names.iter().any(|name| program.starts_with(name));
    match share {
        Share::Races | Share::Kernel => !among(&PURE),
        Share::Rest => !among(&PURE) && !among(&OF_KERNELS),
        Share::Labels => program == "tests/main",
    }
}
