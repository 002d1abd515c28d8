//! Black-box tests of the built `nsinit`, by theme. `cargo xtask test` runs them.

mod apparmor;
mod audit;
mod bad_input;
mod builtin;
mod cli;
mod clocks;
mod doctor;
mod errors;
mod examples;
mod hints;
mod hostile;
mod joining;
mod lifecycle;
mod limits;
mod mounts;
mod network;
mod outer_filter;
mod programs;
mod regressions;
mod rootless;
mod security;
mod selinux;
mod signals;
mod terminal;
mod users;
