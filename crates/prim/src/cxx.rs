//! The one thing that only assembly can say about C++: calling functions that may throw.
//!
//! `operator new` calls the program's new-handler and throws `std::bad_alloc`; both unwind through the caller. Rust
//! frames can't be unwound through in a library built with `panic = "abort"`, so the loop around them is assembly with
//! unwind tables of its own. libstdc++ is looked for by weak references: there may be none in the process.

/// Defines `$name(size, align)`, a C function for when a first attempt to allocate has failed: it calls the C++
/// new-handler and then tries `$attempt(size, align)`, until that gives memory. Without a handler it throws
/// `std::bad_alloc`, or calls `$give_up()`, whose null it returns, where there is no libstdc++.
///
/// `$attempt` and `$give_up` are paths of `extern "C"` functions that don't unwind.
#[macro_export]
macro_rules! cxx_new_loop {
    ($name:ident, $symbol:literal, attempt = $attempt:path, give_up = $give_up:path) => {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        ::core::arch::global_asm!(
            ".text",
            ".balign 16",
            concat!(".globl ", $symbol),
            concat!(".hidden ", $symbol),
            concat!(".type ", $symbol, ",%function"),
            concat!($symbol, ":"),
            ".cfi_startproc",
            $crate::__cxx_new_loop_text!(),
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

/// The loop in instructions of x86-64: `attempt`, `give_up`, `handler` and `throw` are the operands.
#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __cxx_new_loop_text {
    () => {
        concat!(
            "push rbx\n",
            ".cfi_def_cfa_offset 16\n",
            ".cfi_offset rbx, -16\n",
            "push r12\n",
            ".cfi_def_cfa_offset 24\n",
            ".cfi_offset r12, -24\n",
            "sub rsp, 8\n",
            ".cfi_def_cfa_offset 32\n",
            "mov rbx, rdi\n",
            "mov r12, rsi\n",
            "jmp 6f\n",
            "2:\n",
            "mov rdi, rbx\n",
            "mov rsi, r12\n",
            "call {attempt}\n",
            "test rax, rax\n",
            "jne 3f\n",
            "6:\n",
            "mov rax, qword ptr [rip + {handler}]\n",
            "test rax, rax\n",
            "je 4f\n",
            "call rax\n",
            "test rax, rax\n",
            "je 4f\n",
            "call rax\n",
            "jmp 2b\n",
            "4:\n",
            "mov rax, qword ptr [rip + {throw}]\n",
            "test rax, rax\n",
            "je 5f\n",
            "call rax\n",
            "5:\n",
            "call {give_up}\n",
            "3:\n",
            "add rsp, 8\n",
            ".cfi_def_cfa_offset 24\n",
            "pop r12\n",
            ".cfi_def_cfa_offset 16\n",
            "pop rbx\n",
            ".cfi_def_cfa_offset 8\n",
            "ret\n",
        )
    };
}

/// The loop in instructions of aarch64: `attempt`, `give_up`, `handler` and `throw` are the operands.
#[cfg(target_arch = "aarch64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __cxx_new_loop_text {
    () => {
        concat!(
            "stp x29, x30, [sp, #-32]!\n",
            ".cfi_def_cfa_offset 32\n",
            ".cfi_offset x29, -32\n",
            ".cfi_offset x30, -24\n",
            "stp x19, x20, [sp, #16]\n",
            ".cfi_offset x19, -16\n",
            ".cfi_offset x20, -8\n",
            "mov x19, x0\n",
            "mov x20, x1\n",
            "b 6f\n",
            "2:\n",
            "mov x0, x19\n",
            "mov x1, x20\n",
            "bl {attempt}\n",
            "cbnz x0, 3f\n",
            "6:\n",
            "adrp x8, {handler}\n",
            "ldr x8, [x8, :lo12:{handler}]\n",
            "cbz x8, 4f\n",
            "blr x8\n",
            "cbz x0, 4f\n",
            "blr x0\n",
            "b 2b\n",
            "4:\n",
            "adrp x8, {throw}\n",
            "ldr x8, [x8, :lo12:{throw}]\n",
            "cbz x8, 5f\n",
            "blr x8\n",
            "5:\n",
            "bl {give_up}\n",
            "3:\n",
            "ldp x19, x20, [sp, #16]\n",
            "ldp x29, x30, [sp], #32\n",
            "ret\n",
        )
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
