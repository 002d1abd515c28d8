//! Both: kernel parameters that belong to a namespace, checked in the parent, written in the child.

use std::ffi::CString;
use std::fmt;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::error::Error;
use crate::procfs;

/// A kernel parameter below `/proc/sys` and its value, both checked.
///
/// ```
/// use nsinit_security::{Sysctl, SysctlNamespace};
///
/// let forward = Sysctl::new("net.ipv4.conf.eth0/7.forwarding", "1")?;
/// assert_eq!(forward.namespace(), SysctlNamespace::Net);
/// assert_eq!(forward.path(), "net/ipv4/conf/eth0.7/forwarding");
/// assert!(Sysctl::new("kernel.core_pattern", "|/x").is_err());
/// # Ok::<(), nsinit_security::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    key: String,
    value: String,
    path: String,
    file: CString,
    namespace: SysctlNamespace,
}

/// The kind of namespace that a parameter belongs to; in the host's own it would change the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SysctlNamespace {
    /// System V IPC and POSIX message queues (ipc_namespaces(7)).
    Ipc,
    /// The network (network_namespaces(7)).
    Net,
    /// The domain name (uts_namespaces(7)).
    Uts,
    /// Limits of the user namespace (namespaces(7), "The /proc/sys/user directory").
    User,
}

const IPC: [&str; 8] =
    ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];

/// The kernel takes less than a page.
const MAX_VALUE: usize = 4095;

impl Sysctl {
    /// Parent: checks key and value; only parameters of a namespace are accepted.
    ///
    /// The first separator tells the form, as with sysctl(8): after `.` a `/` stands for a dot in a
    /// name (`net.ipv4.conf.eth0/7.mtu`); after `/` a dot is a dot. An interface between
    /// `net.ipv4.conf` and the last name may have plain dots.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key of no namespace or with odd elements, and for a value that is
    /// empty, longer than 4095 bytes or has control characters other than a tab.
    pub fn new(key: &str, value: &str) -> Result<Sysctl, Error> {
        let elements = elements(key)?;
        let namespace = namespace_of(key, &elements)?;
        let refused = |reason| Err(Error::invalid("value of a sysctl", value, reason));
        if value.trim().is_empty() {
            return refused("empty");
        } else if value.chars().any(|c| c.is_control() && c != '\t') {
            // The kernel takes one line; what follows might be taken by whoever logs it.
            return refused("a control character");
        } else if value.len() > MAX_VALUE {
            return refused("longer than 4095 bytes");
        }
        let path = elements.join("/");
        let file = CString::new(format!("sys/{path}"))
            .map_err(|_| Error::invalid("sysctl", key, "a NUL byte"))?;
        Ok(Sysctl { key: key.to_owned(), value: value.to_owned(), path, file, namespace })
    }

    /// The kind of namespace that has to be the container's own.
    #[must_use]
    pub fn namespace(&self) -> SysctlNamespace {
        self.namespace
    }

    /// The key as it was given.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value as it was given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The file below `/proc/sys`, the same for all spellings of a key.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Child: writes the value, by one write(2), to the file below `proc`: a procfs that nothing
    /// can be mounted over, made by fsmount(2) and not attached. Holds for the namespaces that the
    /// calling thread is in.
    ///
    /// # Errors
    /// ENOENT for a parameter that this kernel or namespace does not have, EINVAL for its value,
    /// EACCES and EPERM without the right, EXDEV and ELOOP where the way leaves `proc`.
    pub fn apply(&self, proc: BorrowedFd<'_>) -> Result<(), Errno> {
        procfs::write_parameter(proc, &self.file, self.value.as_bytes())
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

fn elements(key: &str) -> Result<Vec<String>, Error> {
    let refused = |reason| Err(Error::invalid("sysctl", key, reason));
    if key.len() > 1024 {
        return refused("longer than 1024 bytes");
    }
    let mut elements: Vec<String> = match key.find(['.', '/']).map(|at| key.as_bytes()[at]) {
        Some(b'/') => key.split('/').map(str::to_owned).collect(),
        Some(_) => key.split('.').map(|element| element.replace('/', ".")).collect(),
        None => return refused("not of the form net.ipv4.ip_forward"),
    };
    for element in &elements {
        if element.is_empty() || element == "." || element == ".." || element.len() > 255 {
            return refused("an element that is no name");
        } else if !element.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
            return refused("a character that is in no name");
        }
    }
    let names: Vec<&str> = elements.iter().map(String::as_str).collect();
    let per_interface = matches!(
        names[..],
        ["net", "ipv4" | "ipv6", "conf" | "neigh", _, _, _, ..]
            | ["net", "mpls", "conf", _, _, _, ..]
    );
    if per_interface && !key.starts_with("net/") {
        let last = elements.len() - 1;
        let interface = elements[3..last].join(".");
        elements.splice(3..last, [interface]);
    }
    Ok(elements)
}

fn namespace_of(key: &str, elements: &[String]) -> Result<SysctlNamespace, Error> {
    let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
    match elements[..] {
        ["kernel", name] if IPC.contains(&name) => Ok(SysctlNamespace::Ipc),
        ["fs", "mqueue", _] => Ok(SysctlNamespace::Ipc),
        ["net", _, ..] => Ok(SysctlNamespace::Net),
        ["kernel", "domainname"] => Ok(SysctlNamespace::Uts),
        ["user", _] => Ok(SysctlNamespace::User),
        ["kernel", "hostname"] => {
            Err(Error::invalid("sysctl", key, "the host name has a setting of its own"))
        }
        _ => Err(Error::invalid("sysctl", key, "of no namespace, it would change the host")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SysctlNamespace::{Ipc, Net, User, Uts};

    #[test]
    fn keys_of_namespaces() {
        let cases = [
            ("kernel.msgmax", Ipc, "kernel/msgmax"),
            ("kernel.sem", Ipc, "kernel/sem"),
            ("kernel/shm_rmid_forced", Ipc, "kernel/shm_rmid_forced"),
            ("fs.mqueue.msg_max", Ipc, "fs/mqueue/msg_max"),
            ("net.ipv4.ip_forward", Net, "net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", Net, "net/ipv4/ip_forward"),
            ("net.nf_conntrack_max", Net, "net/nf_conntrack_max"),
            ("net.ipv4.conf.eth0/7.forwarding", Net, "net/ipv4/conf/eth0.7/forwarding"),
            ("net/ipv4/conf/eth0.7/forwarding", Net, "net/ipv4/conf/eth0.7/forwarding"),
            ("net.ipv4.conf.eth0.7.forwarding", Net, "net/ipv4/conf/eth0.7/forwarding"),
            ("net.ipv6.neigh.a.b.c.mcast_solicit", Net, "net/ipv6/neigh/a.b.c/mcast_solicit"),
            ("net.ipv4.conf.all.rp_filter", Net, "net/ipv4/conf/all/rp_filter"),
            ("kernel.domainname", Uts, "kernel/domainname"),
            ("user.max_net_namespaces", User, "user/max_net_namespaces"),
        ];
        for (key, namespace, path) in cases {
            let sysctl = Sysctl::new(key, "1").unwrap();
            assert_eq!((sysctl.namespace(), sysctl.path(), sysctl.key()), (namespace, path, key));
        }
    }

    #[test]
    fn keys_that_would_change_the_host_are_refused() {
        let keys = [
            "kernel.core_pattern",
            "kernel.modprobe",
            "kernel.sysrq",
            "kernel.hostname",
            "kernel",
            "kernel.msgmax.x",
            "kernel.shm_next_id",
            "vm.overcommit_memory",
            "fs.file-max",
            "fs.mqueue",
            "fs.mqueue.a.b",
            "fs.suid_dumpable",
            "dev.tty.ldisc_autoload",
            "netx.a",
            "net",
            "net.",
            ".net.a",
            "/net/a",
            "net//a",
            "net..a",
            "net/../kernel/core_pattern",
            "net.//.kernel.core_pattern",
            "net.ipv4.//.//.kernel.x",
            "net/./a",
            "net/ipv4/ a",
            "net.ipv4.a\nb",
            "net.ipv4.a\0",
            "user.a.b",
            "KERNEL.MSGMAX",
            "user/../kernel/x",
            "",
            "net/ipv4/conf/../../../kernel/core_pattern",
            "net.ipv4.conf./.x",
            "net.é",
        ];
        for key in keys {
            let result = Sysctl::new(key, "1");
            assert!(matches!(result, Err(Error::Invalid { .. })), "{key:?}: {result:?}");
        }
        assert_eq!(
            Sysctl::new("vm.swappiness", "1").unwrap_err().to_string(),
            "sysctl \"vm.swappiness\": of no namespace, it would change the host"
        );
    }

    #[test]
    fn values_are_one_line() {
        let long = "1".repeat(4096);
        for value in ["", " ", "1\n", "1\n2", "1\0", "\u{7f}", "1\r", long.as_str()] {
            assert!(Sysctl::new("kernel.sem", value).is_err(), "{value:?}");
        }
        let sem = Sysctl::new("kernel.sem", "250\t32000 32 128").unwrap();
        assert_eq!(sem.to_string(), "kernel.sem=250\t32000 32 128");
    }
}
