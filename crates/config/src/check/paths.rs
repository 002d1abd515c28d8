//! Parent: what every path has to be.

use std::path::{Component, Path};

use super::Findings;
use crate::key_path::At;
use crate::suggest::quoted;

/// PATH_MAX of limits.h without the final NUL.
const LONGEST_PATH: usize = 4095;

/// NAME_MAX of limits.h.
const LONGEST_NAME: usize = 255;

impl Findings {
    /// A path that can be given to the kernel.
    pub(super) fn path(&mut self, at: At<'_>, path: &Path) -> bool {
        let Some(text) = path.to_str() else {
            self.fault(at, "is not UTF-8, which JSON must be");
            return false;
        };
        if !self.text(at, text) {
            return false;
        }
        if text.len() > LONGEST_PATH {
            let message = format!("has {} bytes, a path has at most {LONGEST_PATH}", text.len());
            self.fault(at, message);
            return false;
        }
        if let Some(name) = text.split('/').find(|name| name.len() > LONGEST_NAME) {
            let message =
                format!("a name in it has {} bytes, the limit is {LONGEST_NAME}", name.len());
            self.fault(at, message);
            return false;
        }
        true
    }

    /// An absolute path of the host.
    pub(super) fn host_path(&mut self, at: At<'_>, path: &Path) -> bool {
        self.path(at, path) && self.absolute(at, path, None)
    }

    /// An absolute path in the container, below its root.
    pub(super) fn container_path(&mut self, at: At<'_>, path: &Path) -> bool {
        let text = path.to_string_lossy();
        let named = path.components().any(|part| matches!(part, Component::Normal(_)));
        let climbs = path.components().any(|part| part == Component::ParentDir);
        let help = format!("/{}", text.trim_start_matches("./"));
        let help = Some(help.as_str()).filter(|_| named && !climbs);
        if !(self.path(at, path) && self.absolute(at, path, help)) {
            return false;
        }
        if climbs {
            self.fault(at, format!("must not contain \"..\", got {}", quoted(&text)));
            return false;
        }
        true
    }

    fn absolute(&mut self, at: At<'_>, path: &Path, help: Option<&str>) -> bool {
        if path.is_absolute() {
            return true;
        }
        let text = path.to_string_lossy();
        let fault = self.fault(at, format!("must be absolute, got {}", quoted(&text)));
        if text.starts_with(['~', '$']) {
            fault.help("~ and variables are not expanded, write the whole path");
        } else if let Some(help) = help {
            fault.help(format!("did you mean {}?", quoted(help)));
        }
        false
    }
}

/// The path without `.` parts and doubled slashes, `/` for the root.
pub(super) fn normal(path: &Path) -> String {
    let mut text = String::new();
    for part in path.components() {
        if let Component::Normal(name) = part {
            text.push('/');
            text.push_str(&name.to_string_lossy());
        }
    }
    if text.is_empty() { "/".to_owned() } else { text }
}

/// True if normal `path` is below normal `above`.
pub(super) fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}
