//! One run of a machine.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::host::command;
use super::kernel::Kernel;
use crate::Result;

/// The name of the port on which the machine tells its results.
const PORT: &str = "nsinit.result";
/// QEMU's status for the values that the guest writes to its exit device.
const DONE: i32 = 16 << 1 | 1;
const FAILED: i32 = 17 << 1 | 1;

/// A panic ends the machine at once. `cryptomgr.notests` and what follows save
/// seconds of a start under emulation; `norandmaps` saves three quarters of every
/// program's time: at another address the emulator has to translate it anew.
const WORDS: &str = "console=ttyS0 panic=-1 oops=panic loglevel=4 \
                     cryptomgr.notests tsc=reliable no_timer_check mitigations=off \
                     norandmaps init_on_alloc=0";

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Accelerator {
    Kvm,
    Tcg,
}

pub(super) struct Machine<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) image: &'a Path,
    pub(super) words: &'a str,
    pub(super) disk: &'a Path,
    pub(super) accelerator: Accelerator,
}

/// How a machine came to its end.
#[derive(Debug, PartialEq)]
pub(super) enum Ended {
    /// The guest says that it has done everything.
    Done,
    /// The guest could not do its work.
    GuestFailed,
    Panicked,
    /// Nothing was heard for so long.
    Silent(Duration),
    /// A power-off that nobody asked for, or QEMU failed.
    Otherwise(ExitStatus),
}

impl Machine<'_> {
    /// The command that starts it, with the console's output in `console`.
    pub(super) fn command(&self, console: &Path) -> Command {
        let mut command = command("qemu-system-x86_64");
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-machine", "q35", "-smp", "1", "-m", "1024"]);
        command.args(match self.accelerator {
            Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Accelerator::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        });
        command.arg("-kernel").arg(&self.kernel.file).arg("-initrd").arg(self.image);
        command.args(["-append", &format!("{WORDS} {}", self.words)]);
        command.arg("-serial").arg(format!("file:{}", console.display()));
        let disk = format!("file={},format=raw,if=virtio,snapshot=on", self.disk.display());
        command.args(["-drive", &disk, "-device", "virtio-serial-pci"]);
        command.args(["-chardev", "stdio,id=result,signal=off"]);
        command.args(["-device", &format!("virtserialport,chardev=result,name={PORT}")]);
        command.args(["-device", "isa-debug-exit,iobase=0x501,iosize=1"]);
        command
    }

    /// Runs it to its end; `heard` takes what comes through the port.
    pub(super) fn run(
        &self,
        directory: &Path,
        patience: Duration,
        mut heard: impl FnMut(&[u8]),
    ) -> Result<Ended> {
        let (console, errors) = (console(directory), directory.join("qemu.log"));
        drop(fs::remove_file(&console));
        let log =
            File::create(&errors).map_err(|error| format!("{}: {error}", errors.display()))?;
        let mut command = self.command(&console);
        // At an end of its input QEMU would take the port's other side for closed.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(|error| format!("qemu-system-x86_64: {error}"))?;
        let output = reader(&mut child);
        let mut silent = false;
        loop {
            match output.recv_timeout(patience) {
                Ok(bytes) => heard(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    silent = true;
                    break;
                }
            }
        }
        if silent {
            child.kill().map_err(|error| format!("qemu-system-x86_64: {error}"))?;
        }
        let status = child.wait().map_err(|error| format!("qemu-system-x86_64: {error}"))?;
        Ok(match status.code() {
            _ if silent => Ended::Silent(patience),
            Some(DONE) => Ended::Done,
            Some(FAILED) => Ended::GuestFailed,
            _ if panicked(&console) => Ended::Panicked,
            _ => Ended::Otherwise(status),
        })
    }
}

pub(super) fn console(directory: &Path) -> PathBuf {
    directory.join("console.log")
}

fn reader(child: &mut Child) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    let stdout = child.stdout.take();
    std::thread::spawn(move || {
        let Some(mut stdout) = stdout else { return };
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn panicked(console: &Path) -> bool {
    let bytes = fs::read(console).unwrap_or_default();
    String::from_utf8_lossy(&bytes).contains("Kernel panic")
}
