//! Parent: real pseudo terminals, real processes, one thread that relays.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use rustix::time::{ClockId, clock_gettime};

use super::relay::End;
use super::*;

const MEBIBYTE: usize = 1 << 20;

struct Pty {
    master: OwnedFd,
    slave: OwnedFd,
}

fn pty() -> Pty {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
    Pty { master, slave }
}

/// A pty that passes every byte on as it is.
fn raw_pty() -> Pty {
    let pty = pty();
    let mut attributes = tcgetattr(&pty.slave).unwrap();
    attributes.make_raw();
    tcsetattr(&pty.slave, OptionalActions::Now, &attributes).unwrap();
    pty
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).unwrap()
}

/// A program that stands for the container's init, with the slave as its descriptors.
fn program(script: &str, slave: &OwnedFd) -> Child {
    let end = || Stdio::from(slave.try_clone().unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(end()).stdout(end()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Relays until `child` has ended; returns what it ended with.
fn run(
    child: &mut Child,
    (user_in, user_out): (&OwnedFd, &OwnedFd),
    pty: Pty,
    forward: impl FnMut(Signal),
) -> (End, Option<i32>) {
    let init = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    let signals = Signals::block().unwrap();
    let Pty { master, slave } = pty;
    drop(slave);
    let terminal = Some(Terminal::connect(user_in.as_fd(), user_out.as_fd(), master).unwrap());
    let end =
        relay(RelayEnds { init: init.as_fd(), terminal, signals: &signals }, forward).unwrap();
    (end, child.wait().unwrap().code())
}

fn numbered_bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 31 + n / 251) as u8).collect()
}

fn read_slowly(from: OwnedFd, pause: Duration) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let (mut all, mut piece) = (Vec::new(), vec![0; 32 << 10]);
        let mut from = File::from(from);
        loop {
            match from.read(&mut piece).unwrap() {
                0 => return all,
                count => all.extend_from_slice(&piece[..count]),
            }
            thread::sleep(pause);
        }
    })
}

/// What `script` writes to its terminal, as a reader with pauses gets it.
fn output_of(script: &str, pty: Pty, pause: Duration) -> (Vec<u8>, Option<i32>) {
    let (user_in, _no_input) = pipe();
    let (reader, user_out) = pipe();
    let reader = read_slowly(reader, pause);
    let mut child = program(script, &pty.slave);
    let (end, code) = run(&mut child, (&user_in, &user_out), pty, |_| ());
    assert_eq!(end, End::default());
    drop(user_out);
    (reader.join().unwrap(), code)
}

/// What `script` does with `input` in its terminal; the output goes to nobody.
fn feed(script: &str, pty: Pty, input: Vec<u8>) -> Option<i32> {
    let (user_in, mut writer) = {
        let (reader, writer) = pipe();
        (reader, File::from(writer))
    };
    let user_out = OwnedFd::from(File::create("/dev/null").unwrap());
    let writer = thread::spawn(move || writer.write_all(&input));
    let mut child = program(script, &pty.slave);
    let (_, code) = run(&mut child, (&user_in, &user_out), pty, |_| ());
    drop(user_in);
    let _ = writer.join().unwrap();
    code
}

struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("nsinit-{name}-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn output_arrives_whole() {
    let (file, bytes) = (Scratch::new("output"), numbered_bytes(MEBIBYTE));
    std::fs::write(&file.0, &bytes).unwrap();
    let script = format!("cat {}; exit 3", file.0.display());
    let (output, code) = output_of(&script, raw_pty(), Duration::ZERO);
    assert!(output == bytes, "{} of {} bytes, or others", output.len(), bytes.len());
    assert_eq!(code, Some(3));
}

#[test]
fn output_to_a_slow_reader_arrives_whole() {
    let (file, bytes) = (Scratch::new("slow"), numbered_bytes(MEBIBYTE / 2));
    std::fs::write(&file.0, &bytes).unwrap();
    let script = format!("cat {}", file.0.display());
    let (output, code) = output_of(&script, raw_pty(), Duration::from_millis(20));
    assert!(output == bytes, "{} of {} bytes, or others", output.len(), bytes.len());
    assert_eq!(code, Some(0));
}

#[test]
fn input_arrives_whole() {
    let (file, bytes) = (Scratch::new("input"), numbered_bytes(MEBIBYTE));
    let script = format!("head -c {MEBIBYTE} > {}", file.0.display());
    assert_eq!(feed(&script, raw_pty(), bytes.clone()), Some(0));
    assert!(std::fs::read(&file.0).unwrap() == bytes);
}

#[test]
fn end_of_input_is_end_of_file_for_a_program_that_reads_lines() {
    for input in ["", "one line\n", "one line\nand an unfinished one"] {
        let file = Scratch::new("eof");
        let script = format!("cat > {}; exit 5", file.0.display());
        assert_eq!(feed(&script, pty(), input.into()), Some(5), "{input:?}");
        assert_eq!(std::fs::read_to_string(&file.0).unwrap(), input);
    }
}

#[test]
fn a_terminal_may_be_closed_and_opened_again() {
    let pty = pty();
    let name = rustix::pty::ptsname(&pty.master, Vec::new()).unwrap().into_string().unwrap();
    let script = format!("echo early; exec <&- >&- 2>&-; sleep 0.1; echo late > {name}; exec true");
    let (output, code) = output_of(&script, pty, Duration::ZERO);
    assert_eq!((output.as_slice(), code), (b"early\r\nlate\r\n".as_slice(), Some(0)));
}

#[test]
fn a_survivor_that_writes_for_ever_does_not_keep_the_relay() {
    let pty = pty();
    let (output, code) = output_of("trap '' HUP; yes & echo $!; exit 4", pty, Duration::ZERO);
    assert_eq!(code, Some(4));
    assert!(!output.is_empty());
}

#[test]
fn a_reader_that_has_gone_hangs_the_terminal_up() {
    let (user_in, _no_input) = pipe();
    let (reader, user_out) = pipe();
    drop(reader);
    let pty = pty();
    let mut child = program("trap '' HUP PIPE; while echo x; do :; done; exit 7", &pty.slave);
    let (end, code) = run(&mut child, (&user_in, &user_out), pty, |_| ());
    assert_eq!((end, code), (End::default(), Some(7)));
}

#[test]
fn a_full_disk_is_told() {
    let Ok(full) = File::options().write(true).open("/dev/full") else {
        panic!("/dev/full is missing");
    };
    let (user_in, _no_input) = pipe();
    let pty = pty();
    let mut child = program("trap '' HUP; echo x; read -r line; exit 8", &pty.slave);
    let (end, code) = run(&mut child, (&user_in, &full.into()), pty, |_| ());
    assert_eq!((end.lost_output, code), (Some(Errno::NOSPC), Some(8)));
}

#[test]
fn waiting_costs_nothing_when_nobody_is_at_the_other_ends() {
    let (user_in, writer) = pipe();
    let (reader, user_out) = pipe();
    drop((writer, reader));
    let pty = pty();
    let mut child = program("echo x; sleep 0.4", &pty.slave);
    let before = clock_gettime(ClockId::ThreadCPUTime);
    run(&mut child, (&user_in, &user_out), pty, |_| ());
    let used = clock_gettime(ClockId::ThreadCPUTime) - before;
    assert!(used.tv_sec == 0 && used.tv_nsec < 100_000_000, "{used:?}");
}

#[test]
fn a_signal_ends_the_delivery_to_a_reader_that_does_not_read() {
    let (user_in, _no_input) = pipe();
    let (_reader, user_out) = pipe();
    let pty = raw_pty();
    let mut child = program("head -c 100000 /dev/zero", &pty.slave);
    let relaying = sys::this_thread();
    let main = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        sys::signal_thread(relaying, Signal::TERM);
    });
    let started = Instant::now();
    let (_, code) = run(&mut child, (&user_in, &user_out), pty, |_| ());
    assert_eq!(code, Some(0));
    assert!(started.elapsed() > Duration::from_millis(700), "without patience");
    main.join().unwrap();
}

#[test]
fn sizes_are_copied_at_the_start_and_on_sigwinch() {
    let users = pty();
    let size =
        |rows, columns| Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&users.slave, size(50, 132)).unwrap();
    let pty = pty();
    let file = Scratch::new("size");
    let script = format!(
        "until [ \"$(stty size)\" = '50 132' ]; do :; done; stty size > {0}
         until [ \"$(stty size)\" != '50 132' ]; do :; done; stty size >> {0}
         until [ \"$(stty size)\" = '65535 65535' ]; do :; done; stty size >> {0}",
        file.0.display()
    );
    let mut child = program(&script, &pty.slave);
    let relaying = sys::this_thread();
    let resizer = {
        let (users, file) = (users.slave.try_clone().unwrap(), file.0.clone());
        thread::spawn(move || {
            for (lines, size) in [(1, size(0, 0)), (2, size(65535, 65535))] {
                while std::fs::read_to_string(&file).unwrap().lines().count() < lines {
                    thread::sleep(Duration::from_millis(5));
                }
                tcsetwinsize(&users, size).unwrap();
                sys::signal_thread(relaying, Signal::WINCH);
            }
        })
    };
    let mut others = Vec::new();
    let (_, code) =
        run(&mut child, (&users.slave, &users.slave), pty, |signal| others.push(signal));
    resizer.join().unwrap();
    assert_eq!((code, others), (Some(0), Vec::new()));
    assert_eq!(std::fs::read_to_string(&file.0).unwrap(), "50 132\n0 0\n65535 65535\n");
}

fn modes(attributes: &Termios) -> [u32; 4] {
    [
        attributes.input_modes.bits(),
        attributes.output_modes.bits(),
        attributes.control_modes.bits(),
        attributes.local_modes.bits(),
    ]
}

#[test]
fn the_users_terminal_is_raw_while_the_program_runs_and_as_before_afterwards() {
    let users = pty();
    let before = tcgetattr(&users.slave).unwrap();
    let pty = pty();
    let mut child = program("read -r line; [ \"$line\" = hello ]", &pty.slave);
    let user = {
        let (keys, screen) = (users.master.try_clone().unwrap(), users.slave.try_clone().unwrap());
        thread::spawn(move || {
            while tcgetattr(&screen).unwrap().local_modes.contains(LocalModes::ICANON) {
                thread::sleep(Duration::from_millis(5));
            }
            rustix::io::write(&keys, b"hello\r").unwrap();
        })
    };
    let (_, code) = run(&mut child, (&users.slave, &users.slave), pty, |_| ());
    user.join().unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(modes(&tcgetattr(&users.slave).unwrap()), modes(&before));
}

#[test]
fn special_characters_and_utf8_come_from_the_users_terminal_but_modes_do_not() {
    let (users, containers) = (raw_pty(), pty());
    let mut attributes = tcgetattr(&users.slave).unwrap();
    attributes.special_codes[SpecialCodeIndex::VERASE] = 8;
    attributes.input_modes |= InputModes::IUTF8;
    tcsetattr(&users.slave, OptionalActions::Now, &attributes).unwrap();
    let (user, master) = (users.slave.as_fd(), containers.master);
    let terminal = Terminal::connect(user, user, master).unwrap();
    let copied = tcgetattr(terminal.slave.as_ref().unwrap()).unwrap();
    assert_eq!(copied.special_codes[SpecialCodeIndex::VERASE], 8);
    assert!(copied.input_modes.contains(InputModes::IUTF8));
    assert!(copied.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO));
}

#[test]
fn the_flags_of_the_users_descriptors_stay_as_they_are() {
    let (users, containers) = (pty(), pty());
    let user = users.slave.as_fd();
    let before = rustix::fs::fcntl_getfl(user).unwrap();
    let terminal = Terminal::connect(user, user, containers.master).unwrap();
    assert!(rustix::fs::fcntl_getfl(&terminal.user_in).unwrap().contains(OFlags::NONBLOCK));
    assert_eq!(rustix::fs::fcntl_getfl(user).unwrap(), before);
}

#[test]
fn without_a_terminal_signals_are_forwarded_and_the_end_is_seen() {
    let mut child = Command::new("sh").args(["-c", "sleep 5 & wait"]).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let init = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let signals = Signals::block().unwrap();
    sys::raise(libc::SIGRTMIN() + 3);
    sys::raise(libc::SIGWINCH);
    sys::raise(libc::SIGTERM);
    let mut seen = Vec::new();
    let ends = RelayEnds { init: init.as_fd(), terminal: None, signals: &signals };
    relay(ends, |signal| {
        seen.push(signal.as_raw());
        if signal == Signal::TERM {
            rustix::process::kill_process(pid, signal).unwrap();
        }
    })
    .unwrap();
    seen.sort_unstable();
    assert_eq!(seen, [libc::SIGTERM, libc::SIGWINCH, libc::SIGRTMIN() + 3]);
    assert!(!child.wait().unwrap().success());
}

#[test]
fn the_signal_mask_is_as_before_afterwards() {
    let blocked = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().find(|line| line.starts_with("SigBlk")).unwrap().to_owned()
    };
    let before = blocked();
    let signals = Signals::block().unwrap();
    assert_ne!(blocked(), before);
    drop(signals);
    assert_eq!(blocked(), before);
}
