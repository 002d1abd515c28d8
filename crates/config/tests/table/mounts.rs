//! The root file system, mounts and devices.

use super::{Row, rows, values};

pub(crate) fn places() -> Vec<Row> {
    rows(&[
        (
            "B47",
            r#"{"mounts":[{"source":"/a","destination":"data"}]}"#,
            "1:41",
            "mounts[0].destination",
            "must be absolute, got \"data\"",
        ),
        (
            "B47",
            r#"{"mounts":[{"source":"/a","destination":"."}]}"#,
            "1:41",
            "mounts[0].destination",
            "must be absolute, got \".\"",
        ),
        (
            "B48",
            r#"{"mounts":[{"source":"/a","destination":"/../../x"}]}"#,
            "1:41",
            "mounts[0].destination",
            "must not contain \"..\"",
        ),
        (
            "B49",
            r#"{"mounts":[{"source":"/a","destination":"/."}]}"#,
            "1:41",
            "mounts[0].destination",
            "root directory|rootfs",
        ),
        (
            "B50",
            r#"{"mounts":[{"source":"/a","destination":"/x"},{"source":"/b","destination":"//x/"}]}"#,
            "1:76",
            "mounts[1].destination",
            "already the destination of mounts[0]",
        ),
        (
            "B51",
            r#"{"mounts":[{"source":"/a","destination":"/x/y"},{"source":"/b","destination":"/x"}]}"#,
            "1:78",
            "mounts[1].destination",
            "would hide mounts[0]|before",
        ),
    ])
}

pub(crate) fn options() -> Vec<Row> {
    rows(&[
        (
            "B53",
            r#"{"mounts":[{"type":"tmpfs","destination":"/x","options":["nosuidd"]}]}"#,
            "1:58",
            "mounts[0].options[0]",
            "unknown option|\"nosuid\"",
        ),
        (
            "B54",
            r#"{"mounts":[{"type":"tmpfs","destination":"/x","options":["ro","rw"]}]}"#,
            "1:63",
            "mounts[0].options[1]",
            "\"rw\" contradicts \"ro\"",
        ),
        (
            "B55",
            r#"{"mounts":[{"type":"tmpf","destination":"/x"}]}"#,
            "1:20",
            "mounts[0].type",
            "unknown type|\"tmpfs\"",
        ),
        (
            "",
            r#"{"mounts":[{"type":"overlay","destination":"/x"}]}"#,
            "1:20",
            "mounts[0].type",
            "\"overlay\" is reserved",
        ),
        (
            "B56",
            r#"{"mounts":[{"source":"/a","destination":"/./proc//x"}]}"#,
            "1:41",
            "mounts[0].destination",
            "below /proc|/proc/meminfo",
        ),
        (
            "B56",
            r#"{"mounts":[{"type":"tmpfs","destination":"/proc"}]}"#,
            "1:42",
            "mounts[0].destination",
            "only a mount of type proc",
        ),
        (
            "",
            r#"{"mounts":[{"source":"/a","destination":"/dev"}]}"#,
            "1:41",
            "mounts[0].destination",
            "always the container's own",
        ),
    ])
}

pub(crate) fn sources() -> Vec<Row> {
    rows(&[
        ("B58", r#"{"rootfs":"/"}"#, "1:11", "rootfs", "host's root directory"),
        ("B59", r#"{"rootfs":"~/alpine"}"#, "1:11", "rootfs", "not expanded"),
        (
            "B59",
            r#"{"mounts":[{"source":"data","destination":"/x"}]}"#,
            "1:22",
            "mounts[0].source",
            "must be absolute, got \"data\"",
        ),
        (
            "B59",
            r#"{"mounts":[{"source":"$HOME","destination":"/x"}]}"#,
            "1:22",
            "mounts[0].source",
            "must be absolute|not expanded",
        ),
        ("", r#"{"mounts":[{"destination":"/x"}]}"#, "1:12", "mounts[0]", "missing key \"source\""),
        (
            "",
            r#"{"mounts":[{"source":"/a","destination":"/x","private":true,"propagation":"slave"}]}"#,
            "1:75",
            "mounts[0].propagation",
            "contradicts \"private\": true",
        ),
        (
            "",
            r#"{"mounts":[{"source":"/a","destination":"/x","content":""}]}"#,
            "1:56",
            "mounts[0].content",
            "does not apply to type bind",
        ),
        (
            "",
            r#"{"mounts":[{"type":"mqueue","destination":"/x","label":"a:b:c"}]}"#,
            "1:56",
            "mounts[0].label",
            "does not apply to type mqueue",
        ),
        (
            "",
            r#"{"mounts":[{"type":"proc","destination":"/proc","options":["size=1m"]}]}"#,
            "1:60",
            "mounts[0].options[0]",
            "option of tmpfs",
        ),
    ])
}

pub(crate) fn devices() -> Vec<Row> {
    rows(&[
        (
            "B72",
            r#"{"devices":[{"path":"/dev/x","type":"z"}]}"#,
            "1:37",
            "devices[0].type",
            "unknown type|one of c, b, p",
        ),
        (
            "B72",
            r#"{"devices":[{"path":"/dev/x","type":"c","major":-2,"minor":1}]}"#,
            "1:49",
            "devices[0].major",
            "must not be negative, got -2",
        ),
        (
            "B72",
            r#"{"devices":[{"path":"/dev/x","type":"c","major":1,"minor":1,"access":"rwx"}]}"#,
            "1:70",
            "devices[0].access",
            "letters of \"rwm\"",
        ),
    ])
}

pub(crate) fn sizes() -> Vec<Row> {
    let before = r#"{"mounts":[{"type":"tmpfs","destination":"#;
    let path = format!("\"{}\"", "/x".repeat(2100));
    let name = format!("\"/{}\"", "x".repeat(256));
    let long = [
        ("B57", path.as_str(), "has 4200 bytes, a path has at most 4095"),
        ("B57", &name, "has 256 bytes, the limit is 255"),
    ];
    let mut sizes = values(before, "}]}", "mounts[0].destination", &long);
    let before = r#"{"mounts":[{"type":"tmpfs","destination":"/x","options":["#;
    let options = [("", r#""size=1.5g""#, "size takes"), ("", r#""nr_inodes=50%""#, "takes bytes")];
    sizes.extend(values(before, "]}]}", "mounts[0].options[0]", &options));
    let mount = r#"{"type":"tmpfs","destination":"/x"},"#;
    let many = format!("[{}]", mount.repeat(100_001).trim_end_matches(','));
    let limit = [("B60", many.as_str(), "100001 entries, limit 100000")];
    sizes.extend(values("{\"mounts\":", "}", "mounts", &limit));
    sizes
}
