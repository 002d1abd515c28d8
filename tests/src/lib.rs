//! Black-box tests of the built `nsinit`: the harness.
//!
//! A test is one claim: arrange a [`Sandbox`], run, compare. What a test
//! needs of the machine it says first, with [`require!`]. The programs come
//! from `cargo xtask test`, which names them in the environment.
#![expect(clippy::print_stderr, reason = "a test that does not run says so there")]

mod caller;
mod clean;
mod needs;
mod outcome;
mod programs;
mod running;
mod sandbox;
mod terminal;

pub use needs::{Need, kernel_release, skip};
pub use outcome::Outcome;
pub use programs::floor;
pub use running::Running;
pub use sandbox::Sandbox;
pub use terminal::Terminal;

/// The uid of the tests' ordinary user: `nobody`, whom every machine has.
pub const ORDINARY: u32 = 65534;
