//! Parent: checks of `user` and `additional_groups`.

use std::collections::HashSet;

use super::Findings;
use crate::Container;
use crate::key_path::At;
use crate::suggest::quoted;

/// The largest id; 4294967295 is the kernel's "no id".
const LARGEST_ID: u32 = u32::MAX - 1;

pub(super) fn check(found: &mut Findings, container: &Container) {
    if let Some(user) = container.user.as_deref().filter(|user| !user.is_empty()) {
        check_user(found, At::Root.key("user"), user);
    }
    let (all, groups) = (At::Root.key("additional_groups"), &container.additional_groups);
    let mut seen = HashSet::new();
    for (index, group) in groups.iter().enumerate() {
        let at = all.index(index);
        if found.name_or_id(at, "group", group) && !seen.insert(group) {
            found.fault(at, format!("group {} is listed twice", quoted(group)));
        }
    }
}

fn check_user(found: &mut Findings, at: At<'_>, user: &str) {
    match user.split_once(':') {
        None => {
            found.name_or_id(at, "user", user);
        }
        Some((_, "")) => {
            let fault = found.fault(at, format!("no group after the ':', got {}", quoted(user)));
            fault.help(format!("did you mean {}?", quoted(user.trim_end_matches(':'))));
        }
        Some((name, group)) => {
            if found.name_or_id(at, "user", name) {
                found.name_or_id(at, "group", group);
            }
        }
    }
}

impl Findings {
    /// Digits are an id; a name begins like one in passwd(5).
    fn name_or_id(&mut self, at: At<'_>, what: &str, text: &str) -> bool {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits {
            let valid = text.parse::<u32>().is_ok_and(|id| id <= LARGEST_ID);
            if !valid {
                self.fault(at, format!("{what} id must be at most {LARGEST_ID}, got {text}"));
            }
            return valid;
        }
        let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
        let continues = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
        let valid = text.starts_with(begins) && text.chars().all(continues);
        if !valid {
            let message = format!("{} is neither a {what} id nor a {what} name", quoted(text));
            self.fault(at, message);
        }
        valid
    }
}
