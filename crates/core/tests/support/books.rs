//! What the main sub-process holds, to be compared before and after.

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Force;
use ferrimalloc_core::page::{Page, Walk};
use ferrimalloc_core::runtime;

/// Pages and slices in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Books {
    /// Pages of all heaps.
    pub pages: usize,
    /// Slices claimed in arenas: those of pages and of metadata.
    pub slices: usize,
}

impl Books {
    /// Collects everything, then counts.
    pub fn collected() -> Books {
        alloc::collect(Force::All);
        Books::now()
    }

    pub fn now() -> Books {
        let subproc = runtime::main_subproc();
        let mut pages = 0;
        subproc.for_each_heap(|heap| {
            heap.registry().for_each_page(subproc.arenas(), |page| {
                pages += 1;
                if std::env::var_os("FERRIMALLOC_TEST_PAGES").is_some() {
                    eprintln!("heap {} {}", heap.id(), describe(page));
                }
            });
        });
        Books { pages, slices: subproc.arenas().in_use_slices() }
    }
}

fn describe(page: &Page) -> String {
    format!(
        "page {:p} of {} bytes: {:?}, in use {}, remote {}, capacity {}/{}",
        page.start(),
        page.block_bytes(),
        page.owner(),
        page.in_use(Walk::Allowed),
        page.remote_count(),
        page.capacity(),
        page.reserved(),
    )
}
