//! The C interface of the built library (the file that `FERRIMALLOC_SO` names), loaded beside the fuzzer's own allocator.
//!
//! No block may overlap another; sizes, alignments and zeros are as asked; contents last. The library is built without
//! the fuzzer's instruments, so that inputs are random rather than led by coverage.

#![no_main]

mod common;

use common::{Bytes, count_operations};
use libc::{c_char, c_int, c_void};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::mem::transmute_copy;
use std::os::unix::ffi::OsStringExt;
use std::slice;
use std::sync::OnceLock;

type Heap = *mut c_void;

/// Functions of the interface, by their C names.
macro_rules! interface {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        struct Library { $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        impl Library {
            fn load() -> Library {
                let handle = open();
                // SAFETY: the symbols have the types that the header declares.
                unsafe { Library { $($name: transmute_copy(&symbol(handle, concat!(stringify!($name), "\0"))),)* } }
            }
        }
    };
}

interface! {
    mi_malloc: fn(usize) -> *mut u8;
    mi_zalloc: fn(usize) -> *mut u8;
    mi_calloc: fn(usize, usize) -> *mut u8;
    mi_realloc: fn(*mut u8, usize) -> *mut u8;
    mi_rezalloc: fn(*mut u8, usize) -> *mut u8;
    mi_reallocf: fn(*mut u8, usize) -> *mut u8;
    mi_malloc_aligned: fn(usize, usize) -> *mut u8;
    mi_zalloc_aligned: fn(usize, usize) -> *mut u8;
    mi_malloc_aligned_at: fn(usize, usize, usize) -> *mut u8;
    mi_realloc_aligned: fn(*mut u8, usize, usize) -> *mut u8;
    mi_posix_memalign: fn(*mut *mut u8, usize, usize) -> c_int;
    mi_strndup: fn(*const c_char, usize) -> *mut u8;
    mi_free: fn(*mut u8);
    mi_free_size: fn(*mut u8, usize);
    mi_usable_size: fn(*const u8) -> usize;
    mi_good_size: fn(usize) -> usize;
    mi_heap_new: fn() -> Heap;
    mi_heap_malloc: fn(Heap, usize) -> *mut u8;
    mi_heap_zalloc: fn(Heap, usize) -> *mut u8;
    mi_heap_delete: fn(Heap);
    mi_collect: fn(bool);
}

fn open() -> *mut c_void {
    let name = std::env::var_os("FERRIMALLOC_SO").map(OsString::into_vec).expect("FERRIMALLOC_SO names the library");
    let name = CString::new(name).expect("no zero in it");
    // SAFETY: loads a library of ours.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!handle.is_null(), "cannot load {name:?}");
    handle
}

fn symbol(handle: *mut c_void, name: &str) -> *mut c_void {
    // SAFETY: the name ends with a zero.
    let symbol = unsafe { libc::dlsym(handle, name.as_ptr().cast()) };
    assert!(!symbol.is_null(), "{name}");
    symbol
}

fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(Library::load)
}

/// Blocks in use: from address to asked size and the byte that fills it.
#[derive(Default)]
struct World {
    blocks: BTreeMap<usize, (usize, u8)>,
    heaps: Vec<Heap>,
    filler: u8,
    /// Calls that allocate, resize or free, make or end a heap, or collect.
    operations: u64,
}

const MOST: usize = 400;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let mut world = World::default();
    let mut done = 0;
    while !bytes.is_empty() && done < MOST {
        world.step(&mut bytes);
        done += 1;
    }
    world.finish();
    count_operations(world.operations);
});

impl World {
    /// The library, for one operation.
    fn called(&mut self) -> &'static Library {
        self.operations += 1;
        library()
    }

    fn step(&mut self, bytes: &mut Bytes) {
        let (kind, pick) = (bytes.byte() % 32, bytes.byte());
        let size = bytes.size();
        let align = 1usize << (bytes.byte() % 13);
        match kind {
            0..8 => self.allocate(kind, size, align),
            8..13 => self.resize(kind, pick, size, align),
            13..25 => self.free(pick),
            25 => self.heap_new(),
            26..29 => self.heap_malloc(pick, size, kind == 26),
            29 => self.heap_delete(pick),
            // SAFETY: no preconditions.
            _ => unsafe { (self.called().mi_collect)(kind == 31) },
        }
    }

    fn allocate(&mut self, kind: u8, size: usize, align: usize) {
        let library = self.called();
        // SAFETY: any sizes may be asked for; `text` ends with a zero.
        unsafe {
            match kind {
                0 => self.keep_new((library.mi_malloc)(size), size, 8, false),
                1 => self.keep_new((library.mi_zalloc)(size), size, 8, true),
                2 => self.keep_new((library.mi_calloc)(size / 8, 8), size / 8 * 8, 8, true),
                3 => self.keep_new((library.mi_malloc_aligned)(size, align), size, align, false),
                4 => self.keep_new((library.mi_zalloc_aligned)(size, align), size, align, true),
                5 => {
                    let p = (library.mi_malloc_aligned_at)(size + align, align, align);
                    self.keep_new(p, size + align, align, false);
                }
                6 => {
                    let (mut p, align) = (std::ptr::null_mut(), align.max(8));
                    assert_eq!((library.mi_posix_memalign)(&mut p, align, size), 0);
                    self.keep_new(p, size, align, false);
                }
                _ => {
                    let p = (library.mi_strndup)(c"a text of some length".as_ptr(), size);
                    self.keep_new(p, size.min(21) + 1, 1, false);
                }
            }
        }
    }

    /// Enters a block that was not resized: without an alignment it has what is good for its size.
    fn keep_new(&mut self, p: *mut u8, size: usize, align: usize, zeroed: bool) {
        self.keep(p, size, align, zeroed);
        // SAFETY: a block in use.
        let (usable, good) = unsafe { ((library().mi_usable_size)(p), (library().mi_good_size)(size)) };
        assert!(align > 8 || usable >= good, "{size} bytes at {p:p} have {usable}, {good} are good");
    }

    /// Enters a block and fills it.
    fn keep(&mut self, p: *mut u8, size: usize, align: usize, zeroed: bool) {
        assert!(!p.is_null() && (p as usize).is_multiple_of(align), "{size} bytes at {p:p}, aligned to {align}");
        // SAFETY: a block in use.
        let usable = unsafe { (library().mi_usable_size)(p) };
        assert!(usable >= size, "{size} bytes at {p:p} have {usable}");
        let below = self.blocks.range(..p as usize + usable.max(1)).next_back();
        assert!(below.is_none_or(|(start, (size, _))| start + size <= p as usize), "blocks overlap at {p:p}");
        // SAFETY: the block has that many bytes.
        let contents = unsafe { slice::from_raw_parts_mut(p, size) };
        assert!(!zeroed || contents.iter().all(|&byte| byte == 0), "{size} bytes at {p:p} are not zero");
        self.filler = self.filler.wrapping_add(1);
        contents.fill(self.filler);
        self.blocks.insert(p as usize, (size, self.filler));
    }

    fn pick(&self, pick: u8) -> Option<usize> {
        self.blocks.keys().nth(usize::from(pick) % self.blocks.len().max(1)).copied()
    }

    /// Takes a block out, its contents checked.
    fn take(&mut self, pick: u8) -> Option<(*mut u8, usize, u8)> {
        let start = self.pick(pick)?;
        let (size, filler) = self.blocks.remove(&start)?;
        check(start as *mut u8, size, filler);
        Some((start as *mut u8, size, filler))
    }

    fn resize(&mut self, kind: u8, pick: u8, size: usize, align: usize) {
        let Some((old, old_size, filler)) = self.take(pick) else { return };
        let library = self.called();
        // SAFETY: our own block.
        let p = unsafe {
            match kind {
                8 => (library.mi_realloc_aligned)(old, size, align),
                9 => (library.mi_reallocf)(old, size),
                10 => (library.mi_rezalloc)(old, size),
                _ => (library.mi_realloc)(old, size),
            }
        };
        check(p, size.min(old_size), filler);
        self.keep(p, size, if kind == 8 { align } else { 1 }, false);
    }

    fn free(&mut self, pick: u8) {
        let Some((p, size, _)) = self.take(pick) else { return };
        let library = self.called();
        // SAFETY: our own block, which had been asked for with that size.
        unsafe { if pick % 4 == 0 { (library.mi_free_size)(p, size) } else { (library.mi_free)(p) } }
    }

    fn heap_new(&mut self) {
        if self.heaps.len() < 4 {
            // SAFETY: no preconditions.
            let heap = unsafe { (self.called().mi_heap_new)() };
            self.heaps.push(heap);
        }
    }

    fn heap_malloc(&mut self, pick: u8, size: usize, zeroed: bool) {
        if self.heaps.is_empty() {
            return;
        }
        let heap = self.heaps[usize::from(pick) % self.heaps.len()];
        let library = self.called();
        // SAFETY: a live heap.
        let p =
            unsafe { if zeroed { (library.mi_heap_zalloc)(heap, size) } else { (library.mi_heap_malloc)(heap, size) } };
        self.keep(p, size, 8, zeroed);
    }

    /// The heap's blocks live on.
    fn heap_delete(&mut self, pick: u8) {
        if !self.heaps.is_empty() {
            let heap = self.heaps.swap_remove(usize::from(pick) % self.heaps.len());
            // SAFETY: a live heap, which is forgotten.
            unsafe { (self.called().mi_heap_delete)(heap) };
        }
    }

    fn finish(&mut self) {
        (0..self.heaps.len()).for_each(|_| self.heap_delete(0));
        while !self.blocks.is_empty() {
            self.free(1);
        }
    }
}

fn check(p: *const u8, size: usize, filler: u8) {
    // SAFETY: a block in use of at least that size, all written.
    let contents = unsafe { slice::from_raw_parts(p, size) };
    assert!(contents.iter().all(|&byte| byte == filler), "{size} bytes at {p:p} are damaged");
}
