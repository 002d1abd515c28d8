//! A container's directory for one test.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::clean::{Traces, note_others};
use crate::needs::is_root;
use crate::{Need, ORDINARY, Outcome, Running, Terminal, caller, programs};

/// A temporary directory with a root filesystem, in which nsinit is run.
/// Dropping it checks that nothing is left of any container.
///
/// In configurations and arguments `$HOST` is a directory of the host
/// outside the root filesystem, `$NAME` a word that is this test's alone,
/// and `$LINK` one that is short enough for interfaces.
#[derive(Debug)]
pub struct Sandbox {
    base: PathBuf,
    name: String,
    link: String,
    user: Option<u32>,
    settings: Vec<String>,
    environment: Vec<(String, OsString)>,
    network: Option<OwnedFd>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Default for Sandbox {
    fn default() -> Sandbox {
        Sandbox::new()
    }
}

impl Sandbox {
    /// A root filesystem with `/bin/probe`, `/etc/passwd`, `/etc/group` and
    /// no `container.json`.
    #[must_use]
    pub fn new() -> Sandbox {
        note_others();
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let name = format!("nsinit-test-{process}-{count}");
        let base = std::env::temp_dir().join(&name);
        let link = format!("t{:x}x{count}", process % 0xffff);
        let sandbox = Sandbox {
            base,
            name,
            link,
            user: None,
            settings: Vec::new(),
            environment: Vec::new(),
            network: None,
        };
        for directory in
            ["root/bin", "root/etc", "root/usr/bin", "root/tmp", "root/data", "host", "run"]
        {
            make(&sandbox.base.join(directory));
        }
        fs::set_permissions(sandbox.base.join("run"), fs::Permissions::from_mode(0o700))
            .expect("own directory");
        fs::set_permissions(sandbox.base.join("root/tmp"), fs::Permissions::from_mode(0o1777))
            .expect("own directory");
        programs::put_probe(&sandbox.root().join("bin/probe"));
        sandbox
            .file("etc/os-release", "ID=test\n")
            .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34:www:/srv/www:/bin/sh\n")
            .file("etc/group", "root:x:0:\nwww:x:34:\naudio:x:63:www\n")
            .for_this_user()
    }

    fn for_this_user(self) -> Sandbox {
        if is_root() { self } else { self.as_user(ORDINARY) }
    }

    /// [`Sandbox::new`] for every kind of caller that this machine lets the
    /// tests be: root and an ordinary user. With `NSINIT_TEST_CALLERS=own` only
    /// who runs the tests: for machines on which the other runs them, too.
    #[must_use]
    pub fn for_each_caller() -> Vec<Sandbox> {
        let own = std::env::var("NSINIT_TEST_CALLERS").is_ok_and(|value| value == "own");
        let mut sandboxes = vec![Sandbox::new()];
        if !own && is_root() && Need::UserNamespaces.missing().is_none() {
            sandboxes.push(Sandbox::new().as_user(ORDINARY));
        }
        sandboxes
    }

    /// Whether root starts nsinit in it.
    #[must_use]
    pub fn is_for_root(&self) -> bool {
        is_root() && self.user.is_none()
    }

    /// A directory that is no root filesystem: nsinit uses its built-in container.
    #[must_use]
    pub fn without_root_filesystem() -> Sandbox {
        Sandbox::new().emptied()
    }

    /// The same, of a sandbox that is there.
    #[must_use]
    pub fn emptied(self) -> Sandbox {
        fs::remove_dir_all(self.root()).expect("own directory");
        make(&self.root());
        self
    }

    /// Writes `container.json`.
    #[must_use]
    pub fn config(self, json: &str) -> Sandbox {
        let json = self.fill(json);
        self.file("container.json", &json)
    }

    /// Runs nsinit as this user, with all of the directory his. Where the
    /// tests do not run as root, the user stays who he is.
    #[must_use]
    pub fn as_user(mut self, uid: u32) -> Sandbox {
        if is_root() {
            self.user = Some(uid);
            self.settings.push(format!("uid={uid}"));
        }
        let run = self.base.join("run").into_os_string();
        self.environment.push(("XDG_RUNTIME_DIR".to_owned(), run));
        self
    }

    /// Gives the caller of nsinit a setting of the probe: `umask=777`.
    #[must_use]
    pub fn with(mut self, setting: &str) -> Sandbox {
        let setting = self.fill(setting);
        // What needs privileges comes before the setting that gives them up.
        self.settings.insert(0, setting);
        self
    }

    /// The same, for what the caller does as the user that he is.
    #[must_use]
    pub fn with_own(mut self, setting: &str) -> Sandbox {
        self.settings.push(setting.to_owned());
        self
    }

    /// Sets a variable in the environment of nsinit.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Sandbox {
        self.environment.push((key.to_owned(), value.into()));
        self
    }

    /// Gives nsinit a network namespace in the host's place, in which the
    /// test may do what it likes.
    #[must_use]
    pub fn own_network(mut self) -> Sandbox {
        let namespace = new_network_namespace();
        self.network = Some(namespace);
        let setting = self.network_setting();
        self.with(&setting)
    }

    /// The setting that gives another sandbox this one's [`Sandbox::own_network`].
    ///
    /// # Panics
    ///
    /// When this one has none.
    #[must_use]
    pub fn network_setting(&self) -> String {
        let namespace = self.network.as_ref().expect("a network of its own");
        format!("netns=/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd())
    }

    /// Adds a static busybox, with the names of its common applets.
    #[must_use]
    pub fn busybox(self) -> Sandbox {
        let busybox = programs::busybox().expect("required by the test");
        fs::copy(busybox, self.root().join("bin/busybox")).expect("busybox is a file");
        [
            "sh", "ls", "cat", "id", "sleep", "ps", "ip", "ping", "stty", "kill", "true", "mount",
            "test", "echo", "vi",
        ]
        .into_iter()
        .fold(self, |sandbox, applet| sandbox.symlink(&format!("bin/{applet}"), "busybox"))
    }

    /// Writes a file of the root filesystem.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Sandbox {
        let path = self.root().join(path);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self
    }

    /// Writes a file that can be executed.
    #[must_use]
    pub fn executable(self, path: &str, text: &str) -> Sandbox {
        self.file(path, text).mode(path, 0o755)
    }

    /// Changes a mode in the root filesystem.
    #[must_use]
    pub fn mode(self, path: &str, mode: u32) -> Sandbox {
        let path = self.root().join(path);
        if is_linked(&path) {
            let bytes = fs::read(&path).expect("the probe");
            fs::remove_file(&path).and_then(|()| fs::write(&path, bytes)).expect("own directory");
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is there");
        self
    }

    /// Makes a directory in the root filesystem.
    #[must_use]
    pub fn directory(self, path: &str) -> Sandbox {
        make(&self.root().join(path));
        self
    }

    /// Makes a link in the root filesystem, in place of what is there.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Sandbox {
        let path = self.root().join(path);
        drop(fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)));
        symlink(self.fill(target), &path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self
    }

    /// Writes a file of the host, below `$HOST`.
    #[must_use]
    pub fn host_file(self, path: &str, text: &str) -> Sandbox {
        let path = self.host().join(path);
        make(path.parent().expect("below the directory"));
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self
    }

    /// The directory that `$HOST` stands for.
    #[must_use]
    pub fn host(&self) -> PathBuf {
        self.base.join("host")
    }

    /// The container's directory, which is its root filesystem too.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.base.join("root")
    }

    /// The directory of this user's state.
    #[must_use]
    pub fn run_directory(&self) -> PathBuf {
        let own = self.environment.iter().any(|(key, _)| key == "XDG_RUNTIME_DIR");
        if own { self.base.join("run/nsinit") } else { PathBuf::from("/run/nsinit") }
    }

    /// Where the state of this container is recorded while it lives.
    ///
    /// # Panics
    ///
    /// When the container's directory is gone.
    #[must_use]
    pub fn state_directory(&self) -> PathBuf {
        let root = fs::metadata(self.root()).expect("own directory");
        self.run_directory().join(format!("{:x}-{:x}", root.dev(), root.ino()))
    }

    /// `$NAME`, `$LINK`, `$HOST` and `$ROOT` replaced.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let host = self.host();
        text.replace("$NAME", &self.name)
            .replace("$LINK", &self.link)
            .replace("$HOST", &host.to_string_lossy())
            .replace("$ROOT", &self.root().to_string_lossy())
    }

    /// `nsinit exec --quiet WORDS`, to its end.
    #[track_caller]
    pub fn run<const N: usize>(&self, words: [&str; N]) -> Outcome {
        self.start(words).finish()
    }

    /// `nsinit exec --quiet WORDS`, in the background.
    #[must_use]
    pub fn start<const N: usize>(&self, words: [&str; N]) -> Running {
        let mut command = self.command(&["exec", "--quiet"]);
        command.args(words.map(|word| self.fill(word)));
        Running::new(command, self.root().join("pid"))
    }

    /// `nsinit WORDS`, to its end.
    #[track_caller]
    pub fn nsinit<const N: usize>(&self, words: [&str; N]) -> Outcome {
        self.command_line(&words)
    }

    /// The same for any number of words.
    #[track_caller]
    pub fn command_line(&self, words: &[&str]) -> Outcome {
        let words: Vec<String> = words.iter().map(|word| self.fill(word)).collect();
        Running::new(self.command(&words), self.root().join("pid")).finish()
    }

    /// `nsinit exec --quiet WORDS` at a terminal.
    #[must_use]
    pub fn terminal<const N: usize>(&self, words: [&str; N]) -> Terminal {
        let at_terminal = [vec!["terminal=0".to_owned()], self.settings.clone()].concat();
        self.hand_over();
        let mut command = caller::command(&self.root(), &at_terminal, &self.environment);
        command.args(["exec", "--quiet"]).args(words.map(|word| self.fill(word)));
        Terminal::new(command)
    }

    /// A program of the host, in the network namespace of [`Sandbox::own_network`].
    ///
    /// # Panics
    ///
    /// When it does not succeed.
    #[track_caller]
    pub fn on_host<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let words: Vec<String> = words.into_iter().map(|word| self.fill(word)).collect();
        let network = self.settings.iter().find(|setting| setting.starts_with("netns="));
        let mut command = Command::new(programs::probe());
        command.arg("with").args(network).arg("--").args(&words);
        let output = command.output().expect("the probe starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{words:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        self.hand_over();
        let mut command = caller::command(&self.root(), &self.settings, &self.environment);
        command.args(words);
        command
    }

    /// Makes the directory the user's.
    fn hand_over(&self) {
        if let Some(uid) = self.user {
            give(&self.base, uid);
        }
    }

    fn with_traces<T>(&self, ask: impl FnOnce(&Traces<'_>) -> T) -> T {
        let (root, run) = (self.root(), self.run_directory());
        ask(&Traces { root: &root, run: &run, name: &self.name, links: &self.link })
    }

    /// Checks that within a second no process of any container here is left, nor a
    /// launcher that works here.
    ///
    /// # Panics
    ///
    /// When one is.
    #[track_caller]
    pub fn assert_no_process(&self) {
        let left = self.with_traces(|traces| traces.processes_after(Duration::from_secs(1)));
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    }

    /// Checks now that nothing is left of any container here.
    ///
    /// # Panics
    ///
    /// When something is.
    #[track_caller]
    pub fn assert_clean(&self) {
        let left = self.with_traces(|traces| traces.left());
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let left = self.with_traces(|traces| traces.left());
        self.with_traces(|traces| traces.remove_state());
        if left.iter().all(|trace| !trace.starts_with("mount ")) {
            drop(fs::remove_dir_all(&self.base));
        }
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
        }
    }
}

/// A network namespace that lives as long as the descriptor.
fn new_network_namespace() -> OwnedFd {
    let mut command = Command::new(programs::probe());
    command.args(["with", "netns=new", "--"]).arg(programs::probe()).args(["ready", ",", "copy"]);
    let mut holder =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the probe starts");
    let mut ready = [0; 6];
    holder
        .stdout
        .take()
        .expect("a pipe")
        .read_exact(&mut ready)
        .expect("root may make a network namespace");
    let namespace =
        fs::File::open(format!("/proc/{}/ns/net", holder.id())).expect("the probe lives");
    drop(holder.stdin.take());
    holder.wait().expect("a child of this process");
    namespace.into()
}

fn make(directory: &Path) {
    fs::create_dir_all(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
}

/// Changes the owner of a tree, without following links, and not of the
/// probe that other sandboxes have too.
fn give(path: &Path, uid: u32) {
    if is_linked(path) {
        return;
    }
    lchown(path, Some(uid), Some(uid))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir()) {
        for entry in fs::read_dir(path).expect("own directory").filter_map(Result::ok) {
            give(&entry.path(), uid);
        }
    }
}

fn is_linked(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|facts| facts.is_file() && facts.nlink() > 1)
}
