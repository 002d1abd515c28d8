//! The command nsinit.
fn main() {}
