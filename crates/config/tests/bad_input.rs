//! The table of bad input, told by the crate alone.

mod table;

use std::collections::BTreeMap;

use nsinit_config::Container;

#[test]
fn every_bad_text_is_told_once_at_its_place() {
    for row in table::all() {
        let table::Row { number, text, position, path, words } = row;
        let shown: String = text.chars().take(200).collect();
        let faults = Container::from_str(&text, "c").expect_err(&shown);
        let message = faults.to_string();
        assert_eq!(faults.len(), 1, "{number} {shown}: {message}");
        let fault = faults.iter().next().expect("a fault");
        let at = format!("{}:{}", fault.line.unwrap_or(0), fault.column.unwrap_or(0));
        assert_eq!((&at, &fault.path), (&position, &path), "{number} {shown}: {message}");
        for word in words.split('|') {
            assert!(message.contains(word), "{number} {shown}: no {word:?} in\n{message}");
        }
    }
}

#[test]
fn what_is_nearly_bad_is_accepted() {
    for text in [
        r#"{"args":["a\u00e4\ud83d\ude00"],"environment":["A=","B==","A=2"]}"#,
        r#"{"mounts":[{"type":"tmpfs","destination":"/a.."},{"source":"/","destination":"/b/"}]}"#,
        r#"{"capabilities":["cap_kill","CAP_CHOWN","SETUID"],"user":"0:0"}"#,
        r#"{"oom_score_adj":-1000,"umask":"0777","hostname":"a"}"#,
        r#"{"cgroups":{"memory":4096,"memory_swap":4096,"cpu_shares":2,"name":"a..b"}}"#,
        r#"{"networks":[{"type":"veth","context":{"bridge":"abcdefghijklmno"},"mtu":68}]}"#,
        r#"{"sysctl":{"net.ipv4.ip_forward":"1"},"parent_death_signal":"SIGTERM"}"#,
    ] {
        assert_eq!(Container::from_str(text, "c").map(drop), Ok(()), "{text}");
    }
}

#[test]
fn faults_are_an_array_for_tools() {
    let text = "{\n \"hostnme\": \"a\",\n \"cgroups\": {\"memory\": -1}}";
    let faults = Container::from_str(text, "container.json").unwrap_err();
    let records: Vec<BTreeMap<String, serde_json::Value>> =
        serde_json::from_str(&faults.to_json()).unwrap();
    let told: Vec<String> = records
        .iter()
        .map(|r| {
            let keys: Vec<&str> = r.keys().map(String::as_str).collect();
            assert_eq!(keys, ["column", "file", "line", "message", "path", "suggestion"]);
            format!("{} {} {} {} {}", r["file"], r["line"], r["column"], r["path"], r["suggestion"])
        })
        .collect();
    assert_eq!(
        told,
        [
            r#""container.json" 2 2 "hostnme" "did you mean \"hostname\"?""#,
            r#""container.json" 3 24 "cgroups.memory" null"#,
        ]
    );
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let faults = Container::from_str(r#"{"hostnme": "a", "tty": 1}"#, "c").unwrap_err();
    let coloured = faults.coloured().to_string();
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, faults.to_string());
    assert_ne!(coloured, faults.to_string());
}

#[test]
fn a_near_key_is_one_fault_and_not_two() {
    let text = r#"{"mounts":[{"src":"/a","dst":"/b"},{"sorce":"/a","destination":"/c"}]}"#;
    let faults = Container::from_str(text, "c").unwrap_err();
    let told: Vec<String> =
        faults.iter().map(|f| format!("{} {:?}", f.path, f.suggestion)).collect();
    assert_eq!(
        told,
        [
            r#"mounts[0].src Some("did you mean \"source\"?")"#,
            r#"mounts[0].dst Some("did you mean \"destination\"?")"#,
            r#"mounts[1].sorce Some("did you mean \"source\"?")"#,
        ]
    );
}
