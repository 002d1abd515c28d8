//! container.json: the configuration of a container, with positions for every fault.
