//! Who is measured: the runtimes and how each is asked for a workload, as data.
//!
//! In arguments `{nsinit}` and `{floor}` are the programs; `{directory}` is a root
//! filesystem with a `container.json`; `{bundle}` a directory with a `config.json` that
//! means the same; `{id}` a name; `{init}` the first process of the container that is
//! joined; `{cgroup}` a prefix for cgroups. As an argument of its own `{program}` is the
//! program with its arguments, and `{mounts}` the bind mounts as bwrap wants them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::scene::{Program, Scene};

pub(crate) struct Rival {
    pub(crate) name: &'static str,
    /// What it does less or more than the others.
    pub(crate) note: &'static str,
    /// Prints a version in its first line.
    version: &'static [&'static str],
    ways: &'static [Way],
}

/// How some workloads are asked for.
pub(crate) struct Way {
    letters: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

/// What placeholders stand for.
pub(crate) struct Place<'a> {
    pub(crate) nsinit: &'a Path,
    pub(crate) floor: &'a Path,
    pub(crate) cgroup: &'a str,
    pub(crate) scene: &'a Scene<'a>,
    pub(crate) rival: &'a str,
    pub(crate) init: Option<u32>,
}

const OF_OCI: &[&str] = &["run", "--bundle={bundle}", "{id}"];
/// As an engine asks for it: cgroups are nobody's business.
const OF_CRUN: &[&str] = &["--cgroup-manager=disabled", "run", "--bundle={bundle}", "{id}"];
const OF_NSINIT: &[&str] = &["--root", "{directory}", "exec", "--quiet", "{program}"];

pub(crate) const SUBJECT: Rival = Rival {
    name: "nsinit",
    note: "",
    version: &["{nsinit}", "--version"],
    ways: &[Way { letters: "abcdefgh", program: "{nsinit}", arguments: OF_NSINIT }],
};

pub(crate) const RIVALS: [Rival; 11] = [
    Rival {
        name: "floor",
        note: "only the necessary system calls (bench/floor)",
        version: &[],
        ways: &[
            Way { letters: "acf", program: "{floor}", arguments: &["{directory}", "{program}"] },
            Way {
                letters: "b",
                program: "{floor}",
                arguments: &["--cgroup", "{cgroup}-floor", "{directory}", "{program}"],
            },
            Way { letters: "d", program: "{floor}", arguments: &["--join", "{init}", "{program}"] },
        ],
    },
    Rival {
        name: "crun",
        note: "",
        version: &["crun", "--version"],
        ways: &[
            Way { letters: "acfg", program: "crun", arguments: OF_CRUN },
            Way { letters: "b", program: "crun", arguments: OF_OCI },
            Way { letters: "d", program: "crun", arguments: &["exec", "{id}", "{program}"] },
        ],
    },
    Rival {
        name: "crun-static",
        note: "built static, without optional libraries",
        version: &["crun-static", "--version"],
        ways: &[
            Way { letters: "acfg", program: "crun-static", arguments: OF_CRUN },
            Way { letters: "b", program: "crun-static", arguments: OF_OCI },
            Way { letters: "d", program: "crun-static", arguments: &["exec", "{id}", "{program}"] },
        ],
    },
    Rival {
        name: "runc",
        note: "makes cgroups in every workload",
        version: &["runc", "--version"],
        ways: &[
            Way { letters: "abcfg", program: "runc", arguments: OF_OCI },
            Way { letters: "d", program: "runc", arguments: &["exec", "{id}", "{program}"] },
        ],
    },
    Rival {
        name: "youki",
        note: "makes cgroups in every workload",
        version: &["youki", "--version"],
        ways: &[
            Way { letters: "abcfg", program: "youki", arguments: OF_OCI },
            Way { letters: "d", program: "youki", arguments: &["exec", "{id}", "{program}"] },
        ],
    },
    Rival {
        name: "bwrap",
        note: "no sysfs, no masked paths, no cgroups",
        version: &["bwrap", "--version"],
        ways: &[Way {
            letters: "acfg",
            program: "bwrap",
            arguments: &[
                "--unshare-uts",
                "--unshare-ipc",
                "--unshare-pid",
                "--unshare-net",
                "--hostname",
                "bench",
                "--bind",
                "{directory}",
                "/",
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "{mounts}",
                "--cap-drop",
                "ALL",
                "{program}",
            ],
        }],
    },
    Rival {
        name: "unshare",
        note: "namespaces and a procfs, nothing else; nsenter in (d)",
        version: &["unshare", "--version"],
        ways: &[
            Way {
                letters: "acf",
                program: "unshare",
                arguments: &[
                    "--mount",
                    "--uts",
                    "--ipc",
                    "--pid",
                    "--net",
                    "--fork",
                    "--root={directory}",
                    "--mount-proc",
                    "{program}",
                ],
            },
            Way {
                letters: "d",
                program: "nsenter",
                arguments: &[
                    "--target={init}",
                    "--mount",
                    "--uts",
                    "--ipc",
                    "--pid",
                    "--net",
                    "--root",
                    "{program}",
                ],
            },
        ],
    },
    Rival {
        name: "systemd-nspawn",
        note: "without registration",
        version: &["systemd-nspawn", "--version"],
        ways: &[Way {
            letters: "acf",
            program: "systemd-nspawn",
            arguments: &[
                "--quiet",
                "--register=no",
                "--keep-unit",
                "--pipe",
                "--private-network",
                "--machine={id}",
                "--directory={directory}",
                "{program}",
            ],
        }],
    },
    Rival {
        name: "ip and crun",
        note: "one command of ip a step, then crun in the network namespace",
        version: &["ip", "-V"],
        ways: &[Way {
            letters: "e",
            program: "sh",
            arguments: &[
                "-ec",
                "ip netns add bench
                 ip link add bench1 type veth peer name eth0 netns bench
                 ip link set bench1 master bench0 up
                 ip -n bench link set lo up
                 ip -n bench address add 10.213.0.2/24 dev eth0
                 ip -n bench link set eth0 up
                 ip -n bench route add default via 10.213.0.1
                 crun --cgroup-manager=disabled run --bundle=\"$0\" \"$1\"
                 ip link delete bench1
                 ip netns delete bench",
                "{bundle}",
                "{id}",
            ],
        }],
    },
    Rival {
        name: "ip -batch and crun",
        note: "the same with three commands of ip",
        version: &["ip", "-V"],
        ways: &[Way {
            letters: "e",
            program: "sh",
            arguments: &[
                "-ec",
                "printf '%s\\n' 'netns add bench' \\
                    'link add bench1 type veth peer name eth0 netns bench' \\
                    'link set bench1 master bench0 up' | ip -batch -
                 printf '%s\\n' 'link set lo up' 'address add 10.213.0.2/24 dev eth0' \\
                    'link set eth0 up' 'route add default via 10.213.0.1' | ip -n bench -batch -
                 crun --cgroup-manager=disabled run --bundle=\"$0\" \"$1\"
                 printf '%s\\n' 'link delete bench1' 'netns delete bench' | ip -batch -",
                "{bundle}",
                "{id}",
            ],
        }],
    },
    Rival {
        name: "100,000 files",
        note: "nsinit, too",
        version: &[],
        ways: &[Way { letters: "h", program: "{nsinit}", arguments: OF_NSINIT }],
    },
];

impl Rival {
    pub(crate) fn way(&self, letter: char) -> Option<&Way> {
        self.ways.iter().find(|way| way.letters.contains(letter))
    }

    /// The first line of what it says of itself.
    pub(crate) fn version(&self, nsinit: &Path) -> Option<String> {
        let (program, arguments) = self.version.split_first()?;
        let program = if *program == "{nsinit}" { nsinit } else { Path::new(program) };
        let said = Command::new(program).args(arguments).output().ok()?.stdout;
        String::from_utf8_lossy(&said).lines().next().map(|line| line.trim().to_owned())
    }
}

impl Way {
    pub(crate) fn command(&self, place: &Place<'_>, program: Program) -> Result<Command> {
        let mut command = Command::new(self.program(place)?);
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let (root, id) = (text(place.scene.root()), place.scene.id(place.rival));
        let bundle = text(place.scene.bundle(place.rival, program)?);
        let init = place.init.map_or_else(String::new, |pid| pid.to_string());
        let fill = |argument: &str| {
            argument
                .replace("{directory}", &root)
                .replace("{bundle}", &bundle)
                .replace("{id}", &id)
                .replace("{init}", &init)
                .replace("{cgroup}", place.cgroup)
        };
        for argument in self.arguments {
            match *argument {
                "{program}" => command.args(program.words()),
                "{mounts}" => {
                    for (source, destination) in place.scene.mounts() {
                        command.arg("--ro-bind").arg(source).arg(destination);
                    }
                    &mut command
                }
                other => command.arg(fill(other)),
            };
        }
        Ok(command)
    }

    /// The program's path, or why there is none.
    fn program(&self, place: &Place<'_>) -> Result<PathBuf> {
        match self.program {
            "{nsinit}" => Ok(place.nsinit.to_owned()),
            "{floor}" => Ok(place.floor.to_owned()),
            name => find(name).ok_or_else(|| format!("{name} is not installed")),
        }
    }
}

/// Where a program is that the caller of the benchmark could start.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}
