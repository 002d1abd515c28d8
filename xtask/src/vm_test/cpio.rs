//! Writes the archive that the kernel unpacks into its first filesystem (cpio, "newc").
//!
//! The host's owners and modes do not matter: each entry says its own, so that
//! an ordinary user makes images with files of root in them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Result;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTERS: u32 = 0o020_000;

/// Old names of directories, which are links in the image: `/bin` is `/usr/bin`.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

pub(super) struct Image {
    path: PathBuf,
    out: BufWriter<File>,
    inode: u32,
    known: BTreeSet<String>,
}

impl Image {
    /// Begins an image with the directories, links and nodes that every one has.
    pub(super) fn create(path: &Path) -> Result<Image> {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut image = Image {
            path: path.to_owned(),
            out: BufWriter::new(file),
            inode: 0,
            known: BTreeSet::new(),
        };
        for name in MERGED {
            image.directory(&format!("usr/{name}"), 0o755)?;
            image.entry(name, LINK | 0o777, format!("usr/{name}").as_bytes(), (0, 0))?;
        }
        image.directory("dev", 0o755)?;
        // Without it PID 1 has no standard output.
        image.entry("dev/console", CHARACTERS | 0o600, &[], (5, 1))?;
        Ok(image)
    }

    /// A directory and those above it; one that is there stays as it is.
    pub(super) fn directory(&mut self, name: &str, mode: u32) -> Result {
        let name = inside(name);
        if name.is_empty() || self.known.contains(&name) {
            return Ok(());
        }
        self.parents(&name)?;
        self.entry(&name, DIRECTORY | mode, &[], (0, 0))
    }

    pub(super) fn file(&mut self, name: &str, mode: u32, bytes: &[u8]) -> Result {
        let name = inside(name);
        self.parents(&name)?;
        self.entry(&name, REGULAR | mode, bytes, (0, 0))
    }

    pub(super) fn link(&mut self, name: &str, target: &str) -> Result {
        let name = inside(name);
        self.parents(&name)?;
        self.entry(&name, LINK | 0o777, target.as_bytes(), (0, 0))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.known.contains(&inside(name))
    }

    /// A file of the host, links followed, executable where it is so there.
    pub(super) fn copy(&mut self, from: &Path, name: &str) -> Result {
        let told = |error: io::Error| format!("{}: {error}", from.display());
        let mode = fs::metadata(from).map_err(told)?.permissions().mode();
        let bytes = fs::read(from).map_err(told)?;
        self.file(name, if mode & 0o111 == 0 { 0o644 } else { 0o755 }, &bytes)
    }

    /// Everything below a directory of the host, links kept.
    pub(super) fn tree(&mut self, from: &Path, name: &str) -> Result {
        self.part_of_tree(from, name, |_| false)
    }

    /// The same without what is `left_out`.
    pub(super) fn part_of_tree(
        &mut self,
        from: &Path,
        name: &str,
        left_out: fn(&Path) -> bool,
    ) -> Result {
        let told = |error: io::Error| format!("{}: {error}", from.display());
        self.directory(name, 0o755)?;
        let entries = fs::read_dir(from).map_err(told)?.collect::<io::Result<Vec<_>>>();
        let mut entries = entries.map_err(told)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries.into_iter().filter(|entry| !left_out(&entry.path())) {
            let kind = entry.file_type().map_err(told)?;
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            if kind.is_dir() {
                self.part_of_tree(&entry.path(), &name, left_out)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path()).map_err(told)?;
                self.link(&name, &target.to_string_lossy())?;
            } else {
                self.copy(&entry.path(), &name)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<PathBuf> {
        self.entry("TRAILER!!!", 0, &[], (0, 0))?;
        let told = |error| format!("{}: {error}", self.path.display());
        self.out.flush().map_err(told)?;
        Ok(self.path)
    }

    fn parents(&mut self, name: &str) -> Result {
        match name.rsplit_once('/') {
            Some((parent, _)) => self.directory(parent, 0o755),
            None => Ok(()),
        }
    }

    /// The first of a name counts, as the image is read from its beginning.
    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8], device: (u32, u32)) -> Result {
        if !self.known.insert(name.to_owned()) {
            return Ok(());
        }
        self.inode += 1;
        let size = u32::try_from(bytes.len()).map_err(|_| format!("{name}: more than 4 GiB"))?;
        let name_size = u32::try_from(name.len() + 1).map_err(|error| error.to_string())?;
        let links = if mode & DIRECTORY == 0 { 1 } else { 2 };
        let fields =
            [self.inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0];
        let mut head = b"070701".to_vec();
        fields.iter().for_each(|field| head.extend(format!("{field:08x}").bytes()));
        head.extend(name.bytes());
        head.push(0);
        self.write(&head).and_then(|()| self.write(bytes))
    }

    /// The head with the name, and the bytes, each fill up units of four.
    fn write(&mut self, bytes: &[u8]) -> Result {
        let fill = bytes.len().next_multiple_of(4) - bytes.len();
        let written = self.out.write_all(bytes).and_then(|()| self.out.write_all(&[0; 3][..fill]));
        written.map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// The path in the image of a path in the machine.
fn inside(name: &str) -> String {
    let steps: Vec<&str> = name.split('/').filter(|step| !step.is_empty()).collect();
    let merged = steps.len() > 1 && MERGED.contains(&steps[0]);
    let path = steps.join("/");
    if merged { format!("usr/{path}") } else { path }
}
