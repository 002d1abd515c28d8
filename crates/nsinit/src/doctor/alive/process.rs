//! Parent: what the program is and may do.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nsinit_namespaces::Namespace;
use nsinit_security::{Capabilities, CapabilitySet, Resource, Rlimit, User};

use super::{Comparison, Subject, Verdict};
use crate::diagnosis::program::inside;
use crate::lower;
use crate::step::Step;

pub(super) fn compare(subject: &Subject<'_>) -> Vec<Comparison> {
    let status = subject.read("status");
    let mut all = vec![namespaces(subject)];
    let (mut no_new_privileges, mut call_filter) = (false, false);
    for step in subject.plan.all_steps() {
        match step {
            Step::User { user: asked, .. } => all.push(user(subject, asked, &status)),
            Step::Capabilities(asked) => all.extend(capabilities(asked, subject, &status)),
            Step::NoNewPrivileges => no_new_privileges = true,
            Step::CallFilter(_) => call_filter = true,
            Step::Rlimit(asked) => all.push(rlimit(asked, &subject.read("limits"))),
            Step::OomScoreAdj(asked) => all.push(oom_score_adj(*asked, subject)),
            _ => {}
        }
    }
    all.push(flag("no_new_privs", no_new_privileges, number(&status, "NoNewPrivs") == Some(1)));
    all.push(flag("seccomp filter", call_filter, number(&status, "Seccomp") == Some(2)));
    all.extend(labels(subject));
    all.extend(id_maps(subject));
    all
}

/// A restriction that is on or off.
fn flag(name: &str, asked: bool, got: bool) -> Comparison {
    let word = |on: bool| if on { "on" } else { "off" };
    let verdict = match (asked, got) {
        (true, false) => Verdict::Wider,
        (false, true) => Verdict::Narrower,
        _ => Verdict::Same,
    };
    Comparison::new(name, word(asked), word(got), verdict)
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn number(status: &str, name: &str) -> Option<u64> {
    field(status, name)?.parse().ok()
}

/// Which namespaces are the container's own. Those that it shares with the caller are
/// taken for the host's.
fn namespaces(subject: &Subject<'_>) -> Comparison {
    let container = &subject.state.container;
    let asked = lower::new_namespaces(container, subject.host);
    let entries = container.namespaces.as_deref().unwrap_or_default();
    let of = |process: &str, kind: Namespace| {
        let file = Path::new("/proc").join(process).join("ns").join(kind.file());
        file.metadata().ok().map(|file| (file.dev(), file.ino()))
    };
    let (mut own, mut shared, mut wider, mut narrower) = (vec![], vec![], vec![], vec![]);
    for kind in Namespace::ALL {
        let Some(got) = of(&subject.pid.to_string(), kind) else {
            let asked = asked.to_string();
            return Comparison::new("namespaces", asked, "", Verdict::Unknown);
        };
        let is_host = Some(got) == of("self", kind);
        let entry = entries.iter().find(|entry| entry.kind == kind);
        let joined = entry.and_then(|entry| entry.path.as_ref()).is_some();
        let asks_own = asked.contains(kind.into()) || joined;
        if is_host {
            shared.push(kind)
        } else {
            own.push(kind)
        }
        match (asks_own, is_host) {
            // One that was joined may be the caller's own.
            (true, true) if !joined => wider.push(kind),
            (false, false) => narrower.push(kind),
            _ => {}
        }
    }
    let words =
        |kinds: &[Namespace]| kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let got = match shared.as_slice() {
        [] => format!("own {}", words(&own)),
        shared => format!("own {}; the host's {}", words(&own), words(shared)),
    };
    let verdict = match (wider.is_empty(), narrower.is_empty()) {
        (false, _) => Verdict::Wider,
        (true, false) => Verdict::Narrower,
        (true, true) => Verdict::Same,
    };
    Comparison::new("namespaces", format!("own {asked}"), got, verdict)
}

fn user(subject: &Subject<'_>, asked: &User, status: &str) -> Comparison {
    let map = |file: &str, id: Option<&str>| inside(&subject.read(file), id?.parse().ok()?);
    let effective = |name: &str| field(status, name)?.split_ascii_whitespace().nth(1);
    let uid = map("uid_map", effective("Uid"));
    let gid = map("gid_map", effective("Gid"));
    let asked_words = format!("{}:{}", asked.uid, asked.gid);
    let (Some(uid), Some(gid)) = (uid, gid) else {
        return Comparison::new("user", asked_words, "", Verdict::Unknown);
    };
    let verdict = match (uid, gid) {
        (uid, gid) if (uid, gid) == (asked.uid, asked.gid) => Verdict::Same,
        // Root may become anybody.
        _ if asked.uid == 0 && uid != 0 => Verdict::Narrower,
        _ => Verdict::Wider,
    };
    Comparison::new("user", asked_words, format!("{uid}:{gid}"), verdict)
}

fn capabilities(asked: &Capabilities, subject: &Subject<'_>, status: &str) -> Vec<Comparison> {
    let is_root = |step: &Step| matches!(step, Step::User { user, .. } if user.uid == 0);
    // What execve makes of the sets (capabilities(7)).
    let after_execve = match subject.plan.all_steps().any(is_root) {
        true => asked.bounding,
        false => asked.ambient,
    };
    let got = |name: &str| u64::from_str_radix(field(status, name)?, 16).ok();
    let compare = |name: &str, asked: CapabilitySet, fields: &[&str]| {
        let sets: Option<Vec<u64>> = fields.iter().map(|field| got(field)).collect();
        let Some(sets) = sets else {
            return Comparison::new(name, asked.to_string(), "", Verdict::Unknown);
        };
        let got = CapabilitySet::from_bits(sets.into_iter().fold(0, |all, set| all | set));
        let verdict = match (asked.contains(got), got.contains(asked)) {
            (false, _) => Verdict::Wider,
            (true, false) => Verdict::Narrower,
            (true, true) => Verdict::Same,
        };
        let words = |set: CapabilitySet| match set.is_empty() {
            true => "none".to_owned(),
            false => set.to_string(),
        };
        Comparison::new(name, words(asked), words(got), verdict)
    };
    vec![
        compare("capabilities", after_execve, &["CapPrm", "CapEff", "CapAmb"]),
        compare("bounding set", asked.bounding, &["CapBnd"]),
    ]
}

fn rlimit(asked: &Rlimit, limits: &str) -> Comparison {
    let name = format!("rlimit {}", asked.resource);
    let line = limits.lines().find_map(|line| line.strip_prefix(label(asked.resource)));
    // The program may move its soft limit below the hard one as it likes.
    match line.and_then(|line| line.split_ascii_whitespace().nth(1)) {
        Some(hard) => Comparison::of_limit(name, asked.hard, hard.parse().ok()),
        None => Comparison::new(name, format!("{:?}", asked.hard), "", Verdict::Unknown),
    }
}

/// The names of /proc/PID/limits (proc_pid_limits(5)).
fn label(resource: Resource) -> &'static str {
    match resource {
        Resource::As => "Max address space",
        Resource::Core => "Max core file size",
        Resource::Cpu => "Max cpu time",
        Resource::Data => "Max data size",
        Resource::Fsize => "Max file size",
        Resource::Locks => "Max file locks",
        Resource::Memlock => "Max locked memory",
        Resource::Msgqueue => "Max msgqueue size",
        Resource::Nice => "Max nice priority",
        Resource::Nofile => "Max open files",
        Resource::Nproc => "Max processes",
        Resource::Rss => "Max resident set",
        Resource::Rtprio => "Max realtime priority",
        Resource::Rttime => "Max realtime timeout",
        Resource::Sigpending => "Max pending signals",
        Resource::Stack => "Max stack size",
    }
}

fn oom_score_adj(asked: i16, subject: &Subject<'_>) -> Comparison {
    let name = "oom_score_adj";
    match subject.read(name).trim().parse::<i16>() {
        // A lower score has others killed in its place.
        Ok(got) => {
            let verdict = match got.cmp(&asked) {
                std::cmp::Ordering::Less => Verdict::Wider,
                std::cmp::Ordering::Equal => Verdict::Same,
                std::cmp::Ordering::Greater => Verdict::Narrower,
            };
            Comparison::new(name, asked.to_string(), got.to_string(), verdict)
        }
        Err(_) => Comparison::new(name, asked.to_string(), "", Verdict::Unknown),
    }
}

fn labels(subject: &Subject<'_>) -> Vec<Comparison> {
    let context = subject.state.container.context.as_ref();
    let asked = context.map(|context| [&context.apparmor_profile, &context.process_label]);
    let asked: Vec<_> = asked.into_iter().flatten().flatten().collect();
    let got = subject.read("attr/current");
    let got = got.trim_end_matches(['\0', '\n']);
    asked
        .into_iter()
        .map(|asked| {
            // AppArmor adds the mode: "profile (enforce)".
            let holds = got == asked.as_str() || got.strip_suffix(" (enforce)") == Some(asked);
            let verdict = match (got.is_empty(), holds) {
                (true, _) => Verdict::Unknown,
                (false, true) => Verdict::Same,
                (false, false) => Verdict::Wider,
            };
            Comparison::new("label", asked, got, verdict)
        })
        .collect()
}

fn id_maps(subject: &Subject<'_>) -> Vec<Comparison> {
    let container = &subject.state.container;
    let lines = |text: &str| {
        let line = |line: &str| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(line).collect::<Vec<_>>().join(", ")
    };
    let compare = |file: &str, asked: &[nsinit_config::IdMapping]| {
        let got = lines(&subject.read(file));
        let line =
            |l: &nsinit_config::IdMapping| format!("{} {} {}", l.container_id, l.host_id, l.size);
        let asked = asked.iter().map(line).collect::<Vec<_>>().join(", ");
        let verdict = if asked == got { Verdict::Same } else { Verdict::Wider };
        Comparison::new(file, asked, got, verdict)
    };
    match container.uid_mappings.is_empty() {
        true => Vec::new(),
        false => vec![
            compare("uid_map", &container.uid_mappings),
            compare("gid_map", &container.gid_mappings),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_status_are_whole_words() {
        let status = "CapBnd:\t00000000000000ff\nCapBndX:\t1\nNoNewPrivs:\t1\n";
        assert_eq!(field(status, "CapBnd"), Some("00000000000000ff"));
        assert_eq!((number(status, "NoNewPrivs"), number(status, "NoNew")), (Some(1), None));
    }

    #[test]
    fn a_restriction_that_is_missing_is_more_freedom() {
        assert_eq!(flag("x", true, false).verdict, Verdict::Wider);
        assert_eq!(flag("x", false, true).verdict, Verdict::Narrower);
        assert_eq!(flag("x", true, true).verdict, Verdict::Same);
    }

    #[test]
    fn the_hard_limit_counts() {
        let limits = "Limit  Soft  Hard  Units\nMax open files            1024                 4096                 files\n";
        let asked = |hard| Rlimit { resource: Resource::Nofile, soft: Some(1), hard };
        assert_eq!(rlimit(&asked(Some(4096)), limits).verdict, Verdict::Same);
        assert_eq!(rlimit(&asked(Some(1024)), limits).verdict, Verdict::Wider);
        assert_eq!(rlimit(&asked(None), limits).verdict, Verdict::Narrower);
        assert_eq!(rlimit(&asked(None), "").verdict, Verdict::Unknown);
    }
}
