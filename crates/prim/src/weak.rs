//! Weak references: to functions of libraries that may not be in the process. Stable Rust has no word for them, assembly has.

/// Defines a word holding the address of a symbol that may not exist (then 0).
macro_rules! weak_word {
    ($word:ident, $symbol:literal, $name:literal) => {
        ::core::arch::global_asm!(
            ".pushsection .data.rel.ro,\"aw\",@progbits",
            ".balign 8",
            concat!(".globl ", $name),
            concat!(".hidden ", $name),
            concat!(".type ", $name, ",@object"),
            concat!(".size ", $name, ", 8"),
            concat!(".weak ", $symbol),
            concat!($name, ":"),
            concat!(".quad ", $symbol),
            ".popsection",
        );
        unsafe extern "C" {
            #[doc(hidden)]
            #[link_name = $name]
            pub static $word: usize;
        }
    };
}
