//! Parent: scopes of a real systemd, which runs in namespaces of its own.
//!
//! As root the test starts `systemd --user` with its D-Bus socket in new mount,
//! pid and cgroup namespaces, once for root and once for another user, and runs
//! itself again inside as that user. For root both buses are that one: the
//! interface is the same. Nothing of the host's own systemd, if there is one, is
//! touched. With `cargo test` it needs `-- --nocapture` to show what was skipped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nsinit_cgroups::{Cgroup, Error, Hierarchies, Limits, Scope};
use rustix::process::Pid;

const SYSTEMD: &str = "/lib/systemd/systemd";

/// `$1` the cgroup, `$2` the user, `$3` this program.
const OUTSIDE: &str = r#"
echo $$ > "$1/cgroup.procs" && exec timeout -k 2 60 unshare -mpfC --kill-child sh -ec "$INSIDE" sh "$2" "$3"
"#;

/// What systemd wants to see of a host, and a part of the tree that is the user's.
const INSIDE: &str = r#"
mount --make-rprivate /
mount -t proc proc /proc
umount -R -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
dir=/run/user/$1
mkdir -p /run/systemd/system $dir/config
cp "$2" $dir/test
chown -R $1:$1 $dir
cd /sys/fs/cgroup
mkdir launcher; echo $$ > launcher/cgroup.procs
mkdir -p manager/boot
for name in $(cat cgroup.controllers); do
    echo +$name > cgroup.subtree_control
    echo +$name > manager/cgroup.subtree_control
done
chown -R $1 manager
echo $$ > manager/boot/cgroup.procs
export XDG_RUNTIME_DIR=$dir XDG_CONFIG_HOME=$dir/config HOME=$dir
export DBUS_SESSION_BUS_ADDRESS=unix:path=$dir/bus DBUS_SYSTEM_BUS_ADDRESS=unix:path=$dir/bus
exec setpriv --reuid $1 --regid $1 --clear-groups --inh-caps=-all sh -ec '
cd /
/lib/systemd/systemd --user --unit=dbus.socket > $HOME/log 2>&1 &
tries=0
until busctl --user status org.freedesktop.systemd1 > /dev/null 2>&1; do
    tries=$((tries + 1)); test $tries -lt 100 || { cat $HOME/log; exit 3; }
    sleep 0.1
done
$HOME/test --exact inside --ignored --nocapture' 
"#;

#[test]
fn scopes_of_root() {
    in_a_host_with_systemd("0");
}

#[test]
fn scopes_of_another_user() {
    in_a_host_with_systemd("65534");
}

fn in_a_host_with_systemd(user: &str) {
    let hierarchies = Hierarchies::detect();
    let unified = hierarchies.v2().filter(|h| !h.read_only).map(|h| h.mount_point.clone());
    let units = Path::new("/usr/lib/systemd/user/dbus.socket");
    let installed = Path::new(SYSTEMD).exists() && units.exists();
    let (true, true, Some(unified)) = (rustix::process::geteuid().is_root(), installed, unified)
    else {
        return oracle::skip("root, a cgroup v2 tree, systemd and its dbus.socket for users");
    };
    let top = unified.join(format!("nsinit-test-{}-systemd-{user}", std::process::id()));
    std::fs::create_dir(&top).expect("make a cgroup");
    let mut outside = Command::new("sh");
    outside.args(["-ec", OUTSIDE, "sh"]).arg(&top).arg(user);
    outside.arg(std::env::current_exe().expect("own path")).env("INSIDE", INSIDE);
    let output = outside.output();
    remove(&top);
    let output = output.expect("sh");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{errors}");
    println!("{text}");
}

/// The innermost first; everything in it ended with the pid namespace.
fn remove(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    for _ in 0..100 {
        match std::fs::remove_dir(directory) {
            Err(e) if e.kind() == std::io::ErrorKind::ResourceBusy => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            _ => break,
        }
    }
}

#[test]
#[ignore = "run by the others, inside"]
fn inside() {
    let properties = [("Slice", "machine-test.slice"), ("TimeoutStopUSec", "5000000")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let scope = Scope::new("nsinit/web", &properties).expect("scope");
    assert_eq!(scope.unit(), "nsinit-web.scope");
    let available = Hierarchies::detect().v2().expect("v2").has("pids");
    let limits = Limits { pids: available.then_some(9), ..Limits::NONE };
    let (mut init, pid) = sleeper();

    let cgroup = Cgroup::create_by_systemd(&scope, &limits, pid).expect("systemd makes it");
    let leaf: PathBuf = cgroup.paths().remove(0);
    let end = "machine.slice/machine-test.slice/nsinit-web.scope/container";
    assert!(leaf.ends_with(end), "{}", leaf.display());
    assert_eq!(cgroup.processes().expect("processes"), [init.id()]);
    if available {
        assert_eq!(std::fs::read_to_string(leaf.join("pids.max")).expect("limit").trim(), "9");
    }
    for line in ["Delegate=yes", "Slice=machine-test.slice", "TimeoutStopUSec=5s"] {
        assert!(show(&scope).lines().any(|found| found == line), "{line}: {}", show(&scope));
    }

    // Its name is taken, and the second process is where it was.
    let (mut other, other_pid) = sleeper();
    let twice = Cgroup::create_by_systemd(&scope, &Limits::NONE, other_pid).expect_err("taken");
    assert!(matches!(twice, Error::Systemd { unreachable: false, .. }), "{twice}");
    assert!(twice.to_string().contains("UnitExists"), "{twice}");

    // A state file has only the paths.
    let opened = Cgroup::open(&cgroup.paths()).expect("open");
    opened.attach_by_systemd(other_pid).expect("attach");
    assert_eq!(opened.processes().expect("processes").len(), 2);
    opened.freeze().and_then(|()| opened.thaw()).expect("freeze and thaw");
    opened.kill().expect("kill");
    init.wait().and_then(|_| other.wait()).expect("wait");
    opened.remove().expect("remove");
    for _ in 0..100 {
        if show(&scope).contains("LoadState=not-found") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the unit stays without a process: {}", show(&scope));
}

fn sleeper() -> (Child, Pid) {
    let child = Command::new("sleep").arg("60").spawn().expect("sleep");
    let pid = Pid::from_child(&child);
    (child, pid)
}

fn show(scope: &Scope) -> String {
    let output = Command::new("systemctl").args(["--user", "show", scope.unit()]).output();
    String::from_utf8(output.expect("systemctl").stdout).expect("text")
}
