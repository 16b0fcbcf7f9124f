//! The C runtimes that a process may have, several at once. Each has its own heap: a block goes back to the runtime that it came
//! from. So each has its own functions of ours, which know it by a number.
//!
//! The runtimes of debug builds (`ucrtbased.dll`, `msvcr120d.dll`, …) are none of these: what they put before a block is looked at from outside.

use crate::functions;
use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use ferrimalloc_prim::imports::Module;

pub type Malloc = unsafe extern "C" fn(usize) -> *mut c_void;
pub type Calloc = unsafe extern "C" fn(usize, usize) -> *mut c_void;
pub type Realloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
pub type Recalloc = unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void;
pub type Free = unsafe extern "C" fn(*mut c_void);
pub type Size = unsafe extern "C" fn(*mut c_void) -> usize;
pub type AlignedSize = unsafe extern "C" fn(*mut c_void, usize, usize) -> usize;
pub type AlignedRealloc = unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void;
pub type AlignedRecalloc = unsafe extern "C" fn(*mut c_void, usize, usize, usize) -> *mut c_void;
pub type OffsetMalloc = unsafe extern "C" fn(usize, usize, usize) -> *mut c_void;
pub type OffsetRealloc = unsafe extern "C" fn(*mut c_void, usize, usize, usize) -> *mut c_void;
pub type OffsetRecalloc = unsafe extern "C" fn(*mut c_void, usize, usize, usize, usize) -> *mut c_void;
/// A function to be called at the end, or none.
pub type AtEnd = *const c_void;
pub type DllOnExit = unsafe extern "C" fn(AtEnd, *mut *mut AtEnd, *mut *mut AtEnd) -> AtEnd;
pub type ErrnoPlace = unsafe extern "C" fn() -> *mut c_int;
pub type NewMode = unsafe extern "C" fn() -> c_int;
pub type NewHandler = unsafe extern "C" fn(usize) -> c_int;

const ENOMEM: c_int = 12;

/// A runtime's function.
pub struct Original(AtomicUsize);

impl Original {
    fn address(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn learn(&self, runtime: Module, name: &CStr) {
        self.0.store(runtime.export(name).unwrap_or(0), Ordering::Relaxed);
    }
}

/// Defines a runtime's functions: `replaced` by the one of ours after the arrow, or only `called`. What a runtime lacks is 0, and nobody
/// imports it.
macro_rules! runtime {
    (
        replaced { $($name:ident: $type:ty = $symbol:literal => $ours:ident;)* }
        called { $($called:ident: $called_type:ty = $called_symbol:literal;)* }
    ) => {
        pub struct Runtime {
            file: &'static CStr,
            /// The lowest and the highest address of those that are replaced; `0` until they are known.
            lowest: AtomicUsize,
            highest: AtomicUsize,
            $($name: Original,)*
            $($called: Original,)*
        }

        impl Runtime {
            const fn of(file: &'static CStr) -> Runtime {
                Runtime {
                    file,
                    lowest: AtomicUsize::new(0),
                    highest: AtomicUsize::new(0),
                    $($name: Original(AtomicUsize::new(0)),)*
                    $($called: Original(AtomicUsize::new(0)),)*
                }
            }

            fn learn_functions(&self, module: Module) {
                $(self.$name.learn(module, $symbol);)*
                $(self.$called.learn(module, $called_symbol);)*
                let all = [$(self.$name.address(),)*];
                let known = || all.into_iter().filter(|&address| address != 0);
                self.highest.store(known().max().unwrap_or(0), Ordering::Relaxed);
                self.lowest.store(known().min().unwrap_or(0), Ordering::Relaxed);
            }

            $(
                /// The runtime's own, which there is: only who imports it gets to ours.
                #[allow(dead_code, reason = "names of one function, which is called by one of them")]
                pub fn $name(&self) -> $type {
                    let address: *const () = ptr::with_exposed_provenance(self.$name.address());
                    // SAFETY: the function of that name has this type.
                    unsafe { core::mem::transmute::<*const (), $type>(address) }
                }
            )*
            $(
                fn $called(&self) -> Option<$called_type> {
                    let address: *const () = ptr::with_exposed_provenance(self.$called.address());
                    // SAFETY: the function of that name has this type; null is none.
                    unsafe { core::mem::transmute::<*const (), Option<$called_type>>(address) }
                }
            )*
        }

        /// Ours for what runtime `R` has at an address.
        fn instead_of<const R: usize>(address: usize) -> Option<usize> {
            let runtime = &RUNTIMES[R];
            if address < runtime.lowest.load(Ordering::Relaxed) || address > runtime.highest.load(Ordering::Relaxed) {
                return None;
            }
            $(
                if address == runtime.$name.address() {
                    let ours: $type = functions::$ours::<R>;
                    return Some(ours as usize);
                }
            )*
            None
        }
    };
}

runtime! {
    replaced {
        malloc: Malloc = c"malloc" => malloc;
        calloc: Calloc = c"calloc" => calloc;
        realloc: Realloc = c"realloc" => realloc;
        free: Free = c"free" => free;
        msize: Size = c"_msize" => msize;
        expand: Realloc = c"_expand" => expand;
        recalloc: Recalloc = c"_recalloc" => recalloc;
        malloc_base: Malloc = c"_malloc_base" => malloc;
        calloc_base: Calloc = c"_calloc_base" => calloc;
        realloc_base: Realloc = c"_realloc_base" => realloc;
        free_base: Free = c"_free_base" => free;
        msize_base: Size = c"_msize_base" => msize;
        expand_base: Realloc = c"_expand_base" => expand;
        recalloc_base: Recalloc = c"_recalloc_base" => recalloc;
        aligned_malloc: Calloc = c"_aligned_malloc" => aligned_malloc;
        aligned_realloc: AlignedRealloc = c"_aligned_realloc" => aligned_realloc;
        aligned_recalloc: AlignedRecalloc = c"_aligned_recalloc" => aligned_recalloc;
        aligned_free: Free = c"_aligned_free" => aligned_free;
        aligned_msize: AlignedSize = c"_aligned_msize" => aligned_msize;
        aligned_offset_malloc: OffsetMalloc = c"_aligned_offset_malloc" => aligned_offset_malloc;
        aligned_offset_realloc: OffsetRealloc = c"_aligned_offset_realloc" => aligned_offset_realloc;
        aligned_offset_recalloc: OffsetRecalloc = c"_aligned_offset_recalloc" => aligned_offset_recalloc;
        dll_on_exit: DllOnExit = c"__dllonexit" => dll_on_exit;
    }
    called {
        errno_place: ErrnoPlace = c"_errno";
        new_mode: NewMode = c"_query_new_mode";
        new_handler: NewHandler = c"_callnewh";
    }
}

impl Runtime {
    /// If it is loaded, it stays loaded from now on: its blocks come back to it.
    fn learn(&self) {
        if self.lowest.load(Ordering::Relaxed) == 0
            && let Some(module) = Module::kept_by_name(self.file)
        {
            self.learn_functions(module);
        }
    }

    /// Without memory: whether the program has freed some, if it has asked to be told.
    pub fn program_frees_some(&self, bytes: usize) -> bool {
        let (Some(mode), Some(handler)) = (self.new_mode(), self.new_handler()) else { return false };
        // SAFETY: takes nothing; takes a number.
        unsafe { mode() != 0 && handler(bytes) != 0 }
    }

    pub fn say_out_of_memory(&self) {
        if let Some(place) = self.errno_place() {
            // SAFETY: takes nothing, and answers the thread's variable.
            unsafe { place().write(ENOMEM) };
        }
    }
}

static RUNTIMES: [Runtime; 7] = [
    Runtime::of(c"ucrtbase.dll"),
    Runtime::of(c"msvcrt.dll"),
    Runtime::of(c"msvcr120.dll"),
    Runtime::of(c"msvcr110.dll"),
    Runtime::of(c"msvcr100.dll"),
    Runtime::of(c"msvcr90.dll"),
    Runtime::of(c"msvcr80.dll"),
];

/// The runtime whose number it is.
pub fn runtime<const R: usize>() -> &'static Runtime {
    const { assert!(R < RUNTIMES.len()) };
    &RUNTIMES[R]
}

/// Learns what the runtimes that are loaded have. By one thread at a time.
pub fn learn_all() {
    RUNTIMES.iter().for_each(Runtime::learn);
}

/// Ours for what a runtime has at an address, which is not 0.
pub fn instead(address: usize) -> Option<usize> {
    const { assert!(RUNTIMES.len() == 7) };
    let all = [
        instead_of::<0>,
        instead_of::<1>,
        instead_of::<2>,
        instead_of::<3>,
        instead_of::<4>,
        instead_of::<5>,
        instead_of::<6>,
    ];
    all.into_iter().find_map(|of| of(address))
}
