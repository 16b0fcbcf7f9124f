//! Words that the linker fills in, with addresses of functions of other libraries.

/// Defines a word holding the address of a symbol that may not exist (then 0). Stable Rust has no word for such weak
/// references, assembly has.
macro_rules! weak_word {
    ($word:ident, $symbol:literal, $name:literal) => {
        ::core::arch::global_asm!(concat!(".weak ", $symbol));
        symbol_word!($word, $symbol, $name);
    };
}

/// Defines a word holding the address that a symbol has *for the whole process*: that of the program's function of that
/// name if it has one, or of a library's that comes before ours. `$name` is the word's own name for the linker.
///
/// To say the function's name in Rust would not do: the compiler knows our own definition and calls that.
#[macro_export]
macro_rules! symbol_word {
    ($word:ident, $symbol:literal, $name:literal) => {
        ::core::arch::global_asm!(
            ".pushsection .data.rel.ro,\"aw\",@progbits",
            ".balign 8",
            concat!(".globl ", $name),
            concat!(".hidden ", $name),
            concat!(".type ", $name, ",@object"),
            concat!(".size ", $name, ", 8"),
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
