//! Any Unix: a pthread slot. Null, its value in a thread that has never set it, stands for the initial value.
//!
//! The slot is created when the word is set for the first time. If the C library has none left, or no memory to grow a thread's
//! table, `set` has no effect: the thread goes on with the initial value.

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_word_key {
    ($(#[$meta:meta])* $vis:vis mod $name:ident, init = $init:path $(,)?) => {
        $(#[$meta])*
        $vis mod $name {
            #[allow(unused_imports)]
            use super::*;

            static KEY: $crate::tls::Key = $crate::tls::Key::new();

            /// The calling thread's word.
            #[inline(always)]
            pub fn get() -> *mut u8 {
                let value = KEY.read().cast::<u8>();
                if value.is_null() { (&raw const $init).cast_mut().cast() } else { value }
            }

            /// Nobody can look into other threads' slots. (Ids are numbers that are given once, there.)
            #[allow(dead_code, reason = "not every word is looked at from outside")]
            pub fn look(_id: usize, _value: usize) -> $crate::futex::Seen {
                $crate::futex::Seen::Unknown
            }

            /// The C library empties all slots when a thread ends, and calls destructors in between, which must find the word.
            unsafe extern "C" fn keep(value: *mut ::core::ffi::c_void) {
                KEY.write(value);
            }

            /// Sets the calling thread's word.
            #[inline]
            pub fn set(value: *mut u8) {
                let _ = KEY.create(Some(keep)).is_ok() && KEY.write(value.cast());
            }
        }
    };
}
