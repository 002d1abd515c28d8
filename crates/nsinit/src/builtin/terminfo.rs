//! Parent: which terminal a program in the built-in container may believe in.

use super::tree::Tree;

/// Where the entries are that the container has inside (terminfo(5)).
const DIRECTORIES: [&str; 4] =
    ["/etc/terminfo", "/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo"];

/// What nearly every terminal of today understands.
const DEFAULT: &str = "xterm-256color";

/// The name of the host's terminal if the container has its description, else
/// a common one.
pub(super) fn name<'a>(host: &Tree<'_>, term: Option<&'a str>) -> &'a str {
    term.filter(|name| is_described(host, name)).unwrap_or(DEFAULT)
}

fn is_described(host: &Tree<'_>, name: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    let Some(first) = name.bytes().next().filter(|_| name.bytes().all(is_name)) else {
        return false;
    };
    // Entries are below the first letter, or below its code where the file
    // system does not tell capital from small letters.
    let below = [char::from(first).to_string(), format!("{first:x}")];
    DIRECTORIES.iter().any(|directory| {
        below.iter().any(|letter| host.resolve(format!("{directory}/{letter}/{name}")).is_some())
    })
}
