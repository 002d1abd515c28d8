//! Which tests run in a cell: all of them in all of them would take an hour
//! under emulation, and say little that is new.

use super::matrix::Share;
use super::programs::TestProgram;

/// What a cell leaves out: programs by the beginning of their names, tests by a
/// part of theirs.
struct LeftOut {
    programs: &'static [&'static str],
    tests: &'static [&'static str],
}

/// What is pure, what is the same on every kernel, and what is repeated until a race would
/// have shown: the host has these, and more processors for the last.
const OF_THE_HOST: LeftOut = LeftOut {
    programs: &[
        "nsinit-cgroups/lib",
        "nsinit-config/",
        "nsinit-rootfs/lib",
        "nsinit-rootfs/plan",
        "nsinit/lib",
        "nsinit/plan",
        "pages/",
        "tests/lib",
    ],
    tests: &[
        "bad_input::",
        // An older kernel takes more calls.
        "budgets::",
        "cli::",
        "errors::",
        "examples::",
        "floor::",
        "programs::",
        "signals::",
        "terminal::",
        "trace::",
        "users::",
        "clones_among_allocating_threads",
        "hundreds_of_launches_beside_allocating_threads",
        "lifecycle::a_program_that_ends_at_once_keeps_its_status",
        "regressions::races::",
        "who_may_trace_finds_nothing_on_a_joining_process",
    ],
};

/// What depends on the age of the kernel only: the oldest has it here, and a recent one is
/// the host's.
const OF_KERNELS: LeftOut = LeftOut {
    programs: &["nsinit-network/", "nsinit-rootfs/"],
    tests: &[
        "builtin::",
        "clocks::",
        "doctor::",
        "hints::",
        "hostile::",
        "mounts::",
        "network::",
        "outer_filter::",
    ],
};

/// What a child is placed in a cgroup by, and found in again: one cell of each version.
const OF_LAUNCHES: LeftOut = LeftOut {
    programs: &["nsinit-namespaces/", "nsinit/launch"],
    tests: &["joining::", "lifecycle::", "regressions::"],
};

/// The program of the black-box tests.
const BLACK_BOX: &str = "tests/main";

/// Root does not become an ordinary user for what the user does himself.
const OF_USERS: [&str; 1] = ["unprivileged::all_tests_pass_in_a_user_namespace"];

/// Black-box tests that cgroups have a part in, by a part of their names.
const OF_CGROUPS: [&str; 5] = ["audit::", "hints::", "limits::", "rootless::", "systemd::"];

/// Those that labels have a part in.
const OF_LABELS: [&str; 4] = ["apparmor", "label", "security::", "selinux"];

/// The lines of `/cell` that start the test programs, first as root, then as the user.
pub(super) fn orders(share: Share, programs: &[TestProgram], filter: &[String]) -> String {
    let left_out: &[LeftOut] = match share {
        Share::Kernel => &[OF_THE_HOST],
        Share::Launches => &[OF_THE_HOST, OF_KERNELS],
        Share::Rest => &[OF_THE_HOST, OF_KERNELS, OF_LAUNCHES],
        // They name what they take.
        Share::Cgroups | Share::Labels => &[OF_THE_HOST],
    };
    let mut text = String::new();
    for (who, others) in [("root", &OF_USERS[..]), ("user", &[])] {
        for program in programs.iter().filter(|program| has(share, left_out, &program.name)) {
            let mut words = vec![format!("/tests/{}", program.name)];
            words.extend(["--test-threads=1", "--nocapture"].map(str::to_owned));
            let skipped = left_out.iter().flat_map(|left_out| left_out.tests).chain(others);
            words.extend(skipped.map(|name| format!("--skip={name}")));
            let own: &[&str] = match share {
                Share::Cgroups if program.name == BLACK_BOX => &OF_CGROUPS,
                Share::Labels if program.name == BLACK_BOX => &OF_LABELS,
                _ => &[],
            };
            match filter.is_empty() {
                true => words.extend(own.iter().map(|&name| name.to_owned())),
                false => words.extend(filter.iter().cloned()),
            }
            text.push_str(&format!("{who} {}\n", words.join("\t")));
        }
    }
    text
}

fn has(share: Share, left_out: &[LeftOut], program: &str) -> bool {
    let mut starts = left_out.iter().flat_map(|left_out| left_out.programs);
    let of_share = match share {
        Share::Kernel | Share::Launches | Share::Rest => true,
        Share::Cgroups => program == BLACK_BOX || program.starts_with("nsinit-cgroups/"),
        Share::Labels => program == BLACK_BOX || program.starts_with("nsinit-security/"),
    };
    of_share && !starts.any(|start| program.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_leaves_out_programs_and_tests() {
        let program = |name: &str| TestProgram { name: name.to_owned(), path: "/x".into() };
        let programs = ["nsinit-config/file", "nsinit-network/lib", "tests/main"].map(program);
        let text = orders(Share::Rest, &programs, &["word".to_owned()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("root /tests/tests/main\t--test-threads=1"), "{text}");
        assert!(lines[1].contains("\t--skip=errors::\t") && lines[1].ends_with("\tword"), "{text}");
        assert_eq!(orders(Share::Kernel, &programs, &[]).lines().count(), 4);
        assert!(text.contains("\t--skip=joining::\t"), "{text}");
        assert!(!orders(Share::Launches, &programs, &[]).contains("joining::"));
        let text = orders(Share::Labels, &programs, &[]);
        assert!(text.contains("\tselinux\n"), "{text}");
    }
}
