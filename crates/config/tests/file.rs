//! One open, and only of a regular file.

use std::path::PathBuf;
use std::{fs, io};

use nsinit_config::{Container, Error, MAX_FILE_SIZE};

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("nsinit-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Directory(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_missing_file_is_told_with_its_kind() {
    let error = Container::load("/nonexistent/container.json").unwrap_err();
    match &error {
        Error::Read { source, .. } => assert_eq!(source.kind(), io::ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
    let text = error.to_string();
    assert_eq!(text, "/nonexistent/container.json: No such file or directory");
}

#[test]
fn only_regular_files_are_read() {
    let directory = Directory::new("kinds");
    let fifo = directory.path("fifo");
    let made = rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into());
    made.unwrap();
    let socket = directory.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, words) in [
        (fifo, "is a named pipe"),
        (directory.path(""), "is a directory"),
        (PathBuf::from("/dev/zero"), "is a device"),
        (socket, "is a socket"),
    ] {
        let error = Container::load(&path).unwrap_err();
        assert!(matches!(error, Error::NotAFile { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let directory = Directory::new("large");
    let path = directory.path("container.json");
    let file = fs::File::create(&path).unwrap();
    file.set_len(64 << 20).unwrap();
    let error = Container::load(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: is larger than 4 MiB, which is the limit", path.display())
    );
    let size = usize::try_from(MAX_FILE_SIZE).unwrap();
    fs::write(&path, format!("{{}}{}", " ".repeat(size - 2))).unwrap();
    assert_eq!(Container::load(&path).unwrap(), Container::default());
}

#[test]
fn faults_name_the_file() {
    let directory = Directory::new("name");
    let path = directory.path("container.json");
    fs::write(&path, "{\"tty\": 1}").unwrap();
    let text = Container::load(&path).unwrap_err().to_string();
    assert!(text.starts_with(&format!("{}:1:9: tty: must be", path.display())), "{text}");
}
