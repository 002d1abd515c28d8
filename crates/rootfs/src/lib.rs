//! Furnish the mount namespace of a container: mounts, devices, masks, pivot_root.
