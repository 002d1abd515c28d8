//! Parent: checks of what the program gets: arguments, environment, limits.

use super::Findings;
use crate::Container;
use crate::key_path::At;
use crate::suggest::quoted;

pub(super) fn check(found: &mut Findings, container: &Container) {
    if let Some(args) = &container.args {
        arguments(found, At::Root.key("args"), args);
    }
    let environment = container.environment.as_deref().unwrap_or_default();
    for (index, entry) in environment.iter().enumerate() {
        variable(found, At::Root.key("environment").index(index), entry);
    }
    if let Some(path) = &container.working_dir {
        found.container_path(At::Root.key("working_dir"), path);
    }
    if let Some(mask) = container.umask {
        found.permission_bits(At::Root.key("umask"), mask);
    }
    if let Some(score) = container.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        let at = At::Root.key("oom_score_adj");
        found.fault(at, format!("must be from -1000 to 1000, got {score}"));
    }
    rlimits(found, container);
}

fn arguments(found: &mut Findings, at: At<'_>, args: &[String]) {
    match args.first() {
        None => {
            found.fault(at, "is empty").because(at).help("name a program, or leave the key out");
        }
        Some(program) if program.is_empty() => {
            found.fault(at.index(0), "the program is empty").help("name a program");
        }
        Some(_) => {}
    }
    for (index, argument) in args.iter().enumerate() {
        found.no_nul(at.index(index), argument);
    }
}

fn variable(found: &mut Findings, at: At<'_>, entry: &str) {
    match entry.split_once('=') {
        None => {
            let fault = found.fault(at, format!("must be KEY=value, got {}", quoted(entry)));
            if !entry.is_empty() {
                fault.help(format!("an empty value is {}", quoted(&format!("{entry}="))));
            }
        }
        Some(("", _)) => {
            found.fault(at, format!("has no key before the '=', got {}", quoted(entry)));
        }
        Some(_) => {
            found.no_nul(at, entry);
        }
    }
}

impl Findings {
    /// Nine bits: read, write and execute for owner, group and others.
    pub(super) fn permission_bits(&mut self, at: At<'_>, mode: u32) {
        if mode > 0o777 {
            let fault = self.fault(at, format!("must be at most 0o777, got 0o{mode:o} ({mode})"));
            let digits = mode.to_string();
            if u32::from_str_radix(&digits, 8).is_ok_and(|octal| octal <= 0o777) {
                fault.help(format!("octal digits are a string: \"0{digits}\""));
            }
        }
    }
}

fn rlimits(found: &mut Findings, container: &Container) {
    let all = At::Root.key("rlimits");
    for (index, limit) in container.rlimits.iter().enumerate() {
        let at = all.key(limit.resource.name());
        if container.rlimits[..index].iter().any(|other| other.resource == limit.resource) {
            found.fault(at, "this resource has a limit already");
        }
        let words = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
        if limit.soft.unwrap_or(u64::MAX) > limit.hard.unwrap_or(u64::MAX) {
            let (soft, hard) = (words(limit.soft), words(limit.hard));
            found.fault(at, format!("soft limit {soft} is above the hard limit {hard}"));
        }
        for (key, value) in [("soft", limit.soft), ("hard", limit.hard)] {
            if value == Some(u64::MAX) {
                let message = "is the kernel's number for no limit";
                found.fault(at.key(key), message).help("write \"unlimited\"");
            }
        }
    }
}
