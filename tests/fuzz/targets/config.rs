//! The loader of `container.json`: whatever the bytes are, an answer with a place.

#![no_main]

use std::fs::File;
use std::io::{Seek, Write};

use nsinit_config::{ConfigFile, Container, Faults};
use rustix::fs::{MemfdFlags, memfd_create};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut file = File::from(memfd_create("container.json", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    let file = ConfigFile::read(file, "c").unwrap();
    match file.parse() {
        Ok(container) => comes_back(&container),
        Err(faults) => are_told(&file, &faults),
    }
});

fn comes_back(container: &Container) {
    assert!(container.validate().is_ok());
    let text = container.to_json_pretty();
    assert_eq!(Container::from_str(&text, "again").as_ref(), Ok(container));
}

fn are_told(file: &ConfigFile, faults: &Faults) {
    assert!((1..=20).contains(&faults.len()));
    for fault in faults {
        assert!(fault.line.is_some() && fault.column.is_some());
        let suggestion = fault.suggestion.as_deref().unwrap_or_default();
        for text in [&*fault.path, &*fault.message, suggestion] {
            assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
            assert!(text.len() < 5000, "{text:?}");
        }
    }
    for fault in faults.iter().take(1) {
        assert_eq!(file.fault_at(&fault.path, "no".to_owned(), None).len(), 1);
    }
    let text = faults.to_string();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    let records: serde_json::Value = serde_json::from_str(&faults.to_json()).unwrap();
    assert_eq!(records.as_array().map(Vec::len), Some(faults.len()));
    assert!(faults.coloured().to_string().len() > text.len());
}
