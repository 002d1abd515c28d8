//! Parent: everything about a `Container` that can be known without the host.

mod capabilities;
mod cgroups;
mod devices;
mod labels;
mod mount_options;
mod mounts;
mod namespaces;
mod networks;
mod paths;
mod process;
mod rootfs;
mod subnet;
mod sysctl;
mod user;

use crate::Container;
use crate::key_path::{At, KeyPath};

/// Most findings that are kept; more than are told, since some are left out
/// when their cause was told already.
const MOST_FINDINGS: usize = 200;

/// Something wrong at a place in the value.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    pub(crate) path: KeyPath,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
    /// Other places that it also hangs on: if something there could not be
    /// decoded, this may be no fault at all.
    pub(crate) because: Vec<KeyPath>,
    /// The key is at fault, not its value.
    pub(crate) on_key: bool,
}

impl Finding {
    fn help(&mut self, suggestion: impl Into<String>) -> &mut Finding {
        self.suggestion = Some(suggestion.into());
        self
    }

    fn on_key(&mut self) -> &mut Finding {
        self.on_key = true;
        self
    }

    fn because(&mut self, at: At<'_>) -> &mut Finding {
        self.because.push(at.to_path());
        self
    }
}

/// What the checks have found so far.
#[derive(Default)]
struct Findings {
    list: Vec<Finding>,
    overflow: Finding,
}

impl Findings {
    fn fault(&mut self, at: At<'_>, message: impl Into<String>) -> &mut Finding {
        if self.is_full() {
            self.overflow = Finding::default();
            return &mut self.overflow;
        }
        let finding = Finding { path: at.to_path(), message: message.into(), ..Finding::default() };
        self.list.push(finding);
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// Nothing more is kept.
    fn is_full(&self) -> bool {
        self.list.len() >= MOST_FINDINGS
    }

    /// A string that the kernel will take as a C string, and that is there at all.
    fn text(&mut self, at: At<'_>, text: &str) -> bool {
        if text.is_empty() {
            self.fault(at, "is empty").help("leave the key out");
            return false;
        }
        self.no_nul(at, text)
    }

    fn no_nul(&mut self, at: At<'_>, text: &str) -> bool {
        let nul = text.contains('\0');
        if nul {
            self.fault(at, "must not contain a NUL byte");
        }
        !nul
    }
}

/// All that is wrong with the container.
pub(crate) fn run(container: &Container) -> Vec<Finding> {
    let found = &mut Findings::default();
    rootfs::check(found, container);
    process::check(found, container);
    user::check(found, container);
    namespaces::check(found, container);
    capabilities::check(found, container);
    labels::check(found, container);
    sysctl::check(found, container);
    mounts::check(found, container);
    devices::check(found, container);
    networks::check(found, container);
    cgroups::check(found, container);
    std::mem::take(&mut found.list)
}

impl At<'_> {
    /// The place as it is told: `mounts[1]`.
    fn text(self) -> String {
        self.to_path().text()
    }
}
