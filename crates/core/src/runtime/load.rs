//! What is done when the program or library that contains us is loaded: the one moment at which nobody is inside of us, no
//! sandbox has been entered yet, and the dynamic linker's lock is held by nobody else.
//!
//! The first allocation may come earlier (from the dynamic linker, from other libraries' constructors), and then does
//! itself what it needs.

use ferrimalloc_prim::{pin, process};

ferrimalloc_prim::at_load!(at_load);

#[cold]
extern "C" fn at_load() {
    pin::stay_loaded();
    process::learn();
}
