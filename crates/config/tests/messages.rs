//! The exact text of messages.

use nsinit_config::{Container, Mount};

fn message(text: &str) -> String {
    Container::from_str(text, "container.json").expect_err(text).to_string()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(message(text), expected.trim_matches('\n'));
}

#[test]
fn a_relative_destination() {
    let text = r#"{
  "mounts": [
    { "source": "/srv", "destination": "data" }
  ]
}"#;
    check(
        text,
        r#"
container.json:3:40: mounts[0].destination: must be absolute, got "data"
 3 |     { "source": "/srv", "destination": "data" }
   |                                        ^^^^^^
   help: did you mean "/data"?
"#,
    );
}

#[test]
fn an_unknown_key_is_marked_itself() {
    check(
        r#"{ "hostnme": "koye" }"#,
        r#"
container.json:1:3: hostnme: unknown key
 1 | { "hostnme": "koye" }
   |   ^^^^^^^^^
   help: did you mean "hostname"?
"#,
    );
}

#[test]
fn a_size_in_words() {
    check(
        r#"{"cgroups": {"memory": "512m"}}"#,
        r#"
container.json:1:24: cgroups.memory: must be a whole number, got "512m"
 1 | {"cgroups": {"memory": "512m"}}
   |                        ^^^^^^
   help: use 536870912
"#,
    );
}

#[test]
fn a_reserved_key() {
    check(
        r#"{"hooks": {}}"#,
        r#"
container.json:1:2: hooks: reserved for a later version
 1 | {"hooks": {}}
   |  ^^^^^^^
   help: remove it
"#,
    );
}

#[test]
fn an_unclosed_brace() {
    check(
        "{\n  \"tty\": true,\n",
        "
container.json:3:1: unclosed { opened at 1:1
 3 | 
   | ^
",
    );
}

#[test]
fn a_duplicate_key() {
    check(
        "{ \"tty\": true,\n  \"tty\": false }",
        "
container.json:2:3: tty: duplicate key, already given at 1:3
 2 |   \"tty\": false }
   |   ^^^^^
   help: keep one of them
",
    );
}

#[test]
fn an_empty_file() {
    check(
        "",
        "
container.json:1:1: file is empty
 1 | 
   | ^
   help: the shortest container.json is {}
",
    );
}

#[test]
fn an_unknown_namespace_hides_what_follows_from_it() {
    check(
        r#"{"hostname": "koye", "namespaces": ["NEWNT", "NEWUST"]}"#,
        r#"
container.json:1:37: namespaces[0]: unknown namespace "NEWNT"
 1 | {"hostname": "koye", "namespaces": ["NEWNT", "NEWUST"]}
   |                                     ^^^^^^^
   help: did you mean "NEWNET"?
container.json:1:46: namespaces[1]: unknown namespace "NEWUST"
 1 | {"hostname": "koye", "namespaces": ["NEWNT", "NEWUST"]}
   |                                              ^^^^^^^^
   help: did you mean "NEWUTS"?
"#,
    );
}

#[test]
fn a_gateway_elsewhere_after_wide_characters() {
    check(
        r#"{"args": ["grüße"], "networks": [{"type": "veth", "context": {"bridge": "br0"}, "address": "10.0.0.2/24", "gateway": "10.0.1.1"}]}"#,
        r#"
container.json:1:118: networks[0].gateway: must be in the subnet of the address, got "10.0.1.1"
 1 | …0.0.0.2/24", "gateway": "10.0.1.1"}]}
   |                          ^^^^^^^^^^
"#,
    );
}

#[test]
fn without_a_text_there_is_no_position() {
    let mut container = Container::default();
    container.mounts.push(Mount::bind("srv", "/data"));
    let faults = container.validate().unwrap_err();
    assert_eq!(faults.to_string(), r#"mounts[0].source: must be absolute, got "srv""#);
    let fault = faults.iter().next().unwrap();
    assert_eq!((fault.line, fault.column), (None, None));
}

#[test]
fn terminals_are_not_driven_by_messages() {
    let text = message("{\"\u{1b}[2J\u{202e}\": 1, \"hostname\": \"\\u001b[31m\"}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
}

#[test]
fn indices_are_those_of_the_text_after_something_was_dropped() {
    let text = r#"{"mounts": [{"destination": 7}, 5, {"source": "/a", "destination": "b"}]}"#;
    let faults = Container::from_str(text, "c").unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["mounts[0].destination", "mounts[1]", "mounts[2].destination"]);
}

#[test]
fn at_most_twenty_faults_are_told() {
    let text = format!("{{\"args\": [{}]}}", ["7"; 50].join(","));
    let faults = Container::from_str(&text, "c").unwrap_err();
    assert_eq!((faults.len(), faults.has_more()), (20, true));
    assert!(faults.to_string().ends_with("these are the first 20"));
}
