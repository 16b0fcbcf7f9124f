//! What only the processor's own instructions can say.

use core::sync::atomic::AtomicUsize;

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

/// The same pointer, which the compiler must take as it comes: it stays in one register and is not computed again.
#[inline(always)]
pub fn pin<T>(p: *const T) -> *const T {
    #[cfg(not(target_family = "wasm"))]
    {
        let mut address = p.addr();
        // SAFETY: no instruction at all.
        unsafe { core::arch::asm!("/* {} */", inout(reg) address, options(pure, nomem, nostack, preserves_flags)) };
        p.with_addr(address)
    }
    // There are no registers.
    #[cfg(target_family = "wasm")]
    p
}

/// Takes one from the word `OFFSET` bytes behind `base`, which only this thread writes and others may look at; whether it is
/// 0 then. What a relaxed load and a relaxed store do, in one instruction where the processor has one: compilers make three
/// of an atomic word.
///
/// # Safety
/// An `AtomicU32` is there.
#[inline(always)]
pub unsafe fn decrement<const OFFSET: usize>(base: *const u8) -> bool {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the precondition; nothing but the word is touched.
    unsafe {
        core::arch::asm!(
            "sub dword ptr [{base} + {offset}], 1",
            "jz {zero}",
            base = in(reg) base,
            offset = const OFFSET,
            zero = label { return true },
            options(nostack)
        );
        false
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
        // SAFETY: the precondition.
        let word = unsafe { &*base.add(OFFSET).cast::<AtomicU32>() };
        let left = word.load(Relaxed).wrapping_sub(1);
        word.store(left, Relaxed);
        left == 0
    }
}

/// Whether an atomic word has that value, without a register for it: no compiler makes an operand of an atomic load.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn word_is(word: &AtomicUsize, value: usize) -> bool {
    // SAFETY: reads an aligned word, as a relaxed load does; the label is in this function.
    unsafe {
        core::arch::asm!(
            "{{disp32}} cmp qword ptr [{word}], {value}",
            "jne {differs}",
            word = in(reg) word,
            value = in(reg) value,
            differs = label { return false },
            options(readonly, nostack),
        );
    }
    true
}

/// Whether an atomic word has that value.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn word_is(word: &AtomicUsize, value: usize) -> bool {
    word.load(core::sync::atomic::Ordering::Relaxed) == value
}

/// What one store of [`clear_block`] clears.
#[cfg(target_arch = "x86_64")]
type Pair = core::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
type Pair = u128;

/// Up to this size four stores, some of them to the same place, clear everything without a branch.
const INLINE_BYTES: usize = 64;

/// Sets the `bytes` bytes at `p` to zero. Sizes vary from call to call, so a loop's end would be mispredicted each
/// time; small blocks are cleared without any branch, larger ones by `memset`.
///
/// # Safety
/// `p` is aligned to 16 bytes, `bytes` is a multiple of 16 and not 0, and that memory is writable and the caller's.
#[inline(always)]
pub unsafe fn clear_block(p: *mut u8, bytes: usize) {
    // SAFETY: the precondition.
    unsafe { if bytes > INLINE_BYTES { core::ptr::write_bytes(p, 0, bytes) } else { clear_short(p, bytes) } }
}

/// As many bytes are cleared by a loop of stores before `memset` is worth a call.
pub const LOOP_BYTES: usize = 256;

/// The same for more than 16 bytes, without a call; for few.
///
/// # Safety
/// As for [`clear_block`].
#[inline(always)]
pub unsafe fn clear_looping(p: *mut u8, bytes: usize) {
    if bytes <= INLINE_BYTES {
        // SAFETY: the precondition; the second two pairs may overlap the first two.
        return unsafe {
            clear_two(p);
            clear_two(p.wrapping_add(bytes - INLINE_BYTES / 2));
        };
    }
    let last = p.wrapping_add(bytes - INLINE_BYTES);
    let mut at = p;
    // SAFETY: the precondition; 64 bytes at a time, the last of which may overlap others.
    unsafe {
        while at < last {
            clear_four(at);
            at = at.wrapping_add(INLINE_BYTES);
        }
        clear_four(last);
    }
}

/// The same for all but the last eight bytes, which others may be looking at; not even with a zero over a zero.
///
/// # Safety
/// As for [`clear_looping`].
#[inline(always)]
pub unsafe fn clear_but_last_word(p: *mut u8, bytes: usize) {
    let last = bytes - 16;
    // SAFETY: the precondition; all bits zero is a value of a pair.
    unsafe {
        if last == 16 {
            p.cast::<Pair>().write(core::mem::zeroed())
        } else {
            clear_looping(p, last)
        }
        p.wrapping_add(last).cast::<u64>().write(0);
    }
}

/// # Safety
/// As for [`clear_block`] of 64 bytes.
#[inline(always)]
unsafe fn clear_four(p: *mut u8) {
    // SAFETY: the precondition.
    unsafe {
        clear_two(p);
        clear_two(p.wrapping_add(INLINE_BYTES / 2));
    }
}

/// # Safety
/// As for [`clear_block`] of 32 bytes.
#[inline(always)]
unsafe fn clear_two(p: *mut u8) {
    // SAFETY: the precondition; all bits zero is a value of a pair.
    (0..2).for_each(|index| unsafe { p.cast::<Pair>().add(index).write(core::mem::zeroed()) });
}

/// The same for at most 64 bytes.
///
/// # Safety
/// As for [`clear_block`].
#[inline(always)]
pub unsafe fn clear_short(p: *mut u8, bytes: usize) {
    let pair = |offset: usize| p.wrapping_add(offset & !15).cast::<Pair>();
    // SAFETY: the precondition; all offsets are below `bytes`, and all bits zero is a value of a pair.
    unsafe {
        let zero: Pair = core::mem::zeroed();
        pair(0).write(zero);
        pair(bytes / 4).write(zero);
        pair(bytes / 2).write(zero);
        pair(bytes - 16).write(zero);
    }
}

/// Whether the `bytes` bytes at `p` are zero.
///
/// # Safety
/// `p` is aligned to 16 bytes, `bytes` is a multiple of 16 and not 0, and that memory is readable.
#[inline(always)]
pub unsafe fn is_clear(p: *const u8, bytes: usize) -> bool {
    // SAFETY: the precondition; all bits are values of a pair.
    unsafe { if bytes < INLINE_BYTES / 2 { is_zero(p.cast::<Pair>().read()) } else { is_clear_looping(p, bytes) } }
}

/// The same for more than 16 bytes.
///
/// # Safety
/// As for [`is_clear`].
#[inline(always)]
pub unsafe fn is_clear_looping(p: *const u8, bytes: usize) -> bool {
    if bytes <= INLINE_BYTES {
        // SAFETY: the precondition; some may be looked at twice.
        return is_zero(unsafe { or(any_of_two(p), any_of_two(p.wrapping_add(bytes - INLINE_BYTES / 2))) });
    }
    // The last 64 bytes, some of which are looked at twice; then those before them, from the front.
    let last = p.wrapping_add(bytes - INLINE_BYTES);
    let mut at = p;
    // SAFETY: the precondition.
    let mut found = unsafe { any_of_four(last) };
    while at < last {
        // SAFETY: as above.
        found = or(found, unsafe { any_of_four(at) });
        at = at.wrapping_add(INLINE_BYTES);
    }
    is_zero(found)
}

/// The bits of four pairs at `p`, together.
///
/// # Safety
/// As for [`is_clear`] of 64 bytes.
#[inline(always)]
unsafe fn any_of_four(p: *const u8) -> Pair {
    // SAFETY: the precondition.
    unsafe { or(any_of_two(p), any_of_two(p.wrapping_add(INLINE_BYTES / 2))) }
}

/// # Safety
/// As for [`is_clear`] of 32 bytes.
#[inline(always)]
unsafe fn any_of_two(p: *const u8) -> Pair {
    // SAFETY: the precondition; all bits are values of a pair.
    unsafe { or(p.cast::<Pair>().read(), p.cast::<Pair>().add(1).read()) }
}

#[inline(always)]
fn or(one: Pair, other: Pair) -> Pair {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64.
    unsafe {
        core::arch::x86_64::_mm_or_si128(one, other)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        one | other
    }
}

#[inline(always)]
fn is_zero(pair: Pair) -> bool {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_setzero_si128};
        _mm_movemask_epi8(_mm_cmpeq_epi8(pair, _mm_setzero_si128())) == 0xFFFF
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        pair == 0
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_that_is_not_clear_is_found() {
        for pairs in 1..40 {
            let mut memory = [0u128; 64];
            let start: *mut u8 = memory.as_mut_ptr().cast();
            // SAFETY: the array is larger.
            unsafe {
                start.add(pairs * 16).write(1);
                assert!(super::is_clear(start, pairs * 16));
                for at in 0..pairs * 16 {
                    start.add(at).write(4);
                    assert!(!super::is_clear(start, pairs * 16), "{pairs} {at}");
                    start.add(at).write(0);
                }
            }
        }
    }

    #[test]
    fn clearing_is_exact() {
        for pairs in 1..40 {
            let mut memory = [!0u128; 64];
            // SAFETY: the array is larger.
            unsafe { super::clear_block(memory.as_mut_ptr().cast(), pairs * 16) };
            assert!(memory[..pairs].iter().all(|&pair| pair == 0));
            assert!(memory[pairs..].iter().all(|&pair| pair == !0));
            if pairs == 1 {
                continue;
            }
            memory = [!0; 64];
            // SAFETY: as above.
            unsafe { super::clear_looping(memory.as_mut_ptr().cast(), pairs * 16) };
            assert_eq!(memory.iter().position(|&pair| pair != 0), Some(pairs));
            assert!(memory[pairs..].iter().all(|&pair| pair == !0));
            memory = [!0; 64];
            // SAFETY: as above.
            unsafe { super::clear_but_last_word(memory.as_mut_ptr().cast(), pairs * 16) };
            assert!(memory[..pairs - 1].iter().all(|&pair| pair == 0));
            // SAFETY: the array's own bytes.
            let words: [u64; 2] = unsafe { core::mem::transmute(memory[pairs - 1]) };
            assert_eq!(words, [0, u64::MAX]);
            assert!(memory[pairs..].iter().all(|&pair| pair == !0));
        }
    }

    #[test]
    fn a_word_counts_down_to_zero() {
        use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
        let words = [AtomicU32::new(7), AtomicU32::new(2), AtomicU32::new(7)];
        let base = words.as_ptr().cast();
        // SAFETY: the second of three words.
        let downs = [(); 3].map(|()| unsafe { super::decrement::<4>(base) });
        assert_eq!(downs, [false, true, false]);
        assert_eq!(words.map(|word| word.load(Relaxed)), [7, u32::MAX, 7]);
    }

    #[test]
    fn any_address_may_be_prefetched() {
        super::prefetch(core::ptr::null());
        super::prefetch(usize::MAX as *const u8);
    }
}
