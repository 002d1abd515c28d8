//! Parent: why a program cannot be started, in words.

use std::fmt;

use nsinit_namespaces::Denier;
use nsinit_security::CapabilitySet;
use rustix::io::Errno;

use crate::error::errno_text;

/// Why a program cannot be started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no such file.
    NotFound {
        /// The directories that were searched; None for a path.
        searched: Option<String>,
    },
    /// It is a symbolic link that leads nowhere.
    Dangling {
        /// Where it points to.
        target: String,
    },
    /// The file is there, but an interpreter that it needs is not.
    MissingInterpreter(Option<Interpreter>),
    /// The file is there, but execve refused it.
    NotExecutable {
        /// The kernel's answer.
        errno: Errno,
        /// What is the matter, where it could be found out.
        fault: Option<Fault>,
    },
    /// It is the launcher's own executable.
    OwnExecutable,
}

/// An interpreter that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its path, as the file names it.
    pub path: String,
    /// The file that names it, where it is not the program but its interpreter.
    pub needed_by: Option<String>,
    /// How it is named.
    pub by: Naming,
}

/// How a file names its interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By a `#!` line.
    Script,
    /// By a `#!` line with a carriage return at its end.
    DosScript,
    /// As the loader of a dynamically linked program.
    Elf,
}

/// What is the matter with a file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is `a directory`, `a named pipe` or the like.
    Kind(&'static str),
    /// The program's user has no permission to execute it.
    Permission(Permission),
    /// The program's user has no permission to enter a directory on the way to it.
    Directory {
        /// The directory.
        path: String,
        /// Whose it is.
        permission: Permission,
    },
    /// Its mount does not permit execution.
    NoExec {
        /// The mount.
        mount: String,
    },
    /// There is nothing in it.
    Empty,
    /// It is neither a program nor does it begin with `#!`.
    Text,
    /// Its `#!` line names nobody.
    NoInterpreter,
    /// A byte-order mark stands before its `#!`.
    ByteOrderMark,
    /// It is a program of another operating system.
    Foreign(&'static str),
    /// It is built for another machine.
    Machine {
        /// Which one.
        built_for: String,
        /// What this kernel executes.
        host: String,
    },
    /// Its ELF headers are damaged.
    Damaged,
    /// It has capabilities that the container does not give (capabilities(7)).
    Capabilities(CapabilitySet),
    /// Somebody has it open for writing.
    Busy,
    /// One argument, or one variable of the environment, is too long.
    LongString {
        /// Its bytes.
        bytes: u64,
    },
    /// The arguments and the environment together are too long.
    LongArguments {
        /// Their bytes.
        bytes: u64,
        /// How many there may be.
        limit: u64,
    },
    /// A limit on processes is reached.
    Limit(Denier),
    /// The policy does not give it this SELinux label with no_new_privs.
    Transition(String),
    /// A security module refused it, as the kernel's log says.
    Refused(String),
    /// It needs an interpreter, and that is what cannot be executed.
    Interpreter {
        /// The interpreter.
        path: String,
        /// What is the matter with it.
        fault: Box<Fault>,
    },
}

/// Who may do what with a file, in the container's own ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The mode bits.
    pub mode: u32,
    /// Owner and group; None for one that does not exist in the container.
    pub owner: (Option<u32>, Option<u32>),
    /// The program's user.
    pub user: u32,
}

/// One argument or variable may have as many bytes, with its NUL (`MAX_ARG_STRLEN`).
pub(crate) const LONGEST_STRING: u64 = 128 << 10;

impl Reason {
    /// What would help.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Reason::MissingInterpreter(Some(interpreter)) => interpreter.hint(),
            Reason::NotExecutable { fault: Some(fault), .. } => fault.hint(),
            _ => None,
        }
    }

    /// 127 for what is not there, 126 for what cannot be executed, as shells do.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Reason::NotFound { .. } | Reason::Dangling { .. } | Reason::MissingInterpreter(_) => {
                127
            }
            Reason::NotExecutable { .. } | Reason::OwnExecutable => 126,
        }
    }
}

impl Interpreter {
    fn hint(&self) -> Option<String> {
        let library = |name: &str| self.path.contains(name);
        Some(match self.by {
            Naming::DosScript => {
                "the file has the line ends of DOS: remove them (sed -i 's/\\r$//' FILE)".into()
            }
            Naming::Script => "put it into the container, or name one that is there".into(),
            Naming::Elf if library("ld-linux") => {
                "it is linked for glibc, which the container does not have: take a program that \
                 is built statically or for the container's C library"
                    .into()
            }
            Naming::Elf if library("ld-musl") => {
                "it is linked for musl, which the container does not have: take a program that is \
                 built statically or for the container's C library"
                    .into()
            }
            Naming::Elf => "it is linked dynamically: put its loader and its libraries into the \
                            container, or take one that is built statically"
                .into(),
        })
    }
}

impl Fault {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Fault::Permission(Permission { mode, .. }) if mode & 0o111 == 0 => {
                "nobody may execute it: chmod +x".into()
            }
            Fault::Permission(_) | Fault::Directory { .. } => {
                "run as another user (--user), or change its mode or owner".into()
            }
            Fault::NoExec { .. } => {
                "leave noexec out of its options, or mount it otherwise on the host".into()
            }
            Fault::Empty | Fault::Text | Fault::NoInterpreter => {
                "a script begins with the path of its interpreter: #!/bin/sh".into()
            }
            Fault::ByteOrderMark => "save it without the mark".into(),
            Fault::Machine { host, .. } => format!(
                "take a root filesystem for {host}, or register an emulator on the host \
                 (qemu-user-static, binfmt_misc)"
            ),
            Fault::Capabilities(missing) => {
                let names: Vec<_> = missing.iter().map(|name| format!("\"{name}\"")).collect();
                format!("give them to it: \"capabilities_add\": [{}]", names.join(", "))
            }
            Fault::LongString { .. } | Fault::LongArguments { .. } => {
                "hand them over in a file or on standard input".into()
            }
            Fault::Limit(limit) => limit.remedy()?,
            Fault::Transition(_) => {
                "the policy has to allow it (nnp_transition of process2), or do without: \
                 \"no_new_privileges\": false"
                    .into()
            }
            Fault::Refused(record) => record.clone(),
            Fault::Interpreter { fault, .. } => fault.hint()?,
            _ => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotFound { searched: Some(searched) } if searched.is_empty() => {
                f.write_str("executable file not found in $PATH, which the environment has not")
            }
            Reason::NotFound { searched: Some(searched) } => {
                write!(f, "executable file not found in $PATH of the container ({searched})")
            }
            Reason::NotFound { searched: None } => f.write_str("no such file or directory"),
            Reason::Dangling { target } => {
                write!(f, "is a symbolic link to {target}: no such file or directory")
            }
            Reason::MissingInterpreter(Some(interpreter)) => interpreter.fmt(f),
            Reason::MissingInterpreter(None) => f.write_str(
                "the file is there, but the interpreter that it names is not \
                 (its #! line or ELF loader): no such file or directory",
            ),
            Reason::NotExecutable { errno, fault: None } => f.write_str(&errno_text(*errno)),
            Reason::NotExecutable { errno, fault: Some(fault) } => {
                write!(f, "{fault}: {}", errno_text(*errno))
            }
            Reason::OwnExecutable => {
                f.write_str("is the container runtime itself, which is never started inside")
            }
        }
    }
}

impl fmt::Display for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.needed_by {
            Some(file) => write!(f, "is run by {file}, whose")?,
            None => f.write_str("its")?,
        }
        match self.by {
            Naming::Script => write!(f, " #! line names {}", self.path)?,
            Naming::DosScript => {
                write!(f, " #! line ends with a carriage return, and so names {:?}", self.path)?;
            }
            Naming::Elf => write!(f, " ELF interpreter is {}", self.path)?,
        }
        f.write_str(": no such file or directory")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kind(kind) => write!(f, "is {kind}"),
            Fault::Permission(permission) => write!(f, "may not be executed by {permission}"),
            Fault::Directory { path, permission } => {
                write!(f, "{path} may not be entered by {permission}")
            }
            Fault::NoExec { mount } => write!(f, "{mount} is mounted noexec"),
            Fault::Empty => f.write_str("is empty"),
            Fault::Text => f.write_str("is no program, and no script either: it has no #! line"),
            Fault::NoInterpreter => f.write_str("its #! line names no interpreter"),
            Fault::ByteOrderMark => f.write_str("begins with a byte-order mark, not with #!"),
            Fault::Foreign(system) => write!(f, "is a program for {system}"),
            Fault::Machine { built_for, host } => {
                write!(f, "is built for {built_for}, and this kernel runs {host}")
            }
            Fault::Damaged => f.write_str("is an ELF file that is cut off or damaged"),
            Fault::Capabilities(missing) => {
                write!(f, "has file capabilities that the container lacks ({missing})")
            }
            Fault::Busy => f.write_str("is open for writing"),
            Fault::LongString { bytes } => {
                let most = LONGEST_STRING - 1;
                write!(
                    f,
                    "an argument or a variable has {bytes} bytes, at most {most} are possible"
                )
            }
            Fault::LongArguments { bytes, limit } => write!(
                f,
                "arguments and environment have {bytes} bytes, at most {limit} are possible (a \
                 quarter of the stack's limit)"
            ),
            Fault::Limit(limit) => write!(f, "{limit} is used up"),
            Fault::Transition(label) => write!(f, "may not become {label} with no_new_privs"),
            Fault::Refused(_) => f.write_str("a security module refused it"),
            Fault::Interpreter { path, fault } => write!(f, "its interpreter {path} {fault}"),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = |id: Option<u32>| id.map_or("nobody here".to_owned(), |id| id.to_string());
        let (owner, group) = (id(self.owner.0), id(self.owner.1));
        write!(f, "user {} (mode {:04o}, owner {owner}:{group})", self.user, self.mode)
    }
}
