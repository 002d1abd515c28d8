//! Acts on real links, each test between namespaces of its own: a "host" that a
//! thread of the test is moved into, and a container's. The machine's own
//! network namespace is never changed.
#![expect(clippy::unwrap_used, reason = "what a test prepares has to succeed")]

mod harness;
mod lifetime;
mod pairs;
mod refusals;
#[expect(unsafe_code, reason = "pre_exec, and an allocator that counts")]
mod sys;
mod unprivileged;
