//! Which tests run in a cell: all of them in all of them would take an hour
//! under emulation, and say little that is new.

use super::matrix::Share;
use super::programs::TestProgram;

/// Programs by the beginning of their names, and black-box tests by a part of theirs.
struct Part {
    programs: &'static [&'static str],
    tests: &'static [&'static str],
}

/// What is pure, what is the same on every kernel, and what is repeated until a race would
/// have shown: the host has these, and more processors for the last.
const OF_THE_HOST: Part = Part {
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
const OF_KERNELS: Part = Part {
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
const OF_LAUNCHES: Part = Part {
    programs: &["nsinit-namespaces/", "nsinit/launch"],
    tests: &["joining::", "lifecycle::", "regressions::"],
};

/// What cgroups have a part in.
const OF_CGROUPS: Part = Part {
    programs: &["nsinit-cgroups/"],
    tests: &["a_container_has", "cgroup", "delegat", "hierarchy", "limit", "systemd::"],
};

/// What labels have a part in.
const OF_LABELS: Part =
    Part { programs: &["nsinit-security/"], tests: &["apparmor", "label", "selinux"] };

/// The program of the black-box tests.
const BLACK_BOX: &str = "tests/main";

/// Root does not become an ordinary user for what the user does himself.
const OF_USERS: [&str; 1] = ["unprivileged::all_tests_pass_in_a_user_namespace"];

impl Share {
    /// What is taken, if not everything, and what is left out of it.
    fn parts(self) -> (&'static [Part], &'static [Part]) {
        match self {
            Share::All => (&[], &[OF_THE_HOST]),
            Share::Age => (&[OF_KERNELS, OF_CGROUPS], &[OF_THE_HOST]),
            Share::Launches => (&[], &[OF_THE_HOST, OF_KERNELS]),
            Share::Rest => (&[], &[OF_THE_HOST, OF_KERNELS, OF_LAUNCHES]),
            Share::Cgroups => (&[OF_CGROUPS], &[OF_THE_HOST]),
            Share::Labels => (&[OF_LABELS], &[OF_THE_HOST]),
        }
    }
}

/// The lines of `/cell` that start the test programs, first as root, then as the user.
pub(super) fn orders(share: Share, programs: &[TestProgram], filter: &[String]) -> String {
    let (taken, left_out) = share.parts();
    let has = |program: &&TestProgram| {
        let taken = taken.is_empty() || program.name == BLACK_BOX || is_in(taken, program);
        taken && !is_in(left_out, program)
    };
    let mut text = String::new();
    for (who, others) in [("root", &OF_USERS[..]), ("user", &[])] {
        for program in programs.iter().filter(has) {
            let mut words = vec![format!("/tests/{}", program.name)];
            words.extend(["--test-threads=1", "--nocapture"].map(str::to_owned));
            let skipped = left_out.iter().flat_map(|part| part.tests).chain(others);
            words.extend(skipped.map(|name| format!("--skip={name}")));
            let tests = taken.iter().flat_map(|part| part.tests);
            match filter {
                [] if program.name == BLACK_BOX => words.extend(tests.map(|&name| name.to_owned())),
                _ => words.extend_from_slice(filter),
            }
            text.push_str(&format!("{who} {}\n", words.join("\t")));
        }
    }
    text
}

fn is_in(parts: &[Part], program: &TestProgram) -> bool {
    let mut starts = parts.iter().flat_map(|part| part.programs);
    starts.any(|start| program.name.starts_with(start))
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
        assert_eq!(orders(Share::All, &programs, &[]).lines().count(), 4);
        assert!(text.contains("\t--skip=joining::\t"), "{text}");
        assert!(!orders(Share::Launches, &programs, &[]).contains("joining::"));
        let text = orders(Share::Labels, &programs, &[]);
        assert!(text.lines().count() == 2 && text.contains("\tselinux\n"), "{text}");
        let text = orders(Share::Age, &programs, &[]);
        let network = "root /tests/nsinit-network/lib\t";
        assert!(text.starts_with(network) && text.contains("\tmounts::\t"), "{text}");
    }
}
