//! A static program with the feature `override`: what C functions of the program and of musl itself allocate is in our heap, and
//! what they are given wrongly is reported.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[global_allocator]
static GLOBAL: ferrimalloc::MiMalloc = ferrimalloc::MiMalloc;

unsafe extern "C" {
    fn mi_is_in_heap_region(block: *const c_void) -> bool;
    fn mi_register_error(on_error: unsafe extern "C" fn(i32, *mut c_void), argument: *mut c_void);
}

static ERRORS: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn on_error(_code: i32, _argument: *mut c_void) {
    ERRORS.fetch_add(1, Relaxed);
}

fn main() {
    let ours = |what: &str, block: *mut c_void| {
        // SAFETY: asked for any address; the block is musl's to give, and not used again.
        unsafe {
            assert!(mi_is_in_heap_region(block), "{what} has a heap of its own");
            libc::free(block);
        }
    };
    // SAFETY: C functions with the arguments that they want.
    unsafe {
        ours("malloc", libc::malloc(100));
        ours("calloc", libc::calloc(100, 100));
        ours("realloc", libc::realloc(libc::malloc(10), 100_000));
        ours("aligned_alloc", libc::aligned_alloc(64, 640));
        let mut block = ptr::null_mut();
        assert_eq!(libc::posix_memalign(&mut block, 4096, 10), 0);
        ours("posix_memalign", block);
        ours("strdup", libc::strdup(c"a text".as_ptr()).cast());
        ours("realpath", libc::realpath(c"/".as_ptr(), ptr::null_mut()).cast());
        ours("getcwd", libc::getcwd(ptr::null_mut(), 0).cast());
        ours("getline", first_line(c"/proc/self/stat"));
        // More handlers than musl has room for: it allocates by a name of its own.
        (0..100).for_each(|_| assert_eq!(libc::atexit(nothing), 0));

        mi_register_error(on_error, ptr::null_mut());
        libc::free((&raw mut block).cast::<u8>().add(1).cast());
    }
    assert_eq!(ERRORS.load(Relaxed), 1, "a wild pointer was freed");
    let threads: Vec<_> = (0..8).map(|n| std::thread::spawn(move || vec![n; 1000].iter().sum::<usize>())).collect();
    let sums: Vec<usize> = threads.into_iter().map(|thread| thread.join().expect("no thread fails")).collect();
    assert_eq!(sums[7], 7000);
    println!("one heap");
}

extern "C" fn nothing() {}

/// What `getline` has allocated for it.
unsafe fn first_line(path: &CStr) -> *mut c_void {
    let (mut line, mut room) = (ptr::null_mut(), 0);
    // SAFETY: a file that is opened, read and closed, and places for the line and its room.
    unsafe {
        let file = libc::fopen(path.as_ptr(), c"r".as_ptr());
        assert!(libc::getline(&mut line, &mut room, file) > 0);
        libc::fclose(file);
    }
    line.cast()
}
