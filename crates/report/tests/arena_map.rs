//! The picture of the arenas of a sub-process.

use std::ffi::CStr;
use std::thread;

use ferrimalloc_core::alloc;
use ferrimalloc_core::runtime::{join_subproc, main_subproc, subproc_destroy, subproc_new};
use ferrimalloc_report::print_arenas;

#[test]
fn the_picture_shows_what_slices_are_for() {
    let on_a_thread = || {
        let subproc = subproc_new().unwrap();
        assert!(join_subproc(subproc));
        let picture = || {
            let mut text = String::new();
            print_arenas(&mut |line: &CStr| text.push_str(line.to_str().unwrap()), subproc);
            text
        };
        (0..3).for_each(|_| assert!(!alloc::malloc(64).is_null()));
        let before = picture();
        assert!(before.contains("0 i") && before.contains(" 1 pages;"), "{before}");
        assert!(!alloc::malloc(200_000).is_null());
        let after = picture();
        assert!(after.contains("l---"), "{after}");
        assert!(join_subproc(main_subproc()));
        // SAFETY: the test is done with it.
        assert_eq!(unsafe { subproc_destroy(subproc) }, Ok(()));
    };
    thread::spawn(on_a_thread).join().unwrap();
}
