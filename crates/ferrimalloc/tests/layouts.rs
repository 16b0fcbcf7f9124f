//! What a layout says when a block is freed is verified, by its class at level 2 and to the byte from level 3 on, and is right however the
//! block came to its size.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ferrimalloc::MiMalloc;
use ferrimalloc_core::diag;
use ferrimalloc_core::options::{self, Hardening, OptionId};

static TURN: Mutex<()> = Mutex::new(());
static REPORTS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note(_: i32, _: *mut c_void) {
    REPORTS.fetch_add(1, Ordering::Relaxed);
}

/// How many errors are reported while `work` runs in a new thread at this level.
fn reports(secure: u8, work: impl FnOnce() + Send) -> usize {
    let _alone = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    diag::register_error(Some(note), ptr::null_mut());
    options::set(OptionId::ShowErrors, 0);
    options::set_hardening(Hardening { secure, debug: 0 });
    let before = REPORTS.load(Ordering::Relaxed);
    thread::scope(|scope| scope.spawn(work).join().expect("no panic"));
    options::set_hardening(Hardening::NONE);
    REPORTS.load(Ordering::Relaxed) - before
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

#[test]
fn a_right_layout_is_never_reported() {
    for level in 0..=5 {
        let found = reports(level, || {
            for (size, align) in
                [1, 8, 17, 100, 5000, 700_000].into_iter().flat_map(|size| [1, 8, 16, 64, 4096].map(|a| (size, a)))
            {
                // SAFETY: blocks are freed once, with the layout that they were allocated or resized for.
                unsafe {
                    MiMalloc.dealloc(MiMalloc.alloc(layout(size, align)), layout(size, align));
                    let p = MiMalloc.alloc_zeroed(layout(size, align));
                    let p = MiMalloc.realloc(p, layout(size, align), size + 3);
                    let p = MiMalloc.realloc(p, layout(size + 3, align), 3 * size);
                    let p = MiMalloc.realloc(p, layout(3 * size, align), size / 2 + 1) as usize;
                    thread::spawn(move || MiMalloc.dealloc(p as *mut u8, layout(size / 2 + 1, align)))
                        .join()
                        .expect("no panic");
                }
            }
        });
        assert_eq!(found, 0, "level {level}");
    }
}

#[test]
fn a_wrong_layout_is_reported_at_level_two_if_no_block_of_the_class_has_it_and_from_three_on() {
    for (level, due) in [(0, 0), (2, 1), (3, 4), (4, 4), (5, 4)] {
        let found = reports(level, || {
            // SAFETY: the layouts are wrong on purpose; the blocks are freed once all the same.
            unsafe {
                MiMalloc.dealloc(MiMalloc.alloc(layout(100, 4)), layout(96, 4));
                MiMalloc.dealloc(MiMalloc.alloc(layout(100, 4)), layout(104, 4));
                MiMalloc.dealloc(MiMalloc.alloc(layout(900_000, 8)), layout(800_000, 8));
                let p = MiMalloc.alloc(layout(100, 4)) as usize;
                thread::spawn(move || MiMalloc.dealloc(p as *mut u8, layout(50, 2))).join().expect("no panic");
            }
        });
        assert_eq!(found, due, "level {level}");
    }
}
