//! A container runtime: nsinit exec sh.
