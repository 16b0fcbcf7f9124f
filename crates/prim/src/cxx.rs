//! What only assembly can say about C++: calling functions that may throw, and catching what they throw.
//!
//! `operator new` calls the program's new-handler and throws `std::bad_alloc`; both unwind through the caller. Rust
//! frames can't be unwound through in a library built with `panic = "abort"`, so the loop around them is assembly with
//! unwind tables of its own. The `nothrow` forms catch: their frame has a landing pad, in the tables that C++'s own
//! personality routine reads (Itanium C++ ABI, "Exception Handling", level II; the tables' form is that of LSB's
//! `.gcc_except_table`). libstdc++ is looked for by weak references: there may be none in the process.

/// Defines `$name(size, align)`, a C function for when a first attempt to allocate has failed: it calls the C++
/// new-handler and then tries `$attempt(size, align)`, until that gives memory. Without a handler it calls the function
/// whose address is in the word `$throw`, or, where that is 0, `$give_up()`, whose null it returns.
///
/// `$attempt` and `$give_up` are paths of `extern "C"` functions that don't unwind; `$throw` is [`THROW_BAD_ALLOC`] or
/// [`THROW_NOTHING`].
#[macro_export]
macro_rules! cxx_new_loop {
    ($name:ident, $symbol:literal, attempt = $attempt:path, throw = $throw:path, give_up = $give_up:path) => {
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
            throw = sym $throw,
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

/// The call and the landing pad in instructions of x86-64.
#[cfg(target_arch = "x86_64")]
macro_rules! __cxx_catch_text {
    () => {
        concat!(
            "sub rsp, 8\n",
            ".cfi_def_cfa_offset 16\n",
            ".Lferrimalloc_call:\n",
            "call rdx\n",
            ".Lferrimalloc_called:\n",
            "add rsp, 8\n",
            ".cfi_remember_state\n",
            ".cfi_def_cfa_offset 8\n",
            "ret\n",
            ".Lferrimalloc_caught:\n",
            ".cfi_restore_state\n",
            "mov rdi, rax\n",
            "call qword ptr [rip + {begin_catch}]\n",
            "call qword ptr [rip + {end_catch}]\n",
            "xor eax, eax\n",
            "add rsp, 8\n",
            ".cfi_def_cfa_offset 8\n",
            "ret\n",
            ".Lferrimalloc_catch_end:\n",
        )
    };
}

/// The call and the landing pad in instructions of aarch64.
#[cfg(target_arch = "aarch64")]
macro_rules! __cxx_catch_text {
    () => {
        concat!(
            "stp x29, x30, [sp, #-16]!\n",
            ".cfi_def_cfa_offset 16\n",
            ".cfi_offset x29, -16\n",
            ".cfi_offset x30, -8\n",
            ".Lferrimalloc_call:\n",
            "blr x2\n",
            ".Lferrimalloc_called:\n",
            "ldp x29, x30, [sp], #16\n",
            ".cfi_remember_state\n",
            ".cfi_def_cfa_offset 0\n",
            ".cfi_restore x29\n",
            ".cfi_restore x30\n",
            "ret\n",
            ".Lferrimalloc_caught:\n",
            ".cfi_restore_state\n",
            "adrp x8, {begin_catch}\n",
            "ldr x8, [x8, :lo12:{begin_catch}]\n",
            "blr x8\n",
            "adrp x8, {end_catch}\n",
            "ldr x8, [x8, :lo12:{end_catch}]\n",
            "blr x8\n",
            "mov x0, xzr\n",
            "ldp x29, x30, [sp], #16\n",
            ".cfi_def_cfa_offset 0\n",
            ".cfi_restore x29\n",
            ".cfi_restore x30\n",
            "ret\n",
            ".Lferrimalloc_catch_end:\n",
        )
    };
}

weak_word!(GET_NEW_HANDLER, "_ZSt15get_new_handlerv", "ferrimalloc_get_new_handler");
weak_word!(THROW_BAD_ALLOC, "_ZSt17__throw_bad_allocv", "ferrimalloc_throw_bad_alloc");
symbol_word!(THROW_NOTHING, "0", "ferrimalloc_throw_nothing");
weak_word!(PERSONALITY, "__gxx_personality_v0", "ferrimalloc_gxx_personality");
weak_word!(BEGIN_CATCH, "__cxa_begin_catch", "ferrimalloc_begin_catch");
weak_word!(END_CATCH, "__cxa_end_catch", "ferrimalloc_end_catch");

/// A function like `operator new`: of a size and an alignment, or only one of them, and it may throw.
pub type Allocate = unsafe extern "C" fn(size: usize, align: usize) -> *mut u8;

unsafe extern "C" {
    /// `allocate(size, align)`; null if that throws anything.
    ///
    /// # Safety
    /// The contract of `allocate`.
    #[link_name = "ferrimalloc_null_for_exceptions"]
    pub fn null_for_exceptions(size: usize, align: usize, allocate: Allocate) -> *mut u8;
}

// One call site with a landing pad, whose one clause catches everything; the calls of the landing pad itself have none: what
// they throw goes on, as from a handler in C++.
core::arch::global_asm!(
    ".text",
    ".balign 16",
    ".globl ferrimalloc_null_for_exceptions",
    ".hidden ferrimalloc_null_for_exceptions",
    ".type ferrimalloc_null_for_exceptions,%function",
    "ferrimalloc_null_for_exceptions:",
    ".cfi_startproc",
    ".cfi_personality 0x9b, ferrimalloc_gxx_personality",
    ".cfi_lsda 0x1b, .Lferrimalloc_catch_all",
    __cxx_catch_text!(),
    ".cfi_endproc",
    ".size ferrimalloc_null_for_exceptions, . - ferrimalloc_null_for_exceptions",
    ".pushsection .gcc_except_table,\"a\",@progbits",
    ".balign 4",
    ".Lferrimalloc_catch_all:",
    // Landing pads count from the function's beginning; types are offsets to words; the table of types ends at:
    ".byte 0xff, 0x9b",
    ".uleb128 .Lferrimalloc_types_end - .Lferrimalloc_types_from",
    ".Lferrimalloc_types_from:",
    // Call sites as ULEB128: start, length, landing pad, one more than the offset of the action.
    ".byte 0x01",
    ".uleb128 .Lferrimalloc_sites_end - .Lferrimalloc_sites",
    ".Lferrimalloc_sites:",
    ".uleb128 .Lferrimalloc_call - ferrimalloc_null_for_exceptions",
    ".uleb128 .Lferrimalloc_called - .Lferrimalloc_call",
    ".uleb128 .Lferrimalloc_caught - ferrimalloc_null_for_exceptions",
    ".uleb128 1",
    ".uleb128 .Lferrimalloc_called - ferrimalloc_null_for_exceptions",
    ".uleb128 .Lferrimalloc_catch_end - .Lferrimalloc_called",
    ".uleb128 0",
    ".uleb128 0",
    ".Lferrimalloc_sites_end:",
    // The action: type 1, no other after it. The type: any.
    ".byte 1, 0",
    ".balign 4",
    ".long 0",
    ".Lferrimalloc_types_end:",
    ".popsection",
    begin_catch = sym BEGIN_CATCH,
    end_catch = sym END_CATCH,
);

/// The program's new-handler; `None` without one, or without libstdc++.
pub fn new_handler() -> Option<unsafe extern "C" fn()> {
    type Getter = unsafe extern "C" fn() -> Option<unsafe extern "C" fn()>;
    // SAFETY: the word holds null or the address of `std::get_new_handler`, which any thread may call.
    unsafe {
        let getter: Option<Getter> = core::mem::transmute(GET_NEW_HANDLER);
        getter.and_then(|get| get())
    }
}
