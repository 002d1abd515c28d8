//! Both: the claims of this crate on the real kernel; each test confines a process of its own.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod capabilities;
mod child;
mod process;
#[expect(unsafe_code, reason = "system calls that rustix does not have, and an allocator")]
mod sys;
mod sysctl;
