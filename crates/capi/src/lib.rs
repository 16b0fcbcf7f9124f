//! The C functions: the C library's `malloc` family, C++'s `operator new` and `delete`, and mimalloc's interface, over
//! the core. `crates/library` makes `libferrimalloc.so` and `.a` of them; Rust programs link them as they are.
//!
//! * `standard`: what ISO C, POSIX and glibc call the allocation functions.
//! * `cxx`: the C++ operators.
//! * `glibc`: statistics and tuning functions that glibc programs link against.
//! * `mi`: mimalloc's interface. It alone is there without the feature `override`.
//! * `calls` and `new`: what stands behind all of these names.
#![no_std]
// The safety contract of every exported function is that of its C original.
#![allow(clippy::missing_safety_doc)]
// What stands behind the names of the C library alone.
#![cfg_attr(not(feature = "override"), allow(dead_code, unused_imports))]

mod calls;
#[cfg(feature = "override")]
mod cxx;
#[cfg(feature = "override")]
mod glibc;
mod mi;
mod new;
#[cfg(feature = "override")]
mod standard;

/// What `mi_is_redirected` answers: true in a library that has made itself the `malloc` of a program.
pub static REDIRECTED: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);
