//! Parent: AppArmor by securityfs, and the profiles that come with this crate.

use std::fmt::Write;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Module};
use crate::label::Label;

const ENABLED: &str = "/sys/module/apparmor/parameters/enabled";
const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";

/// What the kernel said about AppArmor.
#[derive(Debug)]
pub struct AppArmor {
    /// Where the names of the loaded profiles are, if AppArmor is on.
    profiles: Option<PathBuf>,
}

impl AppArmor {
    pub(crate) fn init() -> Result<AppArmor, Error> {
        let on = match fs::read(ENABLED) {
            Ok(answer) => answer.starts_with(b"Y"),
            Err(source) if source.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(Error::io(ENABLED, source)),
        };
        Ok(AppArmor { profiles: on.then(|| PathBuf::from(PROFILES)) })
    }

    /// Whether AppArmor is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.profiles.is_some()
    }

    /// The profile for a program, from execve on.
    ///
    /// Whether it is loaded is checked where the list may be read (root, with securityfs mounted);
    /// else the kernel answers for it in [`Label::apply`].
    ///
    /// # Errors
    /// [`Error::Disabled`] on a host without AppArmor, [`Error::NotLoaded`] for a profile that the
    /// kernel does not have, [`Error::Invalid`] for a name that cannot be one.
    pub fn exec_profile(&self, profile: &str) -> Result<Label, Error> {
        let Some(profiles) = &self.profiles else {
            return Err(Error::Disabled { module: Module::AppArmor, asked: profile.to_owned() });
        };
        if profile.trim().is_empty() || profile.len() > 4095 {
            return Err(Error::invalid("profile", profile, "empty or longer than 4095 bytes"));
        } else if profile.chars().any(char::is_control) {
            return Err(Error::invalid("profile", profile, "a control character"));
        }
        // The list has neither `unconfined`, nor what is in another namespace, nor stacks.
        let listed =
            profile != "unconfined" && !profile.starts_with(':') && !profile.contains("//&");
        if listed && is_loaded(profiles, profile)? == Some(false) {
            return Err(Error::NotLoaded { profile: profile.to_owned() });
        }
        Ok(Label::apparmor(profile))
    }
}

/// Whether the list has the profile; `None` where the caller may not read it.
fn is_loaded(profiles: &Path, profile: &str) -> Result<Option<bool>, Error> {
    use io::ErrorKind::{NotFound, PermissionDenied};
    let list = match fs::File::open(profiles) {
        Ok(list) => BufReader::new(list),
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => return Ok(None),
        Err(source) => return Err(Error::io(profiles, source)),
    };
    for line in list.split(b'\n') {
        let line = line.map_err(|source| Error::io(profiles, source))?;
        // `NAME (MODE)`; a name may have spaces.
        let name = line.strip_prefix(profile.as_bytes());
        if name.is_some_and(|mode| mode.starts_with(b" (") && mode.ends_with(b")")) {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}

/// The text of the profile `nsinit-default`, in the syntax of AppArmor 3, for an administrator to
/// load (`apparmor_parser -r`): no mounts, no writing to the parts of `/proc` and `/sys` that
/// belong to the host, all else allowed.
#[must_use]
pub fn default_apparmor_profile() -> &'static str {
    include_str!("../profiles/nsinit-default")
}

/// The text of a profile that lets the program at `executable`, an absolute path, make user
/// namespaces where AppArmor restricts them (Ubuntu 23.10 and newer), and confines it in no other
/// way.
#[must_use]
pub fn apparmor_profile_for_executable(executable: &Path) -> String {
    let path = quoted(executable);
    format!(
        "# Lets this program make user namespaces; it is not confined otherwise.\n\
         # Load with: apparmor_parser -r FILE\n\
         abi <abi/4.0>,\n\
         \n\
         profile nsinit {path} flags=(unconfined) {{\n  userns,\n}}\n"
    )
}

/// A path in quotes, for which AppArmor takes each character as itself (apparmor.d(5)).
fn quoted(path: &Path) -> String {
    let mut text = String::from("\"");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' | b'*' | b'?' | b'[' | b']' | b'{' | b'}' | b'^' | b',' | b'@' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            0x20..=0x7e => text.push(char::from(*byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(text, "\\{byte:03o}"),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(list: &str) -> (AppArmor, PathBuf) {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("nsinit-profiles-{}-{number}", std::process::id());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, list).unwrap();
        (AppArmor { profiles: Some(file.clone()) }, file)
    }

    #[test]
    fn only_loaded_profiles() {
        let (apparmor, file) = on("nsinit-default (enforce)\nmy profile (complain)\nab (kill)\n");
        for profile in ["nsinit-default", "my profile", "unconfined", ":ns:x", "a//&b"] {
            assert_eq!(apparmor.exec_profile(profile).unwrap().to_string(), profile);
        }
        for profile in ["a", "nsinit-default (enforce)", "nsinit", "b", "my"] {
            let told = apparmor.exec_profile(profile).unwrap_err().to_string();
            let expected = format!("AppArmor profile {profile:?}: not loaded into the kernel");
            assert_eq!(told, expected);
        }
        for profile in ["", " ", "a\n", "a\0b"] {
            let result = apparmor.exec_profile(profile);
            assert!(matches!(result, Err(Error::Invalid { .. })), "{profile:?}");
        }
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_list_that_cannot_be_read_leaves_it_to_the_kernel() {
        let apparmor = AppArmor { profiles: Some(PathBuf::from("/nonexistent/profiles")) };
        assert!(apparmor.exec_profile("some").is_ok());
    }

    #[test]
    fn disabled_is_told_with_the_profile() {
        let told = AppArmor { profiles: None }.exec_profile("p").unwrap_err().to_string();
        assert_eq!(told, "AppArmor is not enabled on this host, but profile \"p\" was asked for");
    }

    #[test]
    fn the_executables_path_is_literal() {
        let text = apparmor_profile_for_executable(Path::new("/opt/a b/n*s\"\n"));
        assert!(text.contains("profile nsinit \"/opt/a b/n\\*s\\\"\\012\" flags=(unconfined) {\n"));
        assert!(text.contains("  userns,\n"));
    }

    #[test]
    fn the_default_profile_has_its_name_and_denies_mounts() {
        let text = default_apparmor_profile();
        for needed in ["profile nsinit-default ", "abi <abi/3.0>,", "deny mount,", "sysrq-trigger"]
        {
            assert!(text.contains(needed), "{needed}");
        }
    }
}
