//! Words that the linker fills in with addresses of functions of the process, whose ever they are, and functions that are other
//! names of such.

/// Defines a word holding the address of a symbol that may not exist (then 0). Stable Rust has no word for such weak
/// references, assembly has.
#[macro_export]
macro_rules! weak_word {
    ($word:ident, $symbol:expr, $name:literal) => {
        ::core::arch::global_asm!(concat!(".weak ", $symbol));
        $crate::symbol_word!($word, $symbol, $name);
    };
}

/// Defines a word holding the address that a symbol has *for the whole process*: that of the program's function of that
/// name if it has one, or of a library's that comes before ours. `$name` is the word's own name for the linker.
///
/// To say the function's name in Rust would not do: the compiler knows our own definition and calls that.
#[macro_export]
macro_rules! symbol_word {
    ($word:ident, $symbol:expr, $name:literal) => {
        ::core::arch::global_asm!(
            ".pushsection .data.rel.ro,\"aw\",@progbits",
            ".balign 8",
            concat!(".globl ", $name),
            concat!(".hidden ", $name),
            concat!(".type ", $name, ",@object"),
            concat!(".size ", $name, ", ", $crate::__symbol_word_bytes!()),
            concat!($name, ":"),
            concat!(".", $crate::__symbol_word_bytes!(), "byte ", $symbol),
            ".popsection",
        );
        unsafe extern "C" {
            #[doc(hidden)]
            #[link_name = $name]
            pub static $word: usize;
        }
    };
}

#[cfg(target_pointer_width = "64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_word_bytes {
    () => {
        "8"
    };
}

#[cfg(target_pointer_width = "32")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_word_bytes {
    () => {
        "4"
    };
}

/// Defines `extern "C"` functions, by their names for the linker, that are other names of whatever the process has under
/// another name: the function whose address is in the word. One jump. `without second` drops the second argument: the third is passed in its place.
/// `checked by CHECK where FLAG` goes to the function CHECK instead, with all arguments, while the byte FLAG isn't 0.
#[macro_export]
macro_rules! symbol_forward {
    ($($name:ident => $word:path $(, without $second:ident)? $(, checked by $check:path where $flag:path)?;)*) => {$(
        #[doc(hidden)]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() {
            ::core::arch::naked_asm!(
                $($crate::__symbol_check_text!($check),)?
                $($crate::__symbol_drop_text!($second),)?
                $crate::__symbol_forward_text!(),
                word = sym $word,
                $(check = sym $check, flag = sym $flag,)?
            )
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_check_text {
    ($check:path) => {
        "cmp byte ptr [rip + {flag}], 0\njne {check}"
    };
}

#[cfg(target_arch = "aarch64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_check_text {
    ($check:path) => {
        "adrp x16, {flag}\nldrb w16, [x16, :lo12:{flag}]\ncbz w16, 2f\nb {check}\n2:"
    };
}

#[cfg(target_arch = "riscv64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_check_text {
    ($check:path) => {
        "lbu t0, {flag}\nbeqz t0, 2f\ntail {check}\n2:"
    };
}

/// Here, and below, by the distance from the code: its own address is what a call has pushed. AT&T's syntax has words for such a distance.
#[cfg(target_arch = "x86")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_check_text {
    ($check:path) => {
        concat!(
            ".att_syntax prefix\n",
            "call 2f\n2: popl %eax\ncmpb $0, ({flag}-2b)(%eax)\nje 3f\njmp {check}\n3:\n",
            ".intel_syntax noprefix",
        )
    };
}

#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_drop_text {
    (second) => {
        "mov rsi, rdx"
    };
}

#[cfg(target_arch = "aarch64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_drop_text {
    (second) => {
        "mov x1, x2"
    };
}

#[cfg(target_arch = "riscv64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_drop_text {
    (second) => {
        "mv a1, a2"
    };
}

/// Arguments lie on the stack, in places that the function called may write to.
#[cfg(target_arch = "x86")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_drop_text {
    (second) => {
        "mov eax, dword ptr [esp + 12]\nmov dword ptr [esp + 8], eax"
    };
}

#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_forward_text {
    () => {
        "jmp qword ptr [rip + {word}]"
    };
}

/// By a register that the ABI leaves to what stands between caller and callee.
#[cfg(target_arch = "aarch64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_forward_text {
    () => {
        "adrp x16, {word}\nldr x16, [x16, :lo12:{word}]\nbr x16"
    };
}

/// The same.
#[cfg(target_arch = "riscv64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_forward_text {
    () => {
        "ld t0, {word}\njr t0"
    };
}

#[cfg(target_arch = "x86")]
#[doc(hidden)]
#[macro_export]
macro_rules! __symbol_forward_text {
    () => {
        concat!(".att_syntax prefix\n", "call 2f\n2: popl %eax\njmpl *({word}-2b)(%eax)\n", ".intel_syntax noprefix",)
    };
}
