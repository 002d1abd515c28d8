//! passwd(5) and group(5) of an image: hostile bytes make nobody root.
//!
//! An input is a user, additional groups with commas between them, a passwd and a group
//! file, with the byte 0xff between the four.

#![no_main]

use std::io::Read;

use nsinit_security::User;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(4, |byte| *byte == 0xff);
    let mut part = || parts.next();
    let (Some(Ok(user)), Some(Ok(groups))) =
        (part().map(std::str::from_utf8), part().map(std::str::from_utf8))
    else {
        return;
    };
    let groups: Vec<String> =
        groups.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let (passwd_text, group_text) = (part(), part());
    let (mut passwd, mut group) = (passwd_text, group_text);
    let found = User::resolve(
        user,
        &groups,
        passwd.as_mut().map(|text| text as &mut dyn Read),
        group.as_mut().map(|text| text as &mut dyn Read),
    );
    match found {
        Ok(found) => is_what_was_asked_for(user, passwd_text.unwrap_or_default(), &found),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn is_what_was_asked_for(user: &str, passwd: &[u8], found: &User) {
    assert!(found.uid != u32::MAX && found.gid != u32::MAX && !found.groups.contains(&u32::MAX));
    assert_eq!(found.groups.first(), Some(&found.gid));
    assert!(found.home.as_ref().is_none_or(|home| home.starts_with('/')));
    let name = user.split(':').next().unwrap_or_default();
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        assert_eq!(name.parse(), Ok(found.uid), "digits are an id");
    } else if found.uid == 0 && !matches!(name, "" | "root") {
        let fields = |line: &[u8]| line.split(|b| *b == b':').map(<[u8]>::to_vec).collect();
        let lines = passwd.split(|b| *b == b'\n').map(fields);
        let own = |line: &Vec<Vec<u8>>| line.len() >= 4 && line[0] == name.as_bytes();
        let uid = lines.filter(own).map(|line| line[2].clone()).next().unwrap_or_default();
        assert!(!uid.is_empty() && uid.iter().all(|b| *b == b'0'), "{name:?} became root");
    }
}
