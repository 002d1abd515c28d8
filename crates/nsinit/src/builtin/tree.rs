//! Parent: looking at a host's files below a directory that stands for its `/`.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// What the kernel follows at most in one look-up (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// How much of a file is read at most, in bytes.
const MAX_TEXT: u64 = 1 << 20;

/// The host's files; every path is absolute, as the host itself sees it.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    root: &'a Path,
}

/// What is at a path, links not followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Link(PathBuf),
    Directory,
    Other,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: &'a Path) -> Tree<'a> {
        Tree { root }
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What is at `path`, whose parent directories are not links.
    pub(super) fn entry(&self, path: &str) -> Option<Entry> {
        let place = self.place(Path::new(path));
        let metadata = fs::symlink_metadata(&place).ok()?;
        Some(if metadata.is_symlink() {
            Entry::Link(fs::read_link(&place).ok()?)
        } else if metadata.is_dir() {
            Entry::Directory
        } else {
            Entry::Other
        })
    }

    /// The target of the link at `path`, if it is one.
    pub(super) fn link(&self, path: &str) -> Option<PathBuf> {
        match self.entry(path)? {
            Entry::Link(target) => Some(target),
            _ => None,
        }
    }

    /// Names in the directory `path`, in no order; a name that is not UTF-8 is left out.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.place(Path::new(path))).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Where `path` leads when all links are followed below this tree; `None`
    /// where that is nothing, or something that this user may not look at.
    pub(super) fn resolve(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let mut left: Vec<PathBuf> = vec![path.as_ref().into()];
        let (mut done, mut links) = (PathBuf::from("/"), 0);
        while let Some(path) = left.pop() {
            let mut parts = path.components();
            let Some(part) = parts.next() else { continue };
            left.push(parts.as_path().into());
            match part {
                Component::RootDir => done = "/".into(),
                Component::ParentDir => drop(done.pop()),
                Component::Normal(name) => match self.metadata(&done.join(name))? {
                    metadata if metadata.is_symlink() && links < MAX_LINKS => {
                        links += 1;
                        left.push(fs::read_link(self.place(&done.join(name))).ok()?);
                    }
                    metadata if metadata.is_symlink() => return None,
                    _ => done.push(name),
                },
                Component::CurDir | Component::Prefix(_) => (),
            }
        }
        Some(done)
    }

    fn metadata(&self, path: &Path) -> Option<Metadata> {
        fs::symlink_metadata(self.place(path)).ok()
    }

    /// The beginning of a regular file; empty where there is none.
    pub(super) fn text(&self, path: &str) -> String {
        let mut text = Vec::new();
        let place = self.resolve(path).map(|path| self.place(&path));
        if let Some(place) = place.filter(|place| place.is_file()) {
            // An unreadable file tells as much as a missing one.
            let _ = File::open(place).and_then(|file| file.take(MAX_TEXT).read_to_end(&mut text));
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
