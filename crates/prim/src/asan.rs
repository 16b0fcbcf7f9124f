//! Words to AddressSanitizer, when its runtime is in the process: which memory nobody may access.
//!
//! The runtime keeps a *shadow*: one byte for eight bytes of memory, which instrumented code and the runtime's own `memcpy`,
//! `strlen`, … look at before they access memory (K. Serebryany, D. Bruening, A. Potapenko, D. Vyukov, "AddressSanitizer: A Fast
//! Address Sanity Checker", USENIX ATC 2012). Programs may write to it too: "manual poisoning",
//! `sanitizer/asan_interface.h`. It costs an eighth of the memory.
//!
//! Both functions are looked for by weak references, so a build with the feature `asan` also runs without the runtime; without
//! the feature there are no references. On other systems and processors nothing is said.

/// Nobody may access this memory. To the byte if it ends at a multiple of eight; of what lies in the same eight bytes
/// behind it nothing is known then.
#[inline]
pub fn memory_closed(start: *const u8, bytes: usize) {
    runtime::poison(start, bytes);
}

/// This memory may be accessed.
#[inline]
pub fn memory_open(start: *const u8, bytes: usize) {
    runtime::unpoison(start, bytes);
}

#[cfg(all(feature = "asan", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod runtime {
    weak_word!(POISON, "__asan_poison_memory_region", "ferrimalloc_asan_poison");
    weak_word!(UNPOISON, "__asan_unpoison_memory_region", "ferrimalloc_asan_unpoison");

    pub fn poison(start: *const u8, bytes: usize) {
        // SAFETY: the word of that function.
        unsafe { call(POISON, start, bytes) };
    }

    pub fn unpoison(start: *const u8, bytes: usize) {
        // SAFETY: the word of that function.
        unsafe { call(UNPOISON, start, bytes) };
    }

    /// # Safety
    /// The word holds null or the address of one of the two functions. They may be called by any thread, with memory or
    /// addresses of any kind.
    unsafe fn call(word: usize, start: *const u8, bytes: usize) {
        type Function = unsafe extern "C" fn(*const u8, usize);
        // SAFETY: the precondition.
        unsafe {
            let function: Option<Function> = core::mem::transmute(word);
            if let Some(function) = function {
                function(start, bytes);
            }
        }
    }
}

#[cfg(not(all(feature = "asan", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod runtime {
    pub fn poison(_start: *const u8, _bytes: usize) {}

    pub fn unpoison(_start: *const u8, _bytes: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_runtime_nothing_happens() {
        let memory = [7u8; 64];
        memory_closed(memory.as_ptr(), 64);
        memory_open(memory.as_ptr(), 64);
        assert_eq!(memory, [7; 64]);
    }
}
