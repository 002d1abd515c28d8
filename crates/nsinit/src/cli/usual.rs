//! Parent: the command lines of most starts and joins, understood without the parser.
//!
//! The parser knows every command, helps, and explains what is wrong; to do so it builds all
//! of that first, which takes longer than anything else that this command does itself before
//! it clones (docs/performance.md). What is understood here is what the parser would
//! understand, which a test asks both. Where there is any doubt the parser is asked.

use std::ffi::OsString;
use std::slice::Iter;

use super::shape::{NETWORKS, Shape, absolute, environment_entry, parse_bind};
use super::{Command, CommandLine, Exec, LogFormat};

/// `[--root DIR] exec [OPTIONS] [CMD…]` with the options that are no others'.
pub(super) fn exec(arguments: &[OsString]) -> Option<CommandLine> {
    let (mut root, mut executes, mut exec) = (None, false, Exec::default());
    let Exec { quiet, trace: _, shape } = &mut exec;
    let Shape { env, user, cwd, tty, bind, network, command } = shape;
    let mut words = arguments.get(1..)?.iter();
    while let Some(word) = words.next() {
        match word.to_str()? {
            "exec" if !executes => executes = true,
            "--root" if root.is_none() => root = Some(value(&mut words)?.into()),
            _ if !executes => return None,
            "--quiet" if !*quiet => *quiet = true,
            "--tty" if !*tty => *tty = true,
            "--env" => env.push(environment_entry(value(&mut words)?).ok()?),
            "--bind" => bind.push(parse_bind(value(&mut words)?).ok()?),
            "--user" if user.is_none() => *user = Some(value(&mut words)?.to_owned()),
            "--cwd" if cwd.is_none() => *cwd = Some(absolute(value(&mut words)?).ok()?),
            "--network" if network.is_none() => {
                let name = value(&mut words).filter(|name| NETWORKS.contains(name))?;
                *network = Some(name.to_owned());
            }
            option if option.starts_with('-') => return None,
            _ => {
                command.push(word.clone());
                command.extend(words.by_ref().cloned());
            }
        }
    }
    executes.then(|| CommandLine {
        root: root.unwrap_or_else(|| ".".into()),
        log: None,
        log_format: LogFormat::Text,
        debug: false,
        arguments: arguments.to_vec(),
        command: Command::Exec(exec),
    })
}

/// What follows an option, if it cannot be one itself.
fn value<'a>(words: &mut Iter<'a, OsString>) -> Option<&'a str> {
    let word = words.next()?.to_str()?;
    (!word.is_empty() && !word.starts_with('-')).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Vec<OsString> {
        std::iter::once(&"nsinit").chain(words).map(OsString::from).collect()
    }

    #[test]
    fn what_is_usual_is_understood() {
        for words in [
            &["exec"][..],
            &["exec", "sh"],
            &["exec", "sh", "-c", "echo --root", "--", "--help"],
            &["--root", "/srv/koye", "exec", "--quiet", "sh"],
            &["exec", "--user", "www", "--env", "LANG=C", "--env", "A=", "--cwd", "/", "id"],
            &["exec", "--tty", "--root", "exec", "exec"],
            &["exec", "--bind", ".:/src:rw", "--network", "none"],
        ] {
            assert!(exec(&line(words)).is_some(), "{words:?}");
        }
    }

    /// All lines of few words: what is understood here the parser understands, too, and
    /// in the same way.
    #[test]
    fn nothing_is_understood_in_another_way_than_by_the_parser() {
        let words = "exec --root --quiet --tty --env --user --cwd --bind --network --help -x --";
        let words: Vec<&str> = words.split(' ').chain(["A=b", "=b", "/x", "host", ""]).collect();
        let mut lines = vec![vec![], vec!["exec"]];
        let mut understood = 0;
        for _ in 0..4 {
            let longer = |line: &Vec<&'static str>| {
                let line = line.clone();
                words.iter().map(move |word| line.iter().chain([word]).copied().collect())
            };
            lines = lines.iter().flat_map(longer).collect();
            for words in &lines {
                let words = line(words);
                let Some(ours) = exec(&words) else { continue };
                let parsed = CommandLine::parse_arguments(words.clone());
                let parsed = parsed.unwrap_or_else(|error| panic!("{words:?}: {error}"));
                assert_eq!(format!("{ours:?}"), format!("{parsed:?}"), "{words:?}");
                understood += 1;
            }
        }
        assert!(understood > 1000, "{understood}");
    }
}
