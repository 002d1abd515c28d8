//! What is measured: the workload and the runtimes, as data.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// What every runtime of a comparison does.
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) words: &'static str,
    pub(super) subject: Rival,
}

/// A runtime and how it is asked for the workload. In `arguments`, `{root}`
/// is the root filesystem, `{bundle}` a directory with an equivalent OCI
/// `config.json`, `{state}` an empty directory, `{program}` the program and
/// its arguments.
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    pub(super) arguments: &'static [&'static str],
}

/// The program in the container.
#[derive(Clone, Copy)]
pub(super) enum Program {
    True,
    Sleep,
}

impl Program {
    fn words(self) -> &'static [&'static str] {
        match self {
            Program::True => &["/bin/true"],
            Program::Sleep => &["/bin/sleep", "1"],
        }
    }
}

pub(super) const WORKLOAD: Workload = Workload {
    name: "true",
    words: "start to end of a static `true`, five namespaces, no cgroup, no network",
    subject: Rival {
        name: "nsinit",
        program: "{nsinit}",
        arguments: &["exec", "--quiet", "{program}"],
    },
};

pub(super) const RIVALS: [Rival; 5] = [
    Rival {
        name: "crun",
        program: "crun",
        arguments: &[
            "--cgroup-manager=disabled",
            "--root={state}",
            "run",
            "--bundle={bundle}",
            "bench",
        ],
    },
    Rival {
        name: "runc",
        program: "runc",
        arguments: &["--root={state}", "run", "--bundle={bundle}", "bench"],
    },
    Rival {
        name: "youki",
        program: "youki",
        arguments: &["--root={state}", "run", "--bundle={bundle}", "bench"],
    },
    Rival {
        name: "bwrap",
        program: "bwrap",
        arguments: &[
            "--unshare-uts",
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-net",
            "--bind",
            "{root}",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--cap-drop",
            "ALL",
            "{program}",
        ],
    },
    Rival {
        name: "unshare",
        program: "unshare",
        arguments: &[
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--net",
            "--fork",
            "--root={root}",
            "--mount-proc",
            "{program}",
        ],
    },
];

impl Rival {
    pub(super) fn is_installed(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|directory| directory.join(self.program).is_file())
    }
}

/// The directory that the comparison happens in: removed at its end.
pub(super) struct Stage {
    directory: PathBuf,
    nsinit: PathBuf,
}

impl Stage {
    pub(super) fn new(nsinit: &Path) -> Result<Stage> {
        let directory = std::env::temp_dir().join(format!("nsinit-bench-{}", std::process::id()));
        let stage = Stage { nsinit: nsinit.to_owned(), directory };
        stage.furnish().map_err(|error| format!("{}: {error}", stage.directory.display()))?;
        Ok(stage)
    }

    fn furnish(&self) -> std::io::Result<()> {
        let root = self.directory.join("root");
        for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "usr/bin"] {
            fs::create_dir_all(root.join(name))?;
        }
        let busybox =
            ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        let busybox = busybox
            .ok_or_else(|| std::io::Error::other("needs a static busybox (busybox-static)"))?;
        fs::copy(busybox, root.join("bin/busybox"))?;
        fs::set_permissions(root.join("bin/busybox"), fs::Permissions::from_mode(0o755))?;
        symlink("busybox", root.join("bin/true"))?;
        symlink("busybox", root.join("bin/sleep"))?;
        fs::write(root.join("container.json"), CONTAINER)?;
        fs::create_dir_all(self.directory.join("state"))?;
        for (program, name) in [(Program::True, "true"), (Program::Sleep, "sleep")] {
            let bundle = self.directory.join(name);
            fs::create_dir_all(&bundle)?;
            let words: Vec<String> =
                program.words().iter().map(|word| format!("{word:?}")).collect();
            let config = CONFIG
                .replace("ROOT", &root.to_string_lossy())
                .replace("ARGS", &words.join(", "))
                .replace("CAPS", CAPABILITIES);
            fs::write(bundle.join("config.json"), config)?;
        }
        Ok(())
    }

    pub(super) fn command(&self, rival: &Rival, program: Program) -> Command {
        let root = self.directory.join("root");
        let bundle = self.directory.join(match program {
            Program::True => "true",
            Program::Sleep => "sleep",
        });
        let fill = |text: &str| {
            text.replace("{root}", &root.to_string_lossy())
                .replace("{bundle}", &bundle.to_string_lossy())
                .replace("{state}", &self.directory.join("state").to_string_lossy())
                .replace("{nsinit}", &self.nsinit.to_string_lossy())
        };
        let mut command = Command::new(fill(rival.program));
        command.current_dir(&root);
        for argument in rival.arguments {
            match *argument {
                "{program}" => command.args(program.words()),
                other => command.arg(fill(other)),
            };
        }
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("bench: {}: {error}", self.directory.display());
        }
    }
}

const CONTAINER: &str = r#"{
  "hostname": "bench",
  "namespaces": ["NEWNS", "NEWUTS", "NEWIPC", "NEWPID", "NEWNET"]
}
"#;

/// The default set of the container above.
const CAPABILITIES: &str = r#""CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL""#;

/// What the configuration above and its defaults mean, in OCI's words.
const CONFIG: &str = r#"{
  "ociVersion": "1.0.2",
  "hostname": "bench",
  "root": {"path": "ROOT"},
  "process": {
    "args": [ARGS],
    "cwd": "/",
    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "user": {"uid": 0, "gid": 0},
    "noNewPrivileges": true,
    "capabilities": {"bounding": [CAPS], "effective": [CAPS], "permitted": [CAPS]}
  },
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
     "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
  ],
  "linux": {
    "namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "ipc"}, {"type": "pid"}, {"type": "network"}],
    "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/keys",
      "/proc/kmsg", "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags", "/proc/latency_stats", "/proc/mtrr",
      "/proc/sched_debug", "/proc/scsi", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats",
      "/proc/vmallocinfo", "/sys/firmware", "/sys/devices/virtual/powercap", "/sys/kernel/debug",
      "/sys/kernel/security", "/sys/kernel/tracing", "/sys/fs/bpf", "/sys/fs/selinux", "/sys/power"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"]
  }
}
"#;
