//! The calls that users of `tikv-jemalloc-ctl` make, under its names. One test: they are about the whole process.

use ferrimalloc::MiMalloc;
use ferrimalloc::compat::jemalloc_ctl::{Error, background_thread, epoch, prof, stats};
use std::ffi::CString;

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

const MANY: usize = 20 << 20;

fn numbers_are_those_of_the_last_epoch() {
    assert_eq!(stats::allocated::read(), Ok(0));
    let first = epoch::advance().unwrap();
    let before = stats::allocated::read().unwrap();
    let held = vec![1u8; MANY];
    assert_eq!(stats::allocated::read(), Ok(before));
    assert_eq!(epoch::mib().unwrap().advance(), Ok(first + 1));
    assert_eq!(epoch::read(), Ok(first + 1));
    let after = stats::allocated::mib().unwrap().read().unwrap();
    assert!(after >= before + MANY && after < before + MANY * 5 / 4, "{before} {after}");
    drop(held);
    epoch::advance().unwrap();
    assert!(stats::allocated::read().unwrap() < before + MANY / 4);
}

fn numbers_fit_together() {
    let small: Vec<Box<[u8; 100]>> = (0..10_000).map(|_| Box::new([1; 100])).collect();
    epoch::advance().unwrap();
    let allocated = stats::allocated::read().unwrap();
    let active = stats::active::read().unwrap();
    let resident = stats::resident::read().unwrap();
    let metadata = stats::metadata::read().unwrap();
    assert!(allocated >= 1_000_000 && active >= allocated && resident >= active, "{allocated} {active} {resident}");
    assert!(metadata >= 65_536 && metadata <= resident, "{metadata}");
    assert_eq!(stats::mapped::read(), stats::resident::read());
    assert!(stats::retained::read().unwrap() > 0);
    drop(small);
}

fn the_background_thread_comes_and_goes() {
    background_thread::write(true).unwrap();
    assert_eq!(background_thread::read(), Ok(true));
    assert_eq!(background_thread::update(false), Ok(true));
    assert_eq!(background_thread::read(), Ok(false));
}

fn a_profile_is_written() {
    assert_eq!(prof::active::update(true), Ok(false));
    let held: Vec<Vec<u8>> = (0..200).map(|_| vec![1; 100_000]).collect();
    assert_eq!(prof::active::update(false), Ok(true));
    let path = std::env::temp_dir().join(format!("jemalloc_ctl.{}.heap", std::process::id()));
    let name = CString::new(path.to_str().unwrap()).unwrap();
    prof::dump(&name).unwrap();
    assert_eq!(prof::dump(c"/nowhere/at/all"), Err(Error::NoFile));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(text.starts_with("heap profile: ") && text.contains("heap_v2/524288"), "{}", &text[..100]);
    assert!(text.contains("MAPPED_LIBRARIES:"));
    drop(held);
}

#[test]
fn the_usual_calls() {
    numbers_are_those_of_the_last_epoch();
    numbers_fit_together();
    the_background_thread_comes_and_goes();
    a_profile_is_written();
}
