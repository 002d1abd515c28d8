//! What a program may not do: capabilities, labels, users, limits, no_new_privs.
