//! `cargo xtask tidy`: the project's rules that neither compiler nor clippy
//! checks. ARCHITECTURE.md says why each of them is one.

use std::fs;
use std::time::Duration;

use crate::Result;
use crate::cargo::{cargo, output, root, succeed};
use crate::errors;
use crate::source::{self, RustFile, functions, words};

/// Crates that the first build of `nsinit` may compile, ours included.
const CRATES: usize = 75;
/// Processor time that it may take.
const BUILD: Duration = Duration::from_secs(90);
const FUNCTION_LINES: usize = 60;
const FILE_LINES: usize = 500;
const MECHANISMS: [&str; 5] = ["namespaces", "rootfs", "cgroups", "network", "security"];
/// Names that say nothing about what is inside.
const NAMELESS: [&str; 16] = [
    "utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "impl", "imp",
    "context", "data", "info", "env", "wrapper", "types",
];
/// A path of one machine, spelt so that this file does not hold it.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/fa", "rm/")];
const EXCEPTIONS: &str = "xtask/tidy-exceptions.txt";

/// One breach: what rule, where, and a sentence.
struct Breach {
    rule: &'static str,
    place: String,
    text: String,
}

pub(crate) fn run(arguments: &[String]) -> Result {
    match arguments {
        [] => rules(),
        [flag] if flag == "--budget" => rules().and(build_time()),
        _ => Err("tidy takes --budget only".to_owned()),
    }
}

fn rules() -> Result {
    let mut breaches = Vec::new();
    let files = source::rust_files()?;
    for file in &files {
        clone_calls(file, &mut breaches);
        unsafe_code(file, &mut breaches);
        lengths(file, &mut breaches);
        names(file, &mut breaches);
        sides(file, &mut breaches);
    }
    for (place, text) in errors::undocumented(&files)? {
        let text = format!("{} does not explain: {text}", errors::PAGE);
        breaches.push(Breach { rule: "errors", place, text });
    }
    arrows(&mut breaches)?;
    machine_paths(&mut breaches)?;
    crate_count(&mut breaches)?;
    judge(breaches)
}

/// Lists the breaches that the exceptions permit; the others are the error,
/// and so are exceptions that nothing needs any more.
fn judge(breaches: Vec<Breach>) -> Result {
    let text = fs::read_to_string(root().join(EXCEPTIONS))
        .map_err(|error| format!("{EXCEPTIONS}: {error}"))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut exceptions = Vec::new();
    for line in lines {
        let mut parts = line.splitn(3, ' ');
        let (Some(rule), Some(place), Some(reason)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(format!("{EXCEPTIONS}: {line:?} is not: RULE PLACE REASON"));
        };
        exceptions.push((rule, place, reason, false));
    }
    let mut errors = Vec::new();
    for Breach { rule, place, text } in breaches {
        match exceptions.iter_mut().find(|known| (known.0, known.1) == (rule, place.as_str())) {
            Some((_, _, reason, used)) => {
                *used = true;
                println!("tidy: permitted: {place}: {text} ({reason})");
            }
            None => errors.push(format!("{place}: {text} [{rule}]")),
        }
    }
    let unused = exceptions.iter().filter(|exception| !exception.3);
    errors.extend(
        unused.map(|(rule, place, ..)| format!("{EXCEPTIONS}: nothing needs `{rule} {place}`")),
    );
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

/// Only `namespaces` makes processes, and only `launch.rs` and `join.rs` ask it to.
fn clone_calls(file: &RustFile, breaches: &mut Vec<Breach>) {
    let mut report = |text: &str| {
        breaches.push(Breach { rule: "clone", place: file.path.clone(), text: text.to_owned() });
    };
    let Some((owner, inside)) = in_crate(&file.path) else { return };
    if owner != "namespaces" && inside.starts_with("src/") {
        let calls =
            ["SYS_clone", "SYS_clone3", "SYS_fork", "SYS_vfork", "libc::fork", "libc::vfork"];
        for call in calls.iter().filter(|call| !words(&file.code, call).is_empty()) {
            report(&format!("{call}: only crates/namespaces makes processes"));
        }
    }
    if owner == "nsinit" && inside.starts_with("src/") {
        let may = matches!(inside, "src/launch.rs" | "src/join.rs");
        let count = file.code.matches("namespaces::clone(").count();
        match count {
            0 => {}
            1 if may => {}
            _ if may => report("more than one call of namespaces::clone"),
            _ => report("namespaces::clone is called from launch.rs and join.rs only"),
        }
        if file.code.lines().any(|line| {
            line.contains("use ") && line.contains("namespaces") && !words(line, "clone").is_empty()
        }) {
            report("namespaces::clone is called by that path, so that it is found");
        }
        if inside != "src/sys.rs" && !words(&file.code, "fork_in_child").is_empty() {
            report("fork_in_child is called from sys.rs only");
        }
        if inside != "src/init.rs" && file.code.contains("sys::fork(") {
            report("sys::fork is called from init.rs only");
        }
    }
}

/// `unsafe` in `sys.rs` only; tests and examples of calls that are unsafe have no other place.
fn unsafe_code(file: &RustFile, breaches: &mut Vec<Breach>) {
    let Some((owner, inside)) = in_crate(&file.path) else { return };
    let clone_site = owner == "nsinit" && matches!(inside, "src/launch.rs" | "src/join.rs");
    let outside_sources = !inside.starts_with("src/") || inside.ends_with("tests.rs");
    if inside.ends_with("sys.rs") || clone_site || outside_sources {
        return;
    }
    for at in words(&file.code, "unsafe") {
        let line = 1 + file.code[..at].matches('\n').count();
        breaches.push(Breach {
            rule: "unsafe",
            place: file.path.clone(),
            text: format!("unsafe outside sys.rs, line {line}"),
        });
    }
}

fn lengths(file: &RustFile, breaches: &mut Vec<Breach>) {
    let lines = file.text.lines().count();
    if lines > FILE_LINES {
        breaches.push(Breach {
            rule: "file",
            place: file.path.clone(),
            text: format!("{lines} lines"),
        });
    }
    for function in functions(&file.code).iter().filter(|function| function.lines > FUNCTION_LINES)
    {
        breaches.push(Breach {
            rule: "function",
            place: format!("{}::{}", file.path, function.name),
            text: format!("{} lines, from line {}", function.lines, function.line),
        });
    }
}

fn names(file: &RustFile, breaches: &mut Vec<Breach>) {
    let steps = file.path.split('/').map(|step| step.trim_end_matches(".rs"));
    for name in steps.filter(|step| NAMELESS.contains(step)) {
        breaches.push(Breach {
            rule: "name",
            place: file.path.clone(),
            text: format!("{name} says nothing about what is inside"),
        });
    }
}

/// A file belongs to one process and says so; what runs in the child returns an errno.
fn sides(file: &RustFile, breaches: &mut Vec<Breach>) {
    let Some((owner, inside)) = in_crate(&file.path) else { return };
    let says =
        ["//! Parent", "//! Child", "//! Both"].iter().any(|start| file.text.starts_with(start));
    let exempt = owner == "config"
        || inside.ends_with("tests.rs")
        || !inside.starts_with("src/")
        || matches!(inside, "src/lib.rs" | "src/main.rs");
    if !says && !exempt {
        let text = "the first line does not say which process runs it (//! Parent: …, //! Child: …, //! Both: …)";
        breaches.push(Breach { rule: "side", place: file.path.clone(), text: text.to_owned() });
    }
    let rich = ["Error>", "io::Result"];
    if (owner, inside) == ("nsinit", "src/init.rs") {
        for word in rich.iter().filter(|word| file.code.contains(**word)) {
            breaches.push(Breach {
                rule: "errno",
                place: file.path.clone(),
                text: format!("{word}: what runs in the child returns an Errno"),
            });
        }
    }
}

/// The crates are a star: mechanisms know nobody, config their vocabulary.
fn arrows(breaches: &mut Vec<Breach>) -> Result {
    for name in MECHANISMS.iter().chain(&["config"]) {
        let path = format!("crates/{name}/Cargo.toml");
        let text =
            fs::read_to_string(root().join(&path)).map_err(|error| format!("{path}: {error}"))?;
        let permitted: &[&str] =
            if *name == "config" { &["nsinit-namespaces", "nsinit-security"] } else { &[] };
        for dependency in
            our_dependencies(&text).filter(|dependency| !permitted.contains(dependency))
        {
            breaches.push(Breach {
                rule: "arrow",
                place: path.clone(),
                text: format!("depends on {dependency}"),
            });
        }
    }
    Ok(())
}

/// The packages of this project among the dependencies of a manifest.
fn our_dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut in_dependencies = false;
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        }
        let key = line.rsplit_once("dependencies.").map_or(line, |(_, key)| key);
        let name = key.split(['.', ' ', '=', ']']).next()?;
        let ours = name == "nsinit" || name.starts_with("nsinit-");
        (in_dependencies && ours).then_some(name)
    })
}

fn machine_paths(breaches: &mut Vec<Breach>) -> Result {
    for file in source::tracked_files()? {
        let bytes = fs::read(root().join(&file)).map_err(|error| format!("{file}: {error}"))?;
        let text = String::from_utf8_lossy(&bytes);
        for path in MACHINE_PATHS.iter().filter(|path| begins_a_path(&text, path)) {
            breaches.push(Breach {
                rule: "machine-path",
                place: file.clone(),
                text: format!("{path} is a path of one machine"),
            });
        }
    }
    Ok(())
}

/// Whether `path` is in `text` other than as the end of a longer path.
fn begins_a_path(text: &str, path: &str) -> bool {
    let longer = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.match_indices(path).any(|(at, _)| !text[..at].ends_with(longer))
}

fn crate_count(breaches: &mut Vec<Breach>) -> Result {
    let mut command = cargo(["tree", "--package", "nsinit", "--edges", "normal,build"]);
    let tree = output(command.args(["--prefix", "none", "--no-dedupe", "--format", "{p}"]))?;
    let mut crates: Vec<&str> =
        tree.lines().map(|line| line.split(" (").next().unwrap_or(line)).collect();
    crates.sort_unstable();
    crates.dedup();
    println!("tidy: {} of at most {CRATES} crates in the first build", crates.len());
    if crates.len() > CRATES {
        breaches.push(Breach {
            rule: "crates",
            place: "Cargo.lock".to_owned(),
            text: format!("{} crates, at most {CRATES}", crates.len()),
        });
    }
    Ok(())
}

/// Builds nsinit in an empty target directory, as a newcomer does.
fn build_time() -> Result {
    let directory = std::env::temp_dir().join(format!("nsinit-first-build-{}", std::process::id()));
    let before = children_time()?;
    let built =
        succeed(cargo(["build", "--package", "nsinit"]).env("CARGO_TARGET_DIR", &directory));
    let spent = children_time()?.saturating_sub(before);
    fs::remove_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    built?;
    println!(
        "tidy: first build: {:.1} of at most {} CPU seconds",
        spent.as_secs_f64(),
        BUILD.as_secs()
    );
    if spent > BUILD { Err("the first build takes too long".to_owned()) } else { Ok(()) }
}

/// User and system time of this process's ended children: fields 16 and 17
/// of /proc/self/stat, in ticks of which Linux has 100 a second for user space.
fn children_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")
        .map_err(|error| format!("/proc/self/stat: {error}"))?;
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 =
        after_name.split(' ').skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// `crates/NAME/REST` as (NAME, REST).
fn in_crate(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("crates/")?.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> RustFile {
        RustFile { path: path.to_owned(), text: text.to_owned(), code: source::code(text) }
    }

    fn breaches(check: fn(&RustFile, &mut Vec<Breach>), path: &str, text: &str) -> usize {
        let mut breaches = Vec::new();
        check(&file(path, text), &mut breaches);
        breaches.len()
    }

    #[test]
    fn clone_has_two_callers() {
        let call = "nsinit_namespaces::clone(&request, child)";
        assert_eq!(breaches(clone_calls, "crates/nsinit/src/launch.rs", call), 0);
        assert_eq!(breaches(clone_calls, "crates/nsinit/src/state.rs", call), 1);
        assert_eq!(breaches(clone_calls, "crates/nsinit/src/state.rs", "map.clone()"), 0);
        assert_eq!(breaches(clone_calls, "crates/rootfs/src/sys.rs", "libc::fork()"), 1);
        assert_eq!(breaches(clone_calls, "crates/nsinit/src/init.rs", "sys::fork(kind)"), 0);
        assert_eq!(breaches(clone_calls, "crates/nsinit/src/launch.rs", "sys::fork(kind)"), 1);
        assert_eq!(
            breaches(
                clone_calls,
                "crates/nsinit/src/join.rs",
                "use nsinit_namespaces::{Kinds, clone};"
            ),
            1
        );
    }

    #[test]
    fn unsafe_is_found_in_code_only() {
        assert_eq!(breaches(unsafe_code, "crates/rootfs/src/mount.rs", "// unsafe\nunsafe {}"), 1);
        assert_eq!(breaches(unsafe_code, "crates/rootfs/src/sys.rs", "unsafe {}"), 0);
        assert_eq!(breaches(unsafe_code, "crates/nsinit/src/launch.rs", "unsafe {}"), 0);
    }

    #[test]
    fn long_functions_and_nameless_files_are_found() {
        let long = format!("fn f() {{{}}}", "\n".repeat(FUNCTION_LINES));
        assert_eq!(breaches(lengths, "a.rs", &long), 1);
        assert_eq!(breaches(names, "crates/rootfs/src/utils.rs", ""), 1);
        assert_eq!(breaches(names, "crates/rootfs/src/helpers/mount.rs", ""), 1);
    }

    #[test]
    fn a_file_says_who_runs_it() {
        assert_eq!(breaches(sides, "crates/rootfs/src/mount.rs", "//! Mounts."), 1);
        assert_eq!(breaches(sides, "crates/rootfs/src/mount.rs", "//! Child: mounts."), 0);
        assert_eq!(
            breaches(
                sides,
                "crates/nsinit/src/init.rs",
                "//! Child\nfn f() -> Result<(), Error> {}"
            ),
            1
        );
    }

    #[test]
    fn our_packages_are_found_in_a_manifest() {
        let text = "[package]\nname = \"nsinit-x\"\n[dependencies]\nnsinit-security.workspace = true\n\
                    rustix = \"1\"\n[dev-dependencies.nsinit-rootfs]\n";
        assert_eq!(
            our_dependencies(text).collect::<Vec<_>>(),
            ["nsinit-security", "nsinit-rootfs"]
        );
    }

    #[test]
    fn a_longer_path_is_not_a_machine_path() {
        assert!(begins_a_path("at /x/y", "/x/"));
        assert!(!begins_a_path("at /a/x/y", "/x/"));
    }
}
