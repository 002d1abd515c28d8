//! Parent: read a small file whose length and type nobody vouches for.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// No file that is read here is larger: /etc/passwd, /etc/subuid, procfs.
const LIMIT: u64 = 1 << 20;

/// The text of a regular file of at most 1 MiB, bytes that are no UTF-8
/// replaced. A fifo or a device is not waited for and not read.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    // Files of /proc have no size: with room for a page they are read at once.
    let mut bytes = Vec::with_capacity(4096);
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_bounded_length_are_read() {
        assert!(read(Path::new("/proc/self/status")).unwrap().contains("Pid:"));
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err().to_string(), "not a regular file");
        assert_eq!(read(Path::new("/etc")).unwrap_err().to_string(), "not a regular file");
        let large = std::env::temp_dir().join(format!("nsinit-large-{}", std::process::id()));
        let file = std::fs::File::create(&large).unwrap();
        file.set_len(LIMIT + 1).unwrap();
        assert_eq!(read(&large).unwrap_err().to_string(), "larger than 1 MiB");
        file.set_len(LIMIT).unwrap();
        assert_eq!(read(&large).unwrap().len() as u64, LIMIT);
        std::fs::remove_file(large).unwrap();
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let fifo = std::env::temp_dir().join(format!("nsinit-fifo-{}", std::process::id()));
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let answer = read(&fifo).unwrap_err().to_string();
        std::fs::remove_file(fifo).unwrap();
        assert_eq!(answer, "not a regular file");
    }
}
