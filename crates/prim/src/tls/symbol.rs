//! The name of a thread-local word for the assembler. No dots: Intel syntax reads them as operators.

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_symbol {
    ($name:ident) => {
        concat!(
            env!("CARGO_CRATE_NAME"),
            "_tls_",
            stringify!($name),
            "_",
            env!("CARGO_PKG_VERSION_MAJOR"),
            "_",
            env!("CARGO_PKG_VERSION_MINOR"),
            "_",
            env!("CARGO_PKG_VERSION_PATCH")
        )
    };
}
