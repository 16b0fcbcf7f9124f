//! Where there is one thread: a variable.

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_word_single {
    ($(#[$meta:meta])* $vis:vis mod $name:ident, init = $init:path $(,)?) => {
        $(#[$meta])*
        $vis mod $name {
            #[allow(unused_imports)]
            use super::*;
            use ::core::sync::atomic::{AtomicPtr, Ordering};

            static WORD: AtomicPtr<u8> = AtomicPtr::new((&raw const $init).cast_mut().cast());

            #[inline(always)]
            pub fn get() -> *mut u8 {
                WORD.load(Ordering::Relaxed)
            }

            #[inline]
            pub fn set(value: *mut u8) {
                WORD.store(value, Ordering::Relaxed);
            }

            /// There are no other threads to look at.
            #[allow(dead_code, reason = "not every word is looked at from outside")]
            pub fn look(_id: usize, _value: usize) -> $crate::futex::Seen {
                $crate::futex::Seen::Unknown
            }
        }
    };
}
