//! A program that uses the crate `mimalloc` with the feature `extended`.

use mimalloc::MiMalloc;

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

#[test]
fn the_version_is_a_number() {
    assert!(GLOBAL.version() >= 30000);
}

#[test]
fn blocks_have_the_usable_size_of_their_class() {
    let text = String::from("allocated");
    // SAFETY: the block lives.
    assert!(unsafe { GLOBAL.usable_size(text.as_ptr()) } >= text.len());
    // SAFETY: null is allowed.
    assert_eq!(unsafe { GLOBAL.usable_size(std::ptr::null()) }, 0);
}

#[cfg(not(feature = "v2"))]
#[test]
fn statistics_are_a_c_string_of_json() {
    let stats = MiMalloc::stats_json().expect("there is memory");
    let text = stats.to_str().expect("JSON is UTF-8");
    assert!(text.starts_with('{') && text.trim_end().ends_with('}'));
}
