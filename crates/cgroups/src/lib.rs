//! Control groups: create, limit, account, freeze, kill and remove, on v2, v1 and hybrid hosts.
