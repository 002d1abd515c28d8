//! nsinit with the other labeler: linked with libselinux, which comes from
//! locked packages; libclang, which reads its headers, has to be on the host.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cpio::Image;
use super::host;
use super::lock::Wanted;
use super::programs::{self, Link};
use crate::Result;
use crate::cargo::output;

pub(super) const PACKAGES: [Wanted; 5] = [
    Wanted { suite: "bookworm", name: "libpcre2-8-0" },
    Wanted { suite: "bookworm", name: "libpcre2-dev" },
    Wanted { suite: "bookworm", name: "libselinux1" },
    Wanted { suite: "bookworm", name: "libselinux1-dev" },
    Wanted { suite: "bookworm", name: "libsepol-dev" },
];

/// Where the machine has the libraries, apart from the host's.
const LIBRARIES: &str = "/opt/selinux";

/// Whether there is a libclang for bindgen to load.
pub(super) fn check() -> Result {
    let given = std::env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let usual = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"].map(PathBuf::from);
    let versions = entries(Path::new("/usr/lib")).filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("llvm-"))
    });
    let mut directories =
        given.into_iter().chain(usual).chain(versions.map(|path| path.join("lib")));
    let is_libclang = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.contains(".so") && (name.starts_with("libclang.") || name.starts_with("libclang-1"))
    };
    if directories.any(|directory| entries(&directory).any(is_libclang)) {
        Ok(())
    } else {
        Err("no libclang on this host, which the feature selinux is built with".to_owned())
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(std::result::Result::ok).map(|entry| entry.path())
}

/// Builds it; `tree` has the packages unpacked.
pub(super) fn build(tree: &Path, path: &Path) -> Result<PathBuf> {
    // libclang alone has no headers of the compiler, such as stddef.h.
    let headers = output(Command::new("cc").arg("-print-file-name=include"))?;
    let library = tree.join("usr/lib/x86_64-linux-gnu");
    // Symbolic links of development packages point into /lib.
    let runtime = tree.join("lib/x86_64-linux-gnu");
    programs::variant("selinux", Link::Shared(LIBRARIES), path, |command| {
        command.env("SELINUX_INCLUDE_DIR", tree.join("usr/include"));
        command.env("SELINUX_LIB_DIR", &library);
        command.env("LIBRARY_PATH", format!("{}:{}", library.display(), runtime.display()));
        command.env("BINDGEN_EXTRA_CLANG_ARGS", format!("-I{}", headers.trim()));
    })
}

pub(super) fn install(image: &mut Image, tree: &Path, nsinit: &Path) -> Result {
    for (directory, name) in [
        ("lib/x86_64-linux-gnu", "libselinux.so.1"),
        ("usr/lib/x86_64-linux-gnu", "libpcre2-8.so.0"),
    ] {
        image.copy(&tree.join(directory).join(name), &format!("{LIBRARIES}/{name}"))?;
    }
    host::libraries(image, nsinit)
}
