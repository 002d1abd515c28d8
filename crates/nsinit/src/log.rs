//! Parent: one line for each thing that happens, where that is asked for.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use serde::Serialize;

use crate::error::{Error, Result};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Info,
    Debug,
}

/// Where events go.
#[derive(Debug)]
enum Sink {
    None,
    Stderr,
    File(File),
}

/// Events of one command.
#[derive(Debug)]
pub(crate) struct Log {
    sink: Sink,
    format: LogFormat,
    /// Every part of a launch, too.
    debug: bool,
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: Level,
    pid: i32,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Log {
    pub(crate) const NONE: Log = Log { sink: Sink::None, format: LogFormat::Text, debug: false };

    /// `none`, `stderr`, or the path of a file.
    ///
    /// The file may lie where the container can write: a link at its name is refused,
    /// and a pipe without a reader does not stop the launcher.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(crate) fn open(place: &OsStr, format: LogFormat, debug: bool) -> Result<Log> {
        let sink = match place.to_str() {
            Some("none") => Sink::None,
            Some("stderr") => Sink::Stderr,
            _ => {
                let path = Path::new(place);
                let file = open_file(path, OpenOptions::new().append(true));
                Sink::File(file.map_err(Error::path("open the log", path))?)
            }
        };
        Ok(Log { sink, format, debug })
    }

    /// Whether every part of a launch is written.
    pub(crate) fn takes_debug(&self) -> bool {
        self.debug && !matches!(self.sink, Sink::None)
    }

    /// Whether what is said on standard error has to be a line of JSON.
    pub(crate) fn is_json_on_stderr(&self) -> bool {
        matches!(self.sink, Sink::Stderr) && self.format == LogFormat::Json
    }

    /// What the command does.
    pub(crate) fn event(&self, message: fmt::Arguments<'_>) {
        if !matches!(self.sink, Sink::None) {
            self.write(Level::Info, own_pid(), Duration::ZERO, &message.to_string(), None);
        }
    }

    /// What a process has done, that long ago.
    pub(crate) fn debug(&self, pid: i32, ago: Duration, message: &str) {
        if self.takes_debug() {
            self.write(Level::Debug, pid, ago, message, None);
        }
    }

    /// Why the command fails. On standard error people are told otherwise.
    pub(crate) fn failed(&self, error: &Error) {
        if matches!(self.sink, Sink::File(_)) || self.is_json_on_stderr() {
            let hint = error.hint();
            let message = error.to_string();
            self.write(Level::Error, own_pid(), Duration::ZERO, &message, hint.as_deref());
        }
    }

    /// A full disk or a slow reader does not stop the launcher: a line that cannot be
    /// written is lost.
    fn write(&self, level: Level, pid: i32, ago: Duration, message: &str, hint: Option<&str>) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = utc(time.saturating_sub(ago));
        let line = match self.format {
            LogFormat::Text => {
                let error = if level == Level::Error { "error: " } else { "" };
                format!("{time} nsinit[{pid}]: {error}{}\n", escaped(message))
            }
            LogFormat::Json => {
                let line = Line { time, level, pid, msg: message, hint };
                ascii(&serde_json::to_string(&line).unwrap_or_default()) + "\n"
            }
        };
        let _ = match &self.sink {
            Sink::None => Ok(()),
            Sink::Stderr => io::stderr().write_all(line.as_bytes()),
            Sink::File(file) => { file }.write_all(line.as_bytes()),
        };
    }
}

/// Opens a file of the caller's choice, or makes it: never through a link at its name.
pub(crate) fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    match options.create(true).mode(0o600).custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            Err(io::Error::other("is a symbolic link, which is not followed here"))
        }
        other => other,
    }
}

pub(crate) fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// On one line, without anything that moves a cursor or reverses a text: part of it may
/// come from inside a container.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\'' => c.to_string(),
        c => c.escape_debug().to_string(),
    };
    text.chars().map(escape).collect()
}

/// The same JSON in printable ASCII: exact for a tool, and harmless for a terminal.
pub(crate) fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            ' '..='~' | '\n' => text.push(c),
            c => text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04x}"))),
        }
    }
    text
}

/// Time since 1970 as RFC 3339 has it.
fn utc(time: Duration) -> String {
    let (mut days, seconds) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    let is_leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    let february = 28 + u64::from(is_leap(year));
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        (days, month) = (days - length, month + 1);
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (day, micros) = (days + 1, time.subsec_micros());
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_and_a_time_of_day() {
        let utc = |seconds| utc(Duration::from_secs(seconds));
        assert_eq!(utc(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59.000000Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00.000000Z");
        assert_eq!(utc(1_735_689_599), "2024-12-31T23:59:59.000000Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn what_moves_a_cursor_or_reverses_a_text_is_escaped() {
        let evil = "a\n\u{1b}[2J\u{9b}2J\u{202e}\u{7f} 'é' \"\u{1f600}\"";
        assert_eq!(escaped(evil), "a\\n\\u{1b}[2J\\u{9b}2J\\u{202e}\\u{7f} 'é' \"\u{1f600}\"");
        let json = ascii(&serde_json::to_string(evil).unwrap());
        assert!(json.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), evil);
    }
}
