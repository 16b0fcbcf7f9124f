//! The tool `ferrimalloc`: runs programs with the allocator, and looks into the heaps of processes that use it.
//!
//! * `process`: memory of a live process or of a core file.
//! * `heap`: from that memory to a heap as values, and what they say.
//! * `profile`: who has allocated, from memory or files, with names.
//! * `view`: those as pictures, text, JSON and metrics.
//! * `command`: what the user asks for.
//! * `failure`: errors with what to do next, and exit codes.

pub mod failure;
pub mod heap;
pub mod process;
pub mod profile;

pub mod command;
pub mod doctor;
pub mod library;
pub mod view;
