//! The table of bad input: every way in which a text can be wrong, and what is told
//! where. Run here against the crate, and by the workspace's black-box tests against
//! the program.

pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod networks;
pub(crate) mod process;

/// A text with one fault.
pub(crate) struct Row {
    /// Which input of the table it is: `B1`; empty for what the table has not.
    pub(crate) number: &'static str,
    pub(crate) text: String,
    /// `1:12`.
    pub(crate) position: String,
    /// The key: `mounts[2].destination`.
    pub(crate) path: String,
    /// Words of the message, with `|` between them.
    pub(crate) words: &'static str,
}

/// Number, text, position, key, words.
type Fields<'a> = (&'static str, &'a str, &'a str, &'a str, &'static str);

fn rows(fields: &[Fields<'_>]) -> Vec<Row> {
    let row = |&(number, text, position, path, words): &Fields<'_>| Row {
        number,
        text: text.to_owned(),
        position: position.to_owned(),
        path: path.to_owned(),
        words,
    };
    fields.iter().map(row).collect()
}

/// Values for one key: number, value, words. All of the text is on one line.
fn values(
    before: &str,
    after: &str,
    path: &str,
    fields: &[(&'static str, &str, &'static str)],
) -> Vec<Row> {
    let row = |&(number, value, words): &(&'static str, &str, &'static str)| Row {
        number,
        text: format!("{before}{value}{after}"),
        position: format!("1:{}", before.chars().count() + 1),
        path: path.to_owned(),
        words,
    };
    fields.iter().map(row).collect()
}

/// All rows.
pub(crate) fn all() -> Vec<Row> {
    let groups = [
        json::text(),
        json::kinds(),
        process::program(),
        process::privileges(),
        process::namespaces(),
        process::ids(),
        mounts::places(),
        mounts::options(),
        mounts::sources(),
        mounts::devices(),
        mounts::sizes(),
        limits::memory(),
        limits::cpu(),
        limits::names(),
        limits::unified(),
        networks::interfaces(),
        networks::addresses(),
        networks::names(),
        networks::sysctls(),
    ];
    groups.into_iter().flatten().collect()
}
