//! `cargo xtask docs`: the documentation without warnings, and Markdown
//! links that lead somewhere.

use std::fs;
use std::path::Path;

use crate::cargo::{cargo, root, succeed};
use crate::{Result, source};

pub(crate) fn run() -> Result {
    let mut command = cargo(["doc", "--workspace", "--no-deps", "--quiet"]);
    succeed(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    let mut broken = Vec::new();
    for file in source::tracked_files()?.iter().filter(|file| file.ends_with(".md")) {
        let path = root().join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        let directory = path.parent().unwrap_or(Path::new("."));
        let missing = links(&text).filter(|link| !directory.join(link).exists());
        broken.extend(missing.map(|link| format!("{file}: no file {link}")));
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}

/// The targets of links to files of the repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|link| !link.contains("://") && !link.starts_with(['#', '<']));
    local.map(|link| link.split('#').next().unwrap_or(link))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_links_to_files_are_checked() {
        let text = "[a](docs/a.md#b), [b](https://example.org/x), [c](#here) and [d](d.rs)";
        assert_eq!(super::links(text).collect::<Vec<_>>(), ["docs/a.md", "d.rs"]);
    }
}
