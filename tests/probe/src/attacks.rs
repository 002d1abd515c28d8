//! What a hostile program would try; each prints `ok` where it succeeds.

use std::io;

use rustix::thread::UnshareFlags;

use crate::{Words, number, print_outcome, sys, word};

pub(crate) fn find(fact: &str, words: Words<'_>) -> Option<io::Result<()>> {
    Some(match fact {
        "type-into-terminal" => print_outcome(sys::type_into_terminal(b'X')),
        "ptrace" => number(words, 0).and_then(|pid| print_outcome(sys::ptrace_seize(pid))),
        "open-by-handle" => {
            word(words, 0).and_then(|path| print_outcome(sys::open_root_by_handle(path)))
        }
        "search-key" => word(words, 0).and_then(|name| print_outcome(sys::search_key(name))),
        "new-user-namespace" => print_outcome(sys::unshare(UnshareFlags::NEWUSER)),
        "set-hostname" => print_outcome(rustix::system::sethostname(b"pwned")),
        "set-uid" => number(words, 0).and_then(|uid| print_outcome(sys::set_uid(uid))),
        _ => return None,
    })
}
