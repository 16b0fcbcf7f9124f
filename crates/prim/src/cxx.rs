//! The one thing that only assembly can say about C++: calling functions that may throw.
//!
//! `operator new` calls the program's new-handler and throws `std::bad_alloc`; both unwind through the caller. Rust
//! frames can't be unwound through in a library built with `panic = "abort"`, so the loop around them is assembly with
//! unwind tables of its own. libstdc++ is looked for by weak references: there may be none in the process.

/// Defines `$name(size, align)`, a C function that tries `$attempt(size, align)` until it gives memory. Between
/// attempts it calls the C++ new-handler; without one it throws `std::bad_alloc`, or calls `$give_up()`, whose null
/// it returns, where there is no libstdc++.
///
/// `$attempt` and `$give_up` are paths of `extern "C"` functions that don't unwind.
#[macro_export]
macro_rules! cxx_new_loop {
    ($name:ident, $symbol:literal, attempt = $attempt:path, give_up = $give_up:path) => {
        #[cfg(target_arch = "x86_64")]
        ::core::arch::global_asm!(
            ".text",
            ".balign 16",
            concat!(".globl ", $symbol),
            concat!(".hidden ", $symbol),
            concat!(".type ", $symbol, ",@function"),
            concat!($symbol, ":"),
            ".cfi_startproc",
            "push rbx",
            ".cfi_def_cfa_offset 16",
            ".cfi_offset rbx, -16",
            "push r12",
            ".cfi_def_cfa_offset 24",
            ".cfi_offset r12, -24",
            "sub rsp, 8",
            ".cfi_def_cfa_offset 32",
            "mov rbx, rdi",
            "mov r12, rsi",
            "2:",
            "mov rdi, rbx",
            "mov rsi, r12",
            "call {attempt}",
            "test rax, rax",
            "jne 3f",
            "mov rax, qword ptr [rip + {handler}]",
            "test rax, rax",
            "je 4f",
            "call rax",
            "test rax, rax",
            "je 4f",
            "call rax",
            "jmp 2b",
            "4:",
            "mov rax, qword ptr [rip + {throw}]",
            "test rax, rax",
            "je 5f",
            "call rax",
            "5:",
            "call {give_up}",
            "3:",
            "add rsp, 8",
            ".cfi_def_cfa_offset 24",
            "pop r12",
            ".cfi_def_cfa_offset 16",
            "pop rbx",
            ".cfi_def_cfa_offset 8",
            "ret",
            ".cfi_endproc",
            concat!(".size ", $symbol, ", . - ", $symbol),
            attempt = sym $attempt,
            give_up = sym $give_up,
            handler = sym $crate::cxx::GET_NEW_HANDLER,
            throw = sym $crate::cxx::THROW_BAD_ALLOC,
        );
        #[cfg(target_arch = "aarch64")]
        ::core::arch::global_asm!(
            ".text",
            ".balign 16",
            concat!(".globl ", $symbol),
            concat!(".hidden ", $symbol),
            concat!(".type ", $symbol, ",@function"),
            concat!($symbol, ":"),
            ".cfi_startproc",
            "stp x29, x30, [sp, #-32]!",
            ".cfi_def_cfa_offset 32",
            ".cfi_offset x29, -32",
            ".cfi_offset x30, -24",
            "stp x19, x20, [sp, #16]",
            ".cfi_offset x19, -16",
            ".cfi_offset x20, -8",
            "mov x19, x0",
            "mov x20, x1",
            "2:",
            "mov x0, x19",
            "mov x1, x20",
            "bl {attempt}",
            "cbnz x0, 3f",
            "adrp x8, {handler}",
            "ldr x8, [x8, :lo12:{handler}]",
            "cbz x8, 4f",
            "blr x8",
            "cbz x0, 4f",
            "blr x0",
            "b 2b",
            "4:",
            "adrp x8, {throw}",
            "ldr x8, [x8, :lo12:{throw}]",
            "cbz x8, 5f",
            "blr x8",
            "5:",
            "bl {give_up}",
            "3:",
            "ldp x19, x20, [sp, #16]",
            "ldp x29, x30, [sp], #32",
            "ret",
            ".cfi_endproc",
            concat!(".size ", $symbol, ", . - ", $symbol),
            attempt = sym $attempt,
            give_up = sym $give_up,
            handler = sym $crate::cxx::GET_NEW_HANDLER,
            throw = sym $crate::cxx::THROW_BAD_ALLOC,
        );
        unsafe extern "C" {
            #[link_name = $symbol]
            fn $name(size: usize, align: usize) -> *mut u8;
        }
    };
}

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

weak_word!(GET_NEW_HANDLER, "_ZSt15get_new_handlerv", "ferrimalloc_get_new_handler");
weak_word!(THROW_BAD_ALLOC, "_ZSt17__throw_bad_allocv", "ferrimalloc_throw_bad_alloc");

/// The program's new-handler; `None` without one, or without libstdc++.
pub fn new_handler() -> Option<unsafe extern "C" fn()> {
    type Getter = unsafe extern "C" fn() -> Option<unsafe extern "C" fn()>;
    // SAFETY: the word holds null or the address of `std::get_new_handler`, which any thread may call.
    unsafe {
        let getter: Option<Getter> = core::mem::transmute(GET_NEW_HANDLER);
        getter.and_then(|get| get())
    }
}
