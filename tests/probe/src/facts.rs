//! Who the program is: identity, capabilities, limits, namespaces.

use std::fs;
use std::io::{self, Write};
use std::time::Duration;

use crate::{Words, number, sys};

/// In the kernel's order (capabilities(7)).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

pub(crate) fn find(fact: &str, words: Words<'_>) -> Option<io::Result<()>> {
    Some(match fact {
        "hostname" => file("/proc/sys/kernel/hostname"),
        "domainname" => file("/proc/sys/kernel/domainname"),
        "id" => id(),
        "caps" => caps(),
        "status" => words.iter().try_for_each(|key| status(key)),
        "umask" => umask(),
        "rlimit" => rlimit(words),
        "args" => {
            words.iter().for_each(|word| println!("{word}"));
            Ok(())
        }
        "env" => {
            environment();
            Ok(())
        }
        "cwd" => std::env::current_dir().map(|path| println!("{}", path.display())),
        "pid" => {
            println!("{}", std::process::id());
            Ok(())
        }
        "ppid" => {
            println!("{}", std::os::unix::process::parent_id());
            Ok(())
        }
        "ns" => namespaces(words),
        "cgroup" => file("/proc/self/cgroup"),
        "oom" => file("/proc/self/oom_score_adj"),
        "processes" => processes(),
        "label" => label(),
        "keyring" => sys::session_keyring().map(|id| println!("{id}")),
        "alive" => number(words, 0).and_then(alive),
        "uptime" => file("/proc/uptime"),
        "echo" => {
            println!("{}", words.join(" "));
            Ok(())
        }
        "ready" => {
            println!("ready");
            Ok(())
        }
        "sleep" => {
            number(words, 0).map(|seconds| std::thread::sleep(Duration::from_secs_f64(seconds)))
        }
        "exit" => match number(words, 0) {
            Ok(code) => sys::exit(code),
            Err(error) => Err(error),
        },
        "copy" => io::copy(&mut io::stdin(), &mut io::stdout()).map(drop),
        _ => return None,
    })
}

fn file(path: &str) -> io::Result<()> {
    fs::read_to_string(path).map(|text| print!("{text}"))
}

/// `uid=0 gid=0 groups=0,5`: real ids; an effective id that differs is added.
fn id() -> io::Result<()> {
    let of = |key: &str| {
        status_value(key).map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    let show = |ids: Vec<String>| {
        let same = ids.iter().all(|id| *id == ids[0]);
        if same { ids[0].clone() } else { ids.join("/") }
    };
    println!(
        "uid={} gid={} groups={}",
        show(of("Uid")?),
        show(of("Gid")?),
        of("Groups")?.join(",")
    );
    Ok(())
}

/// The five sets, by name: `inheritable`, `permitted`, `effective`, `bounding`, `ambient`.
fn caps() -> io::Result<()> {
    let sets = [
        ("CapInh", "inheritable"),
        ("CapPrm", "permitted"),
        ("CapEff", "effective"),
        ("CapBnd", "bounding"),
        ("CapAmb", "ambient"),
    ];
    for (key, name) in sets {
        let bits = u64::from_str_radix(&status_value(key)?, 16).map_err(io::Error::other)?;
        let has = |(index, _): &(usize, &&str)| bits >> index & 1 == 1;
        let mut names: Vec<&str> =
            CAPABILITIES.iter().enumerate().filter(has).map(|(_, name)| *name).collect();
        names.sort_unstable();
        println!("{name}: {}", names.join(" "));
    }
    Ok(())
}

/// One line of /proc/self/status, as the kernel has it: `NoNewPrivs: 1`.
fn status(key: &str) -> io::Result<()> {
    status_value(key).map(|value| println!("{key}: {value}"))
}

pub(crate) fn status_value(key: &str) -> io::Result<String> {
    status_of("thread-self", key)
}

/// The same of another process.
pub(crate) fn status_of(process: &str, key: &str) -> io::Result<String> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value
        .map(|value| value.trim().to_owned())
        .ok_or_else(|| io::Error::other(format!("no line {key}")))
}

fn umask() -> io::Result<()> {
    status_value("Umask").map(|value| println!("{value}"))
}

/// `1024 4096` for a name as in /proc/self/limits: `open files`, `core file size`.
fn rlimit(words: Words<'_>) -> io::Result<()> {
    let name = format!("Max {}", words.join(" "));
    let text = fs::read_to_string("/proc/self/limits")?;
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    let line = line.ok_or_else(|| io::Error::other(format!("no limit {name}")))?;
    let values: Vec<&str> = line.split_whitespace().take(2).collect();
    println!("{}", values.join(" "));
    Ok(())
}

fn environment() {
    let mut lines: Vec<String> = std::env::vars_os()
        .map(|(key, value)| format!("{}={}", key.to_string_lossy(), value.to_string_lossy()))
        .collect();
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
}

/// The label or profile of this process.
fn label() -> io::Result<()> {
    let text = fs::read_to_string("/proc/thread-self/attr/current")?;
    println!("{}", text.trim_end_matches(['\0', '\n']));
    Ok(())
}

/// `mnt:[4026531840]` for each kind named, or for all.
fn namespaces(words: Words<'_>) -> io::Result<()> {
    let all = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"].map(str::to_owned);
    for kind in if words.is_empty() { &all[..] } else { words } {
        println!("{}", fs::read_link(format!("/proc/self/ns/{kind}"))?.display());
    }
    Ok(())
}

/// The PID namespace, and from when to when this process lived in it, in nanoseconds of
/// the monotonic clock: `pid:[4026531836] 17 23`.
fn alive(seconds: f64) -> io::Result<()> {
    print!("{} {} ", fs::read_link("/proc/self/ns/pid")?.display(), sys::monotonic()?);
    io::stdout().flush()?;
    std::thread::sleep(Duration::from_secs_f64(seconds));
    println!("{}", sys::monotonic()?);
    Ok(())
}

/// `PID STATE NAME` for each process in /proc.
fn processes() -> io::Result<()> {
    let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") "))
        else {
            continue;
        };
        println!("{pid} {} {name}", &rest[..1]);
    }
    Ok(())
}
