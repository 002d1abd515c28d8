//! Give a network namespace its interfaces, addresses and routes, from outside.
