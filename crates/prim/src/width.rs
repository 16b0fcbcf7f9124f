//! Source for machines with addresses of one width: where names, not values, depend on it.

/// What is for machines with addresses of 32 bits.
#[cfg(target_pointer_width = "32")]
#[macro_export]
macro_rules! with_32_bits {
    ($($item:item)*) => { $($item)* };
}
#[cfg(not(target_pointer_width = "32"))]
#[doc(hidden)]
#[macro_export]
macro_rules! with_32_bits {
    ($($item:item)*) => {};
}

/// What is for machines with addresses of 64 bits.
#[cfg(target_pointer_width = "64")]
#[macro_export]
macro_rules! with_64_bits {
    ($($item:item)*) => { $($item)* };
}
#[cfg(not(target_pointer_width = "64"))]
#[doc(hidden)]
#[macro_export]
macro_rules! with_64_bits {
    ($($item:item)*) => {};
}
