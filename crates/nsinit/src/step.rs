//! Both ends: everything init can do, in one screen.
//!
//! The launcher prepares steps and has the words for them (`Display`); init applies
//! them. `apply` allocates nothing, locks nothing and logs nothing.

use std::ffi::CString;
use std::fmt;

use nsinit_namespaces::{Kinds, Namespace, TimeOffsets};
use nsinit_rootfs as rootfs;
use nsinit_security::{CallFilter, Capabilities, Groups, Label, Rlimit, Sysctl, User};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::handshake::Tag;
use crate::init::Child;
use crate::{init, sys};

/// One thing that init does between clone and execve.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// Die when the launcher dies, or not.
    ParentDeathSignal(Option<Signal>),
    /// Wait for a message of the launcher.
    Await(Tag),
    /// Send a message to the launcher.
    Report(Tag),
    /// Enter the cgroup through files that the launcher opened (v1).
    EnterCgroup,
    /// Join the namespace of a file that the launcher opened.
    JoinNamespace {
        /// Its place among the plan's joined namespaces.
        index: usize,
        /// Its kind.
        kind: Namespace,
        /// The file's path, for messages.
        path: std::path::PathBuf,
    },
    /// Join namespaces of the running container.
    JoinContainer(Kinds),
    /// Go on as a new process, which the joined PID namespace holds.
    EnterPidNamespace,
    /// Open the host's /proc, before a container is joined.
    OpenProcfs,
    /// Leave namespaces that must be made late.
    Unshare(Kinds),
    /// Enter the network namespace that the launcher makes.
    EnterNetwork,
    /// Become user and group 0 of the user namespace.
    BecomeRoot {
        /// Whether setgroups(2) is permitted in it.
        setgroups: bool,
    },
    /// Allow the process to open its own files in /proc.
    Dumpable,
    /// Refuse debuggers and core dumps (prctl(2), `PR_SET_DUMPABLE`) in a process that
    /// stays a copy of the launcher, with its environment, while others are inside.
    NotDumpable,
    /// Become the leader of a new session, without a controlling terminal.
    NewSession,
    /// Bring up the loopback interface of the new network namespace.
    Loopback,
    /// Hand a netlink socket of the network namespace to the launcher.
    SendNetlink,
    /// Furnish the mount namespace.
    Rootfs(rootfs::Step),
    /// Open a terminal of the running container.
    OpenTerminal,
    /// Hand the pty's master to the launcher.
    SendConsole,
    /// Set the host name.
    Hostname(CString),
    /// Set the NIS domain name.
    Domainname(CString),
    /// Set the offsets of a new time namespace, and enter it.
    TimeOffsets(TimeOffsets),
    /// Set a namespaced kernel parameter.
    Sysctl(Sysctl),
    /// Set the OOM killer's preference.
    OomScoreAdj(i16),
    /// Join a new, empty session keyring.
    SessionKeyring,
    /// Set a resource limit.
    Rlimit(Rlimit),
    /// Set the file mode creation mask.
    Umask(u32),
    /// Refuse system calls from here on.
    CallFilter(CallFilter),
    /// Ask for the label that execve is to give.
    Label(Label),
    /// Drop capabilities from the bounding set.
    BoundingSet(Capabilities),
    /// Become the user.
    User {
        /// Ids and groups.
        user: User,
        /// Whether the groups can be set.
        groups: Groups,
    },
    /// Set the capability sets.
    Capabilities(Capabilities),
    /// Forbid gaining privileges by execve.
    NoNewPrivileges,
    /// Read all capability sets back and compare.
    VerifyCapabilities(Capabilities),
    /// Change into the working directory.
    WorkingDirectory(CString),
    /// Close every descriptor but standard input, output and error.
    CloseDescriptors,
    /// Stay as PID 1 and let a child go on to the program.
    StayInit,
    /// Make the terminal (or the launcher's pipes) standard input, output and error.
    Stdio,
    /// Make the terminal the controlling one of the program's session.
    ControllingTerminal,
}

impl Step {
    /// Does it. Child side: allocates nothing.
    pub(crate) fn apply(&self, child: &mut Child<'_>) -> Result<(), Errno> {
        use nsinit_security as security;
        match self {
            Step::ParentDeathSignal(signal) => {
                security::parent_death_signal(*signal)?;
                // The launcher may have died before the signal was armed.
                child.channel.check_launcher()
            }
            Step::Await(tag) => child.wait(*tag),
            Step::Report(tag) => child.channel.send(*tag, None),
            Step::EnterCgroup => child.inherited.enter_cgroup(),
            Step::JoinNamespace { index, .. } => child.inherited.join_namespace(*index),
            Step::JoinContainer(kinds) => child.inherited.join_container(*kinds),
            Step::EnterPidNamespace => init::enter_pid_namespace(child),
            Step::OpenProcfs => child.open_procfs(),
            Step::Unshare(kinds) => nsinit_namespaces::unshare(*kinds),
            Step::EnterNetwork => child.enter_network(),
            Step::BecomeRoot { setgroups } => nsinit_namespaces::become_root(*setgroups),
            Step::Dumpable => security::set_dumpable(true),
            Step::NotDumpable => security::set_dumpable(false),
            Step::NewSession => rustix::process::setsid().map(drop),
            Step::Loopback => child.loopback_up(),
            Step::SendNetlink => child.send_netlink(),
            Step::Rootfs(step) => step.apply(&mut child.rootfs),
            Step::OpenTerminal => child.open_terminal(),
            Step::SendConsole => child.send_console(),
            Step::Hostname(name) => rustix::system::sethostname(name.as_bytes()),
            Step::Domainname(name) => rustix::system::setdomainname(name.as_bytes()),
            Step::TimeOffsets(offsets) => offsets.enter(child.procfs()?),
            Step::Sysctl(sysctl) => sysctl.apply(child.procfs()?),
            Step::OomScoreAdj(score) => security::write_oom_score_adj(child.procfs()?, *score),
            Step::SessionKeyring => security::new_session_keyring(),
            Step::Rlimit(limit) => limit.apply(),
            Step::Umask(mask) => {
                security::set_umask(*mask);
                Ok(())
            }
            Step::CallFilter(filter) => filter.apply(),
            Step::Label(label) => label.apply(child.procfs()?),
            Step::BoundingSet(capabilities) => capabilities.drop_bounding(),
            Step::User { user, groups } => user.apply(*groups),
            Step::Capabilities(capabilities) => capabilities.apply(),
            Step::NoNewPrivileges => security::no_new_privileges(),
            Step::VerifyCapabilities(capabilities) => capabilities.verify(),
            Step::WorkingDirectory(path) => rustix::process::chdir(path.as_c_str()),
            Step::CloseDescriptors => child.close_descriptors(),
            Step::StayInit => init::stay(child),
            Step::Stdio => child.make_stdio(),
            Step::ControllingTerminal => sys::set_controlling_terminal(),
        }
    }
}

/// The words for `nsinit plan`, logs and errors: `mount proc on /proc`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::ParentDeathSignal(Some(signal)) => {
                write!(f, "die by signal {} when the launcher dies", signal.as_raw())
            }
            Step::ParentDeathSignal(None) => f.write_str("outlive the launcher"),
            Step::Await(tag) => write!(f, "wait for the launcher's word {tag:?}"),
            Step::Report(tag) => write!(f, "tell the launcher {tag:?}"),
            Step::EnterCgroup => f.write_str("enter the cgroup"),
            Step::JoinNamespace { kind, path, .. } => {
                write!(f, "join {kind} of {}", path.display())
            }
            Step::JoinContainer(kinds) => write!(f, "join {kinds} of the container"),
            Step::EnterPidNamespace => f.write_str("enter the PID namespace"),
            Step::OpenProcfs => f.write_str("open the host's /proc"),
            Step::Unshare(kinds) => write!(f, "unshare {kinds}"),
            Step::EnterNetwork => f.write_str("enter the network namespace"),
            Step::BecomeRoot { .. } => f.write_str("become root of the user namespace"),
            Step::Dumpable => f.write_str("become dumpable"),
            Step::NotDumpable => f.write_str("become not dumpable"),
            Step::NewSession => f.write_str("start a new session"),
            Step::Loopback => f.write_str("bring up lo"),
            Step::SendNetlink => f.write_str("hand a netlink socket to the launcher"),
            Step::Rootfs(step) => step.fmt(f),
            Step::OpenTerminal => f.write_str("open a terminal in the container"),
            Step::SendConsole => f.write_str("hand the terminal to the launcher"),
            Step::Hostname(name) => write!(f, "set hostname {}", name.to_string_lossy()),
            Step::Domainname(name) => write!(f, "set domainname {}", name.to_string_lossy()),
            Step::TimeOffsets(offsets) => write!(
                f,
                "set time offsets monotonic {} boottime {}",
                offsets.monotonic, offsets.boottime
            ),
            Step::Sysctl(sysctl) => write!(f, "set sysctl {} = {}", sysctl.key(), sysctl.value()),
            Step::OomScoreAdj(score) => write!(f, "set oom_score_adj {score}"),
            Step::SessionKeyring => f.write_str("join a new session keyring"),
            Step::Rlimit(limit) => write!(f, "set rlimit {limit}"),
            Step::Umask(mask) => write!(f, "set umask {mask:04o}"),
            Step::CallFilter(filter) => write!(f, "filter system calls: {filter}"),
            Step::Label(label) => write!(f, "ask for label {label}"),
            Step::BoundingSet(sets) => write!(f, "limit capabilities to {}", sets.bounding),
            Step::User { user, .. } => write_user(user, f),
            Step::Capabilities(sets) => {
                write!(f, "set capabilities permitted {}", sets.permitted)?;
                if !sets.ambient.is_empty() {
                    write!(f, " ambient {}", sets.ambient)?;
                }
                Ok(())
            }
            Step::NoNewPrivileges => f.write_str("set no_new_privs"),
            Step::VerifyCapabilities(_) => f.write_str("verify capabilities"),
            Step::WorkingDirectory(path) => write!(f, "change to {}", path.to_string_lossy()),
            Step::CloseDescriptors => f.write_str("close all other descriptors"),
            Step::StayInit => f.write_str("stay as PID 1"),
            Step::Stdio => f.write_str("set standard input, output and error"),
            Step::ControllingTerminal => f.write_str("make the terminal the controlling one"),
        }
    }
}

fn write_user(user: &User, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "become user {} group {}", user.uid, user.gid)?;
    match user.groups.is_empty() {
        true => Ok(()),
        false => write!(f, " groups {:?}", user.groups),
    }
}
