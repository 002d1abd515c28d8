//! Whatever a file holds: no panic, and an answer at once.

use std::fs::File;
use std::io::{Seek, Write};
use std::time::{Duration, Instant};

use nsinit_config::{ConfigFile, Container};

const SEED: &str = r#"{
  "rootfs": {"type": "tmpfs", "size": 67108864}, "hostname": "koye\u00e4\ud83d\ude00", "tty": true,
  "args": ["sh", "-c", "grüße"], "environment": ["A=b"], "user": "1:2", "umask": "0022",
  "namespaces": ["NEWNS", "NEWUTS", {"type": "NEWNET"}, "NEWUSER", "NEWTIME"],
  "uid_mappings": [{"container_id": 0, "host_id": 1000, "size": 1}],
  "gid_mappings": [{"container_id": 0, "host_id": 1000, "size": 1}],
  "time_offsets": {"monotonic": -1}, "capabilities_mask": ["NET_ADMIN", "CAP_MKNOD"],
  "rlimits": {"nofile": {"soft": 1024, "hard": "unlimited"}}, "sysctl": {"net.ipv4.ip_forward": "1"},
  "mounts": [{"source": "/srv", "destination": "/data", "options": ["nosuid"]},
             {"type": "tmpfs", "destination": "/tmp", "options": ["size=64m", "mode=1777"]},
             {"type": "file", "destination": "/etc/passwd", "content": "x", "mode": 420}],
  "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "access": "rw"}],
  "networks": [{"type": "veth", "context": {"bridge": "br0"}, "address": "10.0.0.2/24",
                "gateway": "10.0.0.1", "ipv6_address": "fd00::2/64", "mtu": 1500,
                "routes": [{"destination": "10.0.0.0/8", "gateway": "10.0.0.3"}]}, {"type": "loopback"}],
  "cgroups": {"name": "koye", "parent": "a/b", "memory": 5248000, "memory_swap": -1,
              "cpuset_cpus": "0-3,6", "unified": {"memory.low": "1"}}
}"#;

/// Marsaglia's xorshift: the same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).expect("below a usize")
    }
}

const PIECES: [&str; 28] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "\0",
    "null",
    "-1",
    "1e999",
    "0",
    "18446744073709551616",
    "/*",
    "//",
    "'",
    "\u{feff}",
    "\u{e9}",
    "..",
    "/",
    "\\u0000",
    "NaN",
    "\"\"",
    "[{}]",
    "4294967295",
];

fn mutate(text: &str, numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=numbers.below(3) {
        let start = numbers.below(bytes.len() + 1);
        let end = (start + numbers.below(12)).min(bytes.len());
        let piece = PIECES[numbers.below(PIECES.len())].as_bytes();
        match numbers.below(5) {
            0 => bytes.truncate(start),
            1 => drop(bytes.drain(start..end)),
            2 => drop(bytes.splice(start..start, piece.iter().copied())),
            3 => drop(bytes.splice(start..end, piece.iter().copied())),
            _ if start < bytes.len() => {
                bytes[start] = u8::try_from(numbers.below(256)).expect("a byte")
            }
            _ => {}
        }
    }
    bytes
}

/// Loads without a panic; a fault has a position, and a value comes back.
fn load(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Container::from_str(text, "c") {
        Ok(container) => {
            let again = Container::from_str(&container.to_json_pretty(), "again");
            assert_eq!(again.as_ref(), Ok(&container), "{text}");
        }
        Err(faults) => {
            assert!((1..=20).contains(&faults.len()), "{text}");
            assert!(faults.iter().all(|fault| fault.line.is_some() && fault.column.is_some()));
            assert!(!faults.to_string().contains("internal"), "{text}");
        }
    }
}

#[test]
fn the_seed_itself_is_only_wrong_in_its_hostname() {
    let faults = Container::from_str(SEED, "c").unwrap_err();
    assert_eq!(faults.len(), 1, "{faults}");
    assert_eq!(faults.iter().next().unwrap().path, "hostname");
}

#[test]
fn mutated_text_never_panics() {
    let good = SEED.replace("\\u00e4\\ud83d\\ude00", "");
    assert!(Container::from_str(&good, "c").is_ok());
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    // More rounds for a longer search: NSINIT_MUTATIONS=1000000.
    let rounds = std::env::var("NSINIT_MUTATIONS").ok().and_then(|text| text.parse().ok());
    for round in 0..rounds.unwrap_or(4000) {
        load(&mutate(if round % 2 == 0 { SEED } else { &good }, &mut numbers));
    }
}

#[test]
fn every_beginning_of_a_text_is_told_as_such() {
    for end in (0..SEED.len()).filter(|&end| SEED.is_char_boundary(end)).step_by(3) {
        assert!(Container::from_str(&SEED[..end], "c").is_err());
    }
}

#[test]
fn large_files_are_answered_soon() {
    let unknown = (0..10_000).map(|n| format!("\"k{n}\":0,")).collect::<String>();
    let duplicates = "\"tty\":true,".repeat(10_000);
    let mounts = r#"{"source":"/a","destination":"/b"},"#.repeat(5_000);
    let brackets = "[".repeat(400_000);
    let list = |key: &str, entry: &str, count: usize| {
        let entries: Vec<String> = (0..count).map(|n| entry.replace('N', &n.to_string())).collect();
        format!("{{\"hostnme\":\"a\",\"{key}\":[{}]}}", entries.join(","))
    };
    for text in [
        format!("{{{unknown}\"tty\":true}}"),
        format!("{{{duplicates}\"tty\":true}}"),
        format!("{{\"mounts\":[{}]}}", mounts.trim_end_matches(',')),
        format!("{{\"mounts\":{brackets}"),
        list("additional_groups", "\"N\"", 300_000),
        list("namespaces", "\"\\u004eEWIPC\"", 300_000),
        list("capabilities_add", "\"KILL\"", 300_000),
        list("environment", "\"AN=\"", 300_000),
        list("networks", r#"{"type":"veth","context":{"bridge":"b"},"name":"aN"}"#, 60_000),
        list("mounts", r#"{"type":"tmpfs","destination":"/N"}"#, 80_000),
        list("devices", r#"{"type":"p","path":"/N"}"#, 80_000),
        format!(
            r#"{{"mounts":[{{"type":"tmpfs","destination":"/a","options":[{}"x"]}}]}}"#,
            (0..300_000).map(|n| format!("\"o{n}\",")).collect::<String>()
        ),
        format!("{{\"hostname\":\"{}\"}}", "x".repeat(1 << 20)),
    ] {
        let started = Instant::now();
        let faults = Container::from_str(&text, "c").unwrap_err();
        assert!(faults.to_string().len() < 20_000);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

#[test]
fn bytes_that_are_not_utf8_are_told_as_what_they_are() {
    let cases: [(&[u8], &str); 4] = [
        (b"\xff\xfe{\0}\0", "is UTF-16, must be UTF-8"),
        (b"{\"hostname\":\"a\xffb\"}", "invalid UTF-8: byte 0xff at offset 14"),
        (b"{\n\"tty\":\xc3\x28}", "invalid UTF-8: byte 0xc3 at offset 8"),
        (b"\x80", "invalid UTF-8: byte 0x80 at offset 0"),
    ];
    for (bytes, words) in cases {
        let path = std::env::temp_dir().join(format!("nsinit-config-{}.json", std::process::id()));
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let faults = ConfigFile::read(file, "c").unwrap().parse().unwrap_err();
        assert!(faults.to_string().contains(words), "{faults}");
    }
}
