//! What is measured, and what is asked of the figures: data.

/// How the runs of a workload follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One run of each, in alternating order.
    Pairs,
    /// The same in containers that run already, one for each contender.
    Joins,
    /// [`BATCH`] containers, two at a time.
    Batches,
    /// nsinit beside nsinit, in two root filesystems.
    Sizes,
}

/// Containers of one batch.
pub(crate) const BATCH: usize = 200;

pub(crate) struct Workload {
    pub(crate) letter: char,
    pub(crate) words: &'static str,
    pub(crate) kind: Kind,
    /// Quiet time before each run, in milliseconds.
    pub(crate) gap: u64,
    /// Memory, processes and processor time are limited.
    pub(crate) limits: bool,
    /// An interface at a bridge.
    pub(crate) network: bool,
    /// Bind mounts in the configuration.
    pub(crate) mounts: usize,
    /// Peak memory of the runtime is measured.
    pub(crate) memory: bool,
    pub(crate) marks: &'static [Mark],
}

/// What a figure has to reach.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    /// At most this share of the rival's time.
    Time(&'static str, f64),
    /// At least so many times the rival's throughput.
    Throughput(&'static str, f64),
    /// The rival's time, but for this share.
    Same(&'static str, f64),
    /// Private memory of nsinit at its peak, in KiB.
    Memory(u64),
}

const PLAIN: Workload = Workload {
    letter: 'a',
    words: "start to end of a static `true` in five namespaces",
    kind: Kind::Pairs,
    gap: 0,
    limits: false,
    network: false,
    mounts: 0,
    memory: false,
    marks: &[],
};

pub(crate) const WORKLOADS: [Workload; 8] = [
    Workload {
        memory: true,
        marks: &[
            Mark::Time("crun", 0.36),
            Mark::Time("crun-static", 0.50),
            Mark::Time("bwrap", 0.65),
            Mark::Time("floor", 1.30),
            Mark::Memory(2048),
        ],
        ..PLAIN
    },
    Workload {
        letter: 'b',
        words: "with limits of memory, processes and processor time",
        limits: true,
        memory: true,
        marks: &[Mark::Time("crun", 0.50), Mark::Memory(2048)],
        ..PLAIN
    },
    Workload {
        letter: 'c',
        words: "each run after 60 ms of quiet",
        gap: 60,
        marks: &[Mark::Time("crun", 0.50)],
        ..PLAIN
    },
    Workload {
        letter: 'd',
        words: "in a container that runs already",
        kind: Kind::Joins,
        memory: true,
        marks: &[Mark::Time("crun", 0.50), Mark::Memory(2048)],
        ..PLAIN
    },
    Workload {
        letter: 'e',
        words: "with an interface at a bridge",
        network: true,
        marks: &[Mark::Time("ip and crun", 0.35)],
        ..PLAIN
    },
    Workload {
        letter: 'f',
        words: "200 containers, two at a time",
        kind: Kind::Batches,
        marks: &[Mark::Throughput("crun", 2.5)],
        ..PLAIN
    },
    Workload { letter: 'g', words: "with 100 bind mounts", mounts: 100, ..PLAIN },
    Workload {
        letter: 'h',
        words: "in a root filesystem with one file of 16 MiB, beside one with 100,000 files",
        kind: Kind::Sizes,
        marks: &[Mark::Same("100,000 files", 0.05)],
        ..PLAIN
    },
];
