//! Plugins that a program opens with `RTLD_DEEPBIND`: their own libraries come first when their symbols are looked up, and the
//! C library is one of them. So they would find its `malloc` and `free` instead of the process's, and free with the one what
//! the other allocated.
//!
//! [`crate::dlopen_forward!`] defines a `dlopen` that jumps to the next one, which so sees the caller's return address: the caller's
//! `RUNPATH`, `$ORIGIN` and namespace depend on it. Before the first call with `RTLD_DEEPBIND` it has [`redirect`] called, which
//! enters the process's functions into the C library's own table of symbols. Whoever finds `malloc` there from then on finds
//! the process's: at once or lazily, from a constructor, by `dlsym`. All other symbols are bound as ever. What was bound before stays.

use crate::errno::quiet;
use crate::object::{Object, look_up};
use crate::platform::elf::Sym;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

// In glibc itself, and nobody has a reason to define it, too.
weak_word!(IN_C_LIBRARY, "gnu_get_libc_version", "ferrimalloc_in_c_library");

/// Defines the symbol `ferrimalloc_forward_dlopen`: a `dlopen` that calls `$deep`, a path of an `extern "C" fn()`, if `RTLD_DEEPBIND` is
/// asked for, and then jumps to the process's next `dlopen`.
///
/// And has the linker export `dlopen` from a shared library, if there is one: `build.rs` makes it another name of that symbol.
/// The name of the constant is a pattern in the list of exports that the compiler hands to the linker. In the static archive
/// there is no `dlopen`, since programs without a dynamic linker have none that it could jump to.
#[macro_export]
macro_rules! dlopen_forward {
    ($deep:path) => {
        #[used]
        #[unsafe(export_name = "dlope[n]")]
        static EXPORTS_DLOPEN: u8 = 0;
        ::core::arch::global_asm!(
            ".pushsection .text.ferrimalloc_forward_dlopen,\"ax\",@progbits",
            ".balign 16",
            ".globl ferrimalloc_forward_dlopen",
            ".type ferrimalloc_forward_dlopen,%function",
            "ferrimalloc_forward_dlopen:",
            ".cfi_startproc",
            $crate::__dlopen_forward_text!(),
            ".cfi_endproc",
            ".size ferrimalloc_forward_dlopen, . - ferrimalloc_forward_dlopen",
            ".popsection",
            deep = sym $deep,
            next = sym $crate::deepbind::NEXT,
            find_next = sym $crate::deepbind::find_next,
        );
    };
}

#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __dlopen_forward_text {
    () => {
        concat!(
            "test sil, 8\n", // RTLD_DEEPBIND
            "jnz 4f\n",
            "mov rax, qword ptr [rip + {next}]\n",
            "test rax, rax\n",
            "jz 5f\n",
            "jmp rax\n",
            "4: lea rax, [rip + {deep}]\n",
            "jmp 6f\n",
            "5: xor eax, eax\n",
            "6: push rdi\n",
            ".cfi_adjust_cfa_offset 8\n",
            "push rsi\n",
            ".cfi_adjust_cfa_offset 8\n",
            "sub rsp, 8\n",
            ".cfi_adjust_cfa_offset 8\n",
            "test rax, rax\n",
            "jz 7f\n",
            "call rax\n",
            "7: call {find_next}\n",
            "add rsp, 8\n",
            ".cfi_adjust_cfa_offset -8\n",
            "pop rsi\n",
            ".cfi_adjust_cfa_offset -8\n",
            "pop rdi\n",
            ".cfi_adjust_cfa_offset -8\n",
            "jmp rax\n",
        )
    };
}

#[cfg(target_arch = "aarch64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __dlopen_forward_text {
    () => {
        concat!(
            "tbnz w1, #3, 4f\n", // RTLD_DEEPBIND
            "adrp x16, {next}\n",
            "ldr x16, [x16, :lo12:{next}]\n",
            "cbz x16, 5f\n",
            "br x16\n",
            "4: adrp x16, {deep}\n",
            "add x16, x16, :lo12:{deep}\n",
            "b 6f\n",
            "5: mov x16, xzr\n",
            "6: stp x29, x30, [sp, #-32]!\n",
            ".cfi_adjust_cfa_offset 32\n",
            ".cfi_rel_offset x29, 0\n",
            ".cfi_rel_offset x30, 8\n",
            "mov x29, sp\n",
            "stp x0, x1, [sp, #16]\n",
            "cbz x16, 7f\n",
            "blr x16\n",
            "7: bl {find_next}\n",
            "mov x16, x0\n",
            "ldp x0, x1, [sp, #16]\n",
            "ldp x29, x30, [sp], #32\n",
            ".cfi_adjust_cfa_offset -32\n",
            ".cfi_restore x29\n",
            ".cfi_restore x30\n",
            "br x16\n",
        )
    };
}

#[cfg(target_arch = "riscv64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __dlopen_forward_text {
    () => {
        concat!(
            "andi t0, a1, 8\n", // RTLD_DEEPBIND
            "bnez t0, 4f\n",
            "ld t0, {next}\n",
            "beqz t0, 5f\n",
            "jr t0\n",
            "4: lla t0, {deep}\n",
            "j 6f\n",
            "5: li t0, 0\n",
            "6: addi sp, sp, -32\n",
            ".cfi_adjust_cfa_offset 32\n",
            "sd ra, 24(sp)\n",
            ".cfi_rel_offset ra, 24\n",
            "sd a0, 0(sp)\n",
            "sd a1, 8(sp)\n",
            "beqz t0, 7f\n",
            "jalr t0\n",
            "7: call {find_next}\n",
            "mv t0, a0\n",
            "ld a0, 0(sp)\n",
            "ld a1, 8(sp)\n",
            "ld ra, 24(sp)\n",
            "addi sp, sp, 32\n",
            ".cfi_adjust_cfa_offset -32\n",
            ".cfi_restore ra\n",
            "jr t0\n",
        )
    };
}

/// Arguments lie on the stack, which is aligned to 16 bytes where a function is called.
#[cfg(target_arch = "x86")]
#[doc(hidden)]
#[macro_export]
macro_rules! __dlopen_forward_text {
    () => {
        concat!(
            ".att_syntax prefix\n",
            "testb $8, 8(%esp)\n", // RTLD_DEEPBIND
            "jnz 4f\n",
            "call 2f\n",
            ".cfi_adjust_cfa_offset 4\n",
            "2: popl %eax\n",
            ".cfi_adjust_cfa_offset -4\n",
            "movl ({next}-2b)(%eax), %eax\n",
            "testl %eax, %eax\n",
            "jz 5f\n",
            "jmpl *%eax\n",
            "4: subl $12, %esp\n",
            ".cfi_adjust_cfa_offset 12\n",
            "call {deep}\n",
            "jmp 6f\n",
            ".cfi_adjust_cfa_offset -12\n",
            "5: subl $12, %esp\n",
            ".cfi_adjust_cfa_offset 12\n",
            "6: call {find_next}\n",
            "addl $12, %esp\n",
            ".cfi_adjust_cfa_offset -12\n",
            "jmpl *%eax\n",
            ".intel_syntax noprefix\n",
        )
    };
}

/// The address of the next `dlopen` after ours; 0 until it is needed.
#[doc(hidden)]
pub static NEXT: AtomicUsize = AtomicUsize::new(0);

#[doc(hidden)]
pub extern "C" fn find_next() -> usize {
    if NEXT.load(Ordering::Relaxed) == 0 {
        let next = quiet(|| look_up(libc::RTLD_NEXT, c"dlopen"));
        NEXT.store(if next == 0 { refuse as *const () as usize } else { next }, Ordering::Relaxed);
    }
    NEXT.load(Ordering::Relaxed)
}

/// The `dlopen` of a process that has none.
extern "C" fn refuse(_name: *const c_char, _flags: c_int) -> *mut c_void {
    ptr::null_mut()
}

const UNTOUCHED: u32 = 0;
const DONE: u32 = 1;
/// With the process's number: it is being done there.
const BUSY_IN: u32 = 2;
static STATE: AtomicU32 = AtomicU32::new(UNTOUCHED);

/// Has the names of functions mean in the C library what they mean in the process, if the first of them is one of the object
/// that contains us. Does so once, and returns when it is done, by whichever thread. The child of a fork begins anew what
/// another thread of its parent was doing.
pub fn redirect(names: &[&CStr]) {
    let busy_here = BUSY_IN + crate::process::id();
    loop {
        // ORDERING: acquires what the thread that did it has released.
        match STATE.load(Ordering::Acquire) {
            DONE => return,
            now if now == busy_here => crate::thread::yield_now(),
            now => {
                // ORDERING: as above.
                if STATE.compare_exchange(now, busy_here, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    quiet(|| redirect_names(names));
                    // ORDERING: releases the table to those who find it done.
                    return STATE.store(DONE, Ordering::Release);
                }
            }
        }
    }
}

fn redirect_names(names: &[&CStr]) {
    // SAFETY: a word that the linker has filled in.
    let Some(library) = Object::containing(unsafe { IN_C_LIBRARY }) else { return };
    let Some(ours) = Object::containing(redirect as *const () as usize) else { return };
    let process = |name: &CStr| look_up(libc::RTLD_DEFAULT, name);
    let is_ours = names.first().is_some_and(|name| ours.addresses.contains(&process(name)));
    let Some(table) = library.symbols().filter(|_| is_ours) else { return };
    let entries = || names.iter().flat_map(|name| table.entries_of(name).map(move |entry| (entry, *name)));
    let addresses = || entries().map(|(entry, _)| entry.expose_provenance());
    let (Some(first), Some(last)) = (addresses().min(), addresses().max()) else { return };
    library.while_writable(first..last + size_of::<Sym>(), || {
        for (entry, name) in entries() {
            let function = process(name);
            if function != 0 && !library.addresses.contains(&function) {
                // SAFETY: an entry of the table, in memory that is writable now and of which nobody has a reference. Others
                // read the word meanwhile, as it was or as it will be.
                let value = unsafe { AtomicUsize::from_ptr((&raw mut (*entry).st_value).cast()) };
                value.store(function.wrapping_sub(library.base), Ordering::Relaxed);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_env = "gnu")]
    use crate::object::tests::rights;

    #[test]
    #[cfg(target_env = "gnu")]
    fn the_c_librarys_symbols_are_where_dlsym_says() {
        // SAFETY: a word that the linker has filled in.
        let library = Object::containing(unsafe { IN_C_LIBRARY }).unwrap();
        let table = library.symbols().unwrap();
        for name in [c"malloc", c"free", c"posix_memalign", c"__libc_free", c"gnu_get_libc_version", c"qsort"] {
            let address = look_up(libc::RTLD_DEFAULT, name);
            // SAFETY: an entry of the table.
            let found = table.entries_of(name).any(|at| library.base + unsafe { (*at).st_value as usize } == address);
            assert!(found && library.addresses.contains(&address), "{name:?}");
        }
        assert_eq!(table.entries_of(c"there_is_no_such_function").count(), 0);
    }

    #[test]
    fn a_process_whose_functions_are_not_ours_is_left_alone() {
        let before = look_up(libc::RTLD_DEFAULT, c"qsort");
        redirect(&[c"qsort"]);
        redirect(&[c"qsort"]);
        assert_eq!(look_up(libc::RTLD_DEFAULT, c"qsort"), before);
    }

    #[test]
    fn the_child_of_a_fork_does_not_wait_for_a_thread_of_its_parent() {
        STATE.store(BUSY_IN + crate::process::id() + 1, Ordering::Relaxed);
        redirect(&[]);
        assert_eq!(STATE.load(Ordering::Relaxed), DONE);
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn memory_is_writable_only_meanwhile() {
        // SAFETY: a word that the linker has filled in.
        let library = Object::containing(unsafe { IN_C_LIBRARY }).unwrap();
        let entry = library.symbols().unwrap().entries_of(c"qsort").next().unwrap();
        let at = entry.expose_provenance();
        let mut calls = 0;
        library.while_writable(at..at + size_of::<Sym>(), || {
            // SAFETY: writable now; it stays as it was.
            unsafe { entry.write_volatile(entry.read_volatile()) };
            calls += 1;
        });
        assert_eq!(calls, 1);
        let rights = rights(at);
        assert!(rights == "r--p" || rights == "r-xp", "{rights}");
    }
}
