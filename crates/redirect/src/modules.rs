//! Who is given our functions: every module that is loaded, and every one that will be, but this library itself.

use crate::{lookup, runtimes};
use core::sync::atomic::{AtomicUsize, Ordering};
use ferrimalloc_prim::imports::{self, Module};

static COUNT: AtomicUsize = AtomicUsize::new(0);

pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// Nobody loads or unloads anything meanwhile: the loader's lock is held.
pub fn redirect() {
    lookup::learn();
    runtimes::learn_all();
    imports::for_each(reach);
    imports::on_load(reach_new);
}

/// The loader's lock is held here, too. The module may have brought a runtime along.
fn reach_new(module: Module) {
    runtimes::learn_all();
    reach(module);
}

fn reach(module: Module) {
    if Module::around(reach as fn(Module) as usize) != Some(module) {
        // SAFETY: what stands in place of a function has its type; the loader's lock is held.
        let changed = unsafe { module.rebind(&lookup::instead) };
        COUNT.fetch_add(changed, Ordering::Relaxed);
    }
}
