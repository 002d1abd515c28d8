//! Parent: the user's terminal in raw mode, and back on every way out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, Once, PoisonError};

use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::sys;

/// What a panic has to restore: with `panic = "abort"` nothing is dropped.
static IN_RAW_MODE: Mutex<Option<Arc<Saved>>> = Mutex::new(None);

static PANIC_HOOK: Once = Once::new();

#[derive(Debug)]
struct Saved {
    terminal: OwnedFd,
    attributes: Termios,
}

impl Saved {
    /// Puts the attributes back, also from the background, where tcsetattr
    /// would stop the process by SIGTTOU if that were not blocked (termios(3)).
    fn restore(&self) {
        let mut mask = sys::Mask::empty();
        mask.insert(libc::SIGTTOU);
        let before = sys::block(&mask);
        // A terminal that has been hung up has no attributes to restore.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.attributes);
        if let Ok(before) = before {
            let _ = sys::set_mask(&before);
        }
    }
}

/// A terminal in raw mode (cfmakeraw(3)): every key goes to the container.
/// Dropping it restores the attributes of before.
#[derive(Debug)]
pub(super) struct RawMode {
    saved: Arc<Saved>,
}

impl RawMode {
    /// Saves the attributes and sets raw mode; `None` where `fd` is no terminal,
    /// or one that has been hung up or that an orphaned process group may not change.
    ///
    /// In a background process group this stops the process until it is in the
    /// foreground, as it does to every program that sets the terminal's modes.
    pub(super) fn enter(fd: BorrowedFd<'_>) -> io::Result<Option<RawMode>> {
        if !rustix::termios::isatty(fd) {
            return Ok(None);
        }
        let attributes = match tcgetattr(fd) {
            Err(Errno::NOTTY | Errno::IO) => return Ok(None),
            other => other?,
        };
        let terminal = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
        PANIC_HOOK.call_once(restore_on_panic);
        let raw = RawMode { saved: Arc::new(Saved { terminal, attributes }) };
        *in_raw_mode() = Some(Arc::clone(&raw.saved));
        match raw.set() {
            Err(Errno::IO) => Ok(None),
            other => Ok(other.map(|()| Some(raw))?),
        }
    }

    /// Sets raw mode, again after [`RawMode::restore`] or after whatever the
    /// shell did to the terminal while this process was stopped.
    pub(super) fn set(&self) -> Result<(), Errno> {
        let mut raw = self.saved.attributes.clone();
        raw.make_raw();
        loop {
            match tcsetattr(&self.saved.terminal, OptionalActions::Now, &raw) {
                Err(Errno::INTR) => (),
                other => return other,
            }
        }
    }

    /// Puts the attributes of before back, for the time until the next [`RawMode::set`].
    pub(super) fn restore(&self) {
        self.saved.restore();
    }
}

impl AsFd for RawMode {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.saved.terminal.as_fd()
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.restore();
        in_raw_mode().take_if(|saved| Arc::ptr_eq(saved, &self.saved));
    }
}

fn in_raw_mode() -> std::sync::MutexGuard<'static, Option<Arc<Saved>>> {
    IN_RAW_MODE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a panic restore a terminal in raw mode before its message is printed.
fn restore_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Not `lock`: the panic may have happened with the lock held.
        if let Ok(Some(saved)) = IN_RAW_MODE.try_lock().as_deref() {
            saved.restore();
        }
        print(panic);
    }));
}
