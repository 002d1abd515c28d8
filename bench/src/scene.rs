//! A root filesystem with the same container in nsinit's words and in OCI's.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::Result;
use crate::workloads::Workload;

/// The program in the container.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    True,
    /// Says that it runs, and ends when its input does.
    Hold,
}

impl Program {
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Program::True => &["/bin/true"],
            Program::Hold => &["/bin/sh", "-c", "echo; read line"],
        }
    }
}

/// What lies in the root filesystem besides.
#[derive(Clone, Copy)]
pub(crate) enum Filling {
    Nothing,
    /// One file of 16 MiB.
    Large,
    /// 100,000 files.
    Many,
}

/// Where nsinit's bridge is, and `ip`'s.
pub(crate) const BRIDGE: &str = "bench0";

/// Dropping it removes its directory.
pub(crate) struct Scene<'a> {
    directory: PathBuf,
    name: &'a str,
    workload: &'a Workload,
    /// The beginning of the names of all cgroups.
    cgroup: &'a str,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        stage: &Path,
        name: &'a str,
        workload: &'a Workload,
        cgroup: &'a str,
        filling: Filling,
    ) -> Result<Scene<'a>> {
        let scene = Scene { directory: stage.join(name), name, workload, cgroup };
        let furnished =
            scene.furnish().and_then(|()| fill(&scene.root().join("usr/share"), filling));
        furnished.map_err(|error| format!("{}: {error}", scene.directory.display()))?;
        Ok(scene)
    }

    /// The root filesystem, which is nsinit's directory too.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// What a rival calls its container.
    pub(crate) fn id(&self, rival: &str) -> String {
        format!("{}-{}", self.name, rival.replace([' ', ','], "-"))
    }

    /// Makes the directory with the rival's `config.json`.
    pub(crate) fn bundle(&self, rival: &str, program: Program) -> Result<PathBuf> {
        let id = self.id(rival);
        let kind = if program == Program::True { "true" } else { "hold" };
        let bundle = self.directory.join(format!("{id}-{kind}"));
        let write = || {
            fs::create_dir_all(&bundle)?;
            fs::write(bundle.join("config.json"), self.config(&id, program).to_string())
        };
        write().map_err(|error| format!("{}: {error}", bundle.display()))?;
        Ok(bundle)
    }

    /// Source on the host and destination inside.
    pub(crate) fn mounts(&self) -> impl Iterator<Item = (PathBuf, PathBuf)> {
        (0..self.workload.mounts).map(|number| {
            let volume = format!("volumes/{number}");
            (self.directory.join(&volume), Path::new("/").join(volume))
        })
    }

    fn furnish(&self) -> io::Result<()> {
        let root = self.root();
        for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "usr/share"] {
            fs::create_dir_all(root.join(name))?;
        }
        let mut places = ["/bin/busybox", "/usr/bin/busybox"].into_iter();
        let busybox = places.find(|path| Path::new(path).exists());
        let busybox =
            busybox.ok_or_else(|| io::Error::other("needs a static busybox (busybox-static)"))?;
        fs::copy(busybox, root.join("bin/busybox"))?;
        fs::set_permissions(root.join("bin/busybox"), fs::Permissions::from_mode(0o755))?;
        for name in ["true", "sh"] {
            symlink("busybox", root.join("bin").join(name))?;
        }
        // systemd-nspawn takes nothing else for a root filesystem.
        fs::write(root.join("etc/os-release"), "ID=bench\n")?;
        for (source, destination) in self.mounts() {
            fs::create_dir_all(source)?;
            fs::create_dir_all(root.join(destination.strip_prefix("/").unwrap_or(&destination)))?;
        }
        fs::write(root.join("container.json"), self.container().to_string())
    }

    fn container(&self) -> Value {
        let mut container = json!({
            "hostname": "bench",
            "namespaces": ["NEWNS", "NEWUTS", "NEWIPC", "NEWPID", "NEWNET"],
        });
        if self.workload.limits {
            container["cgroups"] = json!({
                "parent": format!("{}-nsinit", self.cgroup), "name": self.name, "memory": MEMORY,
                "pids_max": PROCESSES, "cpu_quota": QUOTA, "cpu_period": PERIOD,
            });
        }
        if self.workload.network {
            container["networks"] = json!([{
                "type": "veth", "context": {"bridge": BRIDGE, "prefix": "bench"},
                "address": "10.213.0.2/24", "gateway": "10.213.0.1",
            }]);
        }
        let mount = |(source, destination)| json!({"source": source, "destination": destination});
        container["mounts"] = self.mounts().map(mount).collect();
        container
    }

    /// What the configuration above and its defaults mean, in OCI's words.
    fn config(&self, id: &str, program: Program) -> Value {
        let kinds = ["mount", "uts", "ipc", "pid"].map(|kind| json!({"type": kind}));
        let network = match self.workload.network {
            true => json!({"type": "network", "path": "/run/netns/bench"}),
            false => json!({"type": "network"}),
        };
        let binds = self.mounts().map(|(source, destination)| {
            let options = ["rbind", "rslave", "nosuid", "nodev", "ro"];
            json!({"destination": destination, "type": "bind", "source": source, "options": options})
        });
        let mounts: Vec<Value> = default_mounts().into_iter().chain(binds).collect();
        let mut config = json!({
            "ociVersion": "1.0.2",
            "hostname": "bench",
            "root": {"path": self.root()},
            "process": {
                "args": program.words(),
                "cwd": "/",
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOME=/root", "LANG=C.UTF-8", "HOSTNAME=bench"],
                "user": {"uid": 0, "gid": 0},
                "noNewPrivileges": true,
                "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
            },
            "mounts": mounts,
            "linux": {
                "namespaces": kinds.into_iter().chain([network]).collect::<Vec<_>>(),
                "cgroupsPath": format!("/{}-{id}", self.cgroup),
                "maskedPaths": MASKED,
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
            },
        });
        if self.workload.limits {
            config["linux"]["resources"] = resources();
        }
        config
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        // The whole stage is removed at the end, and tells then.
        drop(fs::remove_dir_all(&self.directory));
    }
}

fn fill(directory: &Path, filling: Filling) -> io::Result<()> {
    match filling {
        Filling::Nothing => Ok(()),
        Filling::Large => fs::write(directory.join("large"), vec![1; 16 << 20]),
        Filling::Many => (0..100).try_for_each(|number| {
            let directory = directory.join(number.to_string());
            fs::create_dir(&directory)?;
            (0..1000).try_for_each(|number| fs::write(directory.join(number.to_string()), ""))
        }),
    }
}

const MEMORY: u64 = 256 << 20;
const PROCESSES: u64 = 100;
const QUOTA: u64 = 150_000;
const PERIOD: u64 = 100_000;

/// nsinit's limits, and the rules for devices that it adds.
fn resources() -> Value {
    let mut memory = json!({"limit": MEMORY, "reservation": MEMORY});
    // nsinit limits swap where the kernel accounts it.
    if Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists() {
        memory["swap"] = json!(2 * MEMORY);
    }
    let allow = |(major, minor): (u32, Option<u32>)| {
        let mut rule = json!({"allow": true, "type": "c", "major": major, "access": "rwm"});
        if let Some(minor) = minor {
            rule["minor"] = json!(minor);
        }
        rule
    };
    let nodes = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)];
    let nodes = nodes.map(|(major, minor)| (major, Some(minor))).into_iter().chain([(136, None)]);
    let devices: Vec<Value> =
        [json!({"allow": false, "access": "rwm"})].into_iter().chain(nodes.map(allow)).collect();
    json!({
        "memory": memory,
        "pids": {"limit": PROCESSES},
        "cpu": {"quota": QUOTA, "period": PERIOD},
        "devices": devices,
    })
}

fn default_mounts() -> [Value; 6] {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": source, "options": options});
    let plain = ["nosuid", "noexec", "nodev"];
    [
        mount("/proc", "proc", "proc", &plain),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "mode=755", "size=1m", "nr_inodes=1k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
        mount("/dev/mqueue", "mqueue", "mqueue", &plain),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ]
}

/// nsinit's default set.
const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
];

/// The paths that nsinit masks.
const MASKED: [&str; 27] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/dynamic_debug",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/mtrr",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
    "/sys/fs/bpf",
    "/sys/fs/selinux",
    "/sys/power",
];
