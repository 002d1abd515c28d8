//! Parent: what both tests share: how one is left that cannot run here.

/// Says why a test is left, or panics under `NSINIT_TEST_REQUIRE=1`.
pub fn skip(what: &str) {
    let text = format!("SKIPPED: needs {what}");
    assert!(std::env::var_os("NSINIT_TEST_REQUIRE").is_none(), "{text}");
    eprintln!("{text}");
}
