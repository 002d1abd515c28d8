//! What a finished run printed and how it ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A finished run. The methods compare and return it for the next comparison.
#[derive(Debug)]
pub struct Outcome {
    pub(crate) command: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Outcome {
    /// The exit code is this one.
    #[track_caller]
    pub fn code(&self, expected: i32) -> &Outcome {
        assert!(
            self.status.code() == Some(expected),
            "expected exit code {expected}\n{}",
            self.shown()
        );
        self
    }

    /// The launcher itself was ended by this signal.
    #[track_caller]
    pub fn killed_by(&self, signal: i32) -> &Outcome {
        assert!(
            self.status.signal() == Some(signal),
            "expected death by signal {signal}\n{}",
            self.shown()
        );
        self
    }

    /// Standard output is exactly this.
    #[track_caller]
    pub fn stdout(&self, expected: &str) -> &Outcome {
        assert!(
            self.stdout == expected.as_bytes(),
            "expected on standard output:\n{expected}\n{}",
            self.shown()
        );
        self
    }

    /// Standard output contains this.
    #[track_caller]
    pub fn stdout_has(&self, expected: &str) -> &Outcome {
        assert!(
            self.out().contains(expected),
            "expected within standard output: {expected}\n{}",
            self.shown()
        );
        self
    }

    /// Standard output does not contain this.
    #[track_caller]
    pub fn stdout_lacks(&self, unexpected: &str) -> &Outcome {
        assert!(
            !self.out().contains(unexpected),
            "not expected on standard output: {unexpected}\n{}",
            self.shown()
        );
        self
    }

    /// Standard error contains this.
    #[track_caller]
    pub fn stderr_has(&self, expected: &str) -> &Outcome {
        assert!(
            self.err().contains(expected),
            "expected within standard error: {expected}\n{}",
            self.shown()
        );
        self
    }

    /// Standard error does not contain this.
    #[track_caller]
    pub fn stderr_lacks(&self, unexpected: &str) -> &Outcome {
        assert!(
            !self.err().contains(unexpected),
            "not expected on standard error: {unexpected}\n{}",
            self.shown()
        );
        self
    }

    /// Standard error is exactly this.
    #[track_caller]
    pub fn stderr(&self, expected: &str) -> &Outcome {
        assert!(
            self.stderr == expected.as_bytes(),
            "expected on standard error:\n{expected}\n{}",
            self.shown()
        );
        self
    }

    /// The exit code, or minus the signal that ended the launcher.
    #[must_use]
    pub fn code_or_signal(&self) -> i32 {
        self.status.code().unwrap_or_else(|| -self.status.signal().unwrap_or(0))
    }

    /// Standard output as text.
    #[must_use]
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    pub(crate) fn shown(&self) -> String {
        let Outcome { command, status, .. } = self;
        format!("$ {command}\n{status}\n--- stdout\n{}--- stderr\n{}", self.out(), self.err())
    }
}
