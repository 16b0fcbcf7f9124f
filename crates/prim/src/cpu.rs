//! What only the processor's own instructions can say.

/// Asks for the cache line at `p`, which may be any address.
#[inline(always)]
pub fn prefetch(p: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect but on caches, whatever the address; SSE is part of x86-64.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(p.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) p, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = p;
}

/// Up to this many words a loop of stores beats calling `memset`.
const INLINE_WORDS: usize = 32;

/// Sets `words` words at `p` to zero.
///
/// # Safety
/// `p` is aligned to a word, and that many words are writable and the caller's.
#[inline(always)]
pub unsafe fn clear_words(p: *mut u64, words: usize) {
    // SAFETY: the precondition.
    unsafe {
        if words > INLINE_WORDS {
            return core::ptr::write_bytes(p, 0, words);
        }
        for index in 0..words {
            // Volatile, or the compiler turns the loop into the call that it is there to avoid.
            p.add(index).write_volatile(0);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn clearing_is_exact() {
        for words in [0, 1, 2, 31, 32, 33, 100] {
            let mut memory = [!0u64; 128];
            // SAFETY: the array is larger.
            unsafe { super::clear_words(memory.as_mut_ptr(), words) };
            assert!(memory[..words].iter().all(|&word| word == 0));
            assert!(memory[words..].iter().all(|&word| word == !0));
        }
    }

    #[test]
    fn any_address_may_be_prefetched() {
        super::prefetch(core::ptr::null());
        super::prefetch(usize::MAX as *const u8);
    }
}
