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

/// Nothing of a kernel has a part in these.
const PURE: LeftOut = LeftOut {
    programs: &["nsinit-config/", "nsinit-rootfs/plan", "nsinit/plan", "tests/lib"],
    // The benchmark is not measured there.
    tests: &["floor::"],
};

/// A kernel has, but each has the same: one cell has these.
const OF_USERLAND: LeftOut = LeftOut {
    programs: &["nsinit/lib", "nsinit-cgroups/lib", "nsinit-rootfs/lib"],
    tests: &[
        "builtin::",
        "cli::",
        "errors::",
        "examples::",
        "programs::",
        "signals::",
        "terminal::",
        "trace::",
        "users::",
        // They repeat something until a race would have shown.
        "clones_among_allocating_threads",
        "hundreds_of_launches_beside_allocating_threads",
        "lifecycle::a_program_that_ends_at_once_keeps_its_status",
        "regressions::races::",
        "who_may_trace_finds_nothing_on_a_joining_process",
    ],
};

/// Label systems and cgroups have no part in these: one cell of each kernel has them.
const OF_KERNELS: LeftOut = LeftOut {
    programs: &["nsinit-namespaces/", "nsinit-network/", "nsinit/launch"],
    tests: &["lifecycle::", "network::", "regressions::"],
};

/// Root does not become an ordinary user for what the user does himself.
const OF_USERS: [&str; 1] = ["unprivileged::all_tests_pass_in_a_user_namespace"];

/// What nsinit's labeler has a part in.
const OF_LABELERS: [&str; 4] = ["joining::", "label", "security::", "selinux"];

/// The lines of `/cell` that start the test programs, first as root, then as the user.
pub(super) fn orders(share: Share, programs: &[TestProgram], filter: &[String]) -> String {
    let left_out: &[LeftOut] = match share {
        Share::Everything | Share::Labels => &[PURE],
        Share::Kernel => &[PURE, OF_USERLAND],
        Share::Rest => &[PURE, OF_USERLAND, OF_KERNELS],
    };
    let mut text = String::new();
    for (who, others) in [("root", &OF_USERS[..]), ("user", &[])] {
        for program in programs.iter().filter(|program| has(share, left_out, &program.name)) {
            let mut words = vec![format!("/tests/{}", program.name)];
            words.extend(["--test-threads=1", "--nocapture"].map(str::to_owned));
            let skipped = left_out.iter().flat_map(|left_out| left_out.tests).chain(others);
            words.extend(skipped.map(|name| format!("--skip={name}")));
            if share == Share::Labels && filter.is_empty() {
                words.extend(OF_LABELERS.map(str::to_owned));
            }
            words.extend(filter.iter().cloned());
            text.push_str(&format!("{who} {}\n", words.join("\t")));
        }
    }
    text
}

fn has(share: Share, left_out: &[LeftOut], program: &str) -> bool {
    let mut starts = left_out.iter().flat_map(|left_out| left_out.programs);
    match share {
        Share::Labels => program == "tests/main",
        Share::Everything | Share::Kernel | Share::Rest => {
            !starts.any(|start| program.starts_with(start))
        }
    }
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
        assert_eq!(orders(Share::Everything, &programs, &[]).lines().count(), 4);
    }
}
