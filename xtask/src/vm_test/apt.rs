//! Packages of Debian by the host's own apt, in directories of ours: as an
//! ordinary user, into a cache, never installed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::host::{command, find};
use super::lock::{Lock, Package, Wanted};
use crate::Result;
use crate::cargo::{output, succeed};

/// The names under which a host's own sources may list Debian.
const RELEASES: [&str; 8] =
    ["bullseye", "bookworm", "trixie", "forky", "oldstable", "stable", "testing", "sid"];
const SECURITY: &str = "-security";
/// With the keys of all releases, where the package is installed.
const KEYS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/// What to do where the locked version is not to be had any more.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Gone {
    /// Take the newest of the suite, under apt's signature.
    TakeNewest,
    Fail,
}

pub(super) struct Apt {
    cache: PathBuf,
    /// Suites whose lists were fetched by this run.
    fresh: Mutex<BTreeSet<&'static str>>,
    gone: Gone,
}

impl Apt {
    pub(super) fn new(cache: &Path, gone: Gone) -> Apt {
        Apt { cache: cache.to_owned(), fresh: Mutex::default(), gone }
    }

    /// Unpacks a set of packages into one directory of that name.
    pub(super) fn unpacked(&self, name: &str, set: &[Wanted], lock: &Lock) -> Result<PathBuf> {
        let directory = self.cache.join("unpacked").join(name);
        let stamp = self.cache.join("unpacked").join(format!("{name}.packages"));
        let locked = set.iter().map(|wanted| lock.find(wanted)).collect::<Result<Vec<_>>>()?;
        let mut identity: String = locked.iter().map(|package| format!("{package:?}\n")).collect();
        let known = fs::read_to_string(&stamp).unwrap_or_default();
        if let Some(instead) = known.strip_prefix(&identity) {
            if instead.is_empty() || self.gone == Gone::TakeNewest {
                print!("{instead}");
                return Ok(directory);
            }
        }
        drop(fs::remove_dir_all(&directory));
        let told = |error| format!("{}: {error}", directory.display());
        fs::create_dir_all(&directory).map_err(told)?;
        for (wanted, package) in set.iter().zip(locked) {
            let (file, instead) = self.file(wanted, package)?;
            print!("{instead}");
            identity.push_str(&instead);
            succeed(command("dpkg-deb").arg("-x").arg(file).arg(&directory))?;
        }
        fs::write(&stamp, identity).map_err(told)?;
        Ok(directory)
    }

    /// The newest version of a package in its suite.
    pub(super) fn newest(&self, wanted: &Wanted) -> Result<Package> {
        self.refresh(wanted.suite)?;
        let pattern =
            format!("^{}$", wanted.name.replace('.', "\\.").replace('+', "\\+").replace('*', ".*"));
        let mut search = self.tool("apt-cache", wanted.suite);
        let found = output(search.args(["search", "--names-only", &pattern]))?;
        let names = found.lines().filter_map(|line| line.split(' ').next());
        let mut best: Option<Package> = None;
        for name in names.filter(|name| wanted.is(name)) {
            for package in self.versions(wanted.suite, name)? {
                if best.as_ref().is_none_or(|best| is_newer(&package.version, &best.version)) {
                    best = Some(package);
                }
            }
        }
        best.ok_or_else(|| format!("{} has no {}", wanted.suite, wanted.name))
    }

    /// The locked file, or where that is gone and this is permitted the newest
    /// one, with the line that says so.
    fn file(&self, wanted: &Wanted, locked: &Package) -> Result<(PathBuf, String)> {
        match self.fetch(wanted.suite, locked) {
            Ok(file) => Ok((file, String::new())),
            Err(reason) if self.gone == Gone::Fail => Err(reason),
            Err(reason) => {
                let newest = self.newest(wanted).map_err(|error| format!("{reason}; {error}"))?;
                let Package { name, version, .. } = &newest;
                let instead = format!("vm-test: {reason}: {name} {version} is taken instead\n");
                Ok((self.fetch(wanted.suite, &newest)?, instead))
            }
        }
    }

    fn fetch(&self, suite: &'static str, package: &Package) -> Result<PathBuf> {
        let Package { name, version, sha256, .. } = package;
        let directory = self.cache.join("packages");
        let path = directory.join(format!("{name}_{version}.deb"));
        if sha256_of(&path).is_ok_and(|known| known == *sha256) {
            return Ok(path);
        }
        self.refresh(suite)?;
        if !self.versions(suite, name)?.contains(package) {
            return Err(format!("{name} {version} is not in {suite} any more"));
        }
        println!("vm-test: fetching {name} {version}");
        let into = directory.join(format!("{name}.part"));
        drop(fs::remove_dir_all(&into));
        let told = |error| format!("{}: {error}", into.display());
        fs::create_dir_all(&into).map_err(told)?;
        let mut download = self.tool("apt-get", suite);
        let wanted = format!("{name}={version}");
        succeed(download.args(["--quiet=2", "download", &wanted]).current_dir(&into))?;
        let mut entries = fs::read_dir(&into).map_err(told)?.filter_map(std::result::Result::ok);
        let fetched = entries.next().ok_or_else(|| format!("apt fetched no {name}"))?.path();
        if sha256_of(&fetched)? != *sha256 {
            return Err(format!("{name} {version}: what apt fetched has another SHA-256"));
        }
        fs::rename(&fetched, &path).map_err(told)?;
        fs::remove_dir(&into).map_err(told)?;
        Ok(path)
    }

    /// Every version of a package that the suite has.
    fn versions(&self, suite: &'static str, name: &str) -> Result<Vec<Package>> {
        let text = output(self.tool("apt-cache", suite).args(["show", name]))?;
        let package = |paragraph: &str| {
            let field = |key: &str| {
                paragraph.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned)
            };
            Some(Package {
                suite: suite.to_owned(),
                name: field("Package: ")?,
                version: field("Version: ")?,
                sha256: field("SHA256: ")?,
            })
        };
        Ok(text.split("\n\n").filter_map(package).collect())
    }

    /// Fetches the lists of a suite, once in a run.
    fn refresh(&self, suite: &'static str) -> Result {
        let told = |error| format!("{}: {error}", self.cache.display());
        let mut fresh = self.fresh.lock().map_err(|error| error.to_string())?;
        if fresh.contains(suite) {
            return Ok(());
        }
        let directory = self.directory(suite);
        for name in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(directory.join(name)).map_err(told)?;
        }
        fs::write(directory.join("status"), "").map_err(told)?;
        fs::write(directory.join("sources.list"), source(suite)?).map_err(told)?;
        println!("vm-test: fetching the lists of {suite}");
        succeed(self.tool("apt-get", suite).args(["--quiet=2", "update"]))?;
        fresh.insert(suite);
        Ok(())
    }

    fn directory(&self, suite: &str) -> PathBuf {
        self.cache.join("apt").join(suite)
    }

    /// A program of apt that sees this suite only, and nothing of what the host has installed.
    fn tool(&self, program: &str, suite: &'static str) -> Command {
        let directory = self.directory(suite);
        let mut command = command(program);
        for (key, value) in [
            ("Dir::Etc::sourcelist", directory.join("sources.list")),
            ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            ("Dir::State", directory.clone()),
            ("Dir::State::status", directory.join("status")),
            ("Dir::Cache", directory.clone()),
        ] {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        // Its own user for downloads cannot reach a directory in somebody's home.
        command.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]);
        command.args(["-o", "APT::Architecture=amd64", "-o", "APT::Architectures=amd64"]);
        command.args(["-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"]);
        command.env("LC_ALL", "C.UTF-8");
        command
    }
}

/// The line of a list of sources, with the address at which this host has Debian.
fn source(suite: &str) -> Result<String> {
    if find("apt-get").is_none() || find("dpkg-deb").is_none() {
        return Err("this host has no apt, which fetches Debian's packages".to_owned());
    }
    let format = "$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)";
    let known = output(command("apt-get").args(["indextargets", "--format", format]))?;
    let address = known.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (kind, release) = (words.next()?, words.next()?);
        let (component, address) = (words.next()?, words.next()?);
        let same_archive = release.ends_with(SECURITY) == suite.ends_with(SECURITY);
        let debian = RELEASES.contains(&release.trim_end_matches(SECURITY));
        (kind == "Packages" && component == "main" && debian && same_archive).then_some(address)
    });
    let address =
        address.ok_or_else(|| format!("this host's apt has no source of Debian for {suite}"))?;
    let keys = KEYS.iter().find(|path| Path::new(path).exists());
    let signed = keys.map_or(String::new(), |path| format!("[signed-by={path}] "));
    Ok(format!("deb {signed}{address} {suite} main\n"))
}

fn is_newer(version: &str, than: &str) -> bool {
    let compared = command("dpkg").args(["--compare-versions", version, "gt", than]).status();
    compared.is_ok_and(|status| status.success())
}

fn sha256_of(path: &Path) -> Result<String> {
    if !path.exists() {
        return Err(format!("no file {}", path.display()));
    }
    let text = output(Command::new("sha256sum").arg(path))?;
    text.split(' ').next().map(str::to_owned).ok_or_else(|| "sha256sum said nothing".to_owned())
}
