//! Man pages and shell completions of nsinit, made from its command line: `pages DIR`
//! writes them to where they belong below /usr/share.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use nsinit::cli::CommandLine;

/// The directories in which shells look, and the names that they look for.
const COMPLETIONS: [(Shell, &str, &str); 3] = [
    (Shell::Bash, "bash-completion/completions", "nsinit"),
    (Shell::Fish, "fish/vendor_completions.d", "nsinit.fish"),
    (Shell::Zsh, "zsh/site-functions", "_nsinit"),
];

fn main() -> io::Result<()> {
    let directory = std::env::args_os().nth(1);
    let directory = directory.ok_or_else(|| io::Error::other("usage: pages DIR"))?;
    write(Path::new(&directory))
}

fn write(share: &Path) -> io::Result<()> {
    for (shell, directory, name) in COMPLETIONS {
        let directory = share.join(directory);
        fs::create_dir_all(&directory)?;
        let mut file = File::create(directory.join(name))?;
        clap_complete::generate(shell, &mut CommandLine::command(), "nsinit", &mut file);
    }
    let manual = share.join("man/man1");
    fs::create_dir_all(&manual)?;
    // `help` has nothing to say on a page of its own.
    clap_mangen::generate_to(CommandLine::command().disable_help_subcommand(true), &manual)?;
    fs::read_dir(manual)?.try_for_each(|page| name_examples(&page?.path()))
}

/// What comes after the options begins with examples: they get a section of that name, and
/// keep their lines.
fn name_examples(page: &Path) -> io::Result<()> {
    let text = fs::read_to_string(page)?;
    let missing = || io::Error::other(format!("{}: no examples", page.display()));
    let (before, after) = text.split_once(".SH EXTRA\nExamples:\n").ok_or_else(missing)?;
    let mut lines = after.lines().peekable();
    let mut renamed = format!("{before}.SH EXAMPLES\n.nf\n");
    while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
        renamed.extend([line, "\n"]);
    }
    renamed.push_str(".fi\n");
    lines.for_each(|line| renamed.extend([line, "\n"]));
    fs::write(page, renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_examples_and_every_shell_knows_every_command() {
        let share = std::env::temp_dir().join(format!("nsinit-pages-{}", std::process::id()));
        write(&share).expect("pages");
        let read = |file: &str| fs::read_to_string(share.join(file)).expect(file);
        let completions =
            COMPLETIONS.map(|(_, directory, name)| read(&format!("{directory}/{name}")));
        for command in CommandLine::command().get_subcommands() {
            let name = command.get_name();
            assert!(read(&format!("man/man1/nsinit-{name}.1")).contains(".SH EXAMPLES\n"));
            assert!(completions.iter().all(|text| text.contains(name)), "{name}");
        }
        assert!(read("man/man1/nsinit.1").contains("nsinit exec sh"));
        fs::remove_dir_all(share).expect("own directory");
    }
}
