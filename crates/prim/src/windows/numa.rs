//! NUMA nodes of the machine.

use super::last_error::kept;
use windows_sys::Win32::System::Kernel::PROCESSOR_NUMBER;
use windows_sys::Win32::System::Threading::GetNumaHighestNodeNumber;
use windows_sys::Win32::System::Threading::{GetCurrentProcessorNumberEx, GetNumaProcessorNodeEx};

pub(crate) fn detect_node_count() -> usize {
    let mut highest = 0;
    // SAFETY: a place for the result, which stays zero in case of an error.
    kept(|| unsafe { GetNumaHighestNodeNumber(&mut highest) });
    highest as usize + 1
}

pub(crate) fn current_node() -> usize {
    let (mut processor, mut node) = (PROCESSOR_NUMBER { Group: 0, Number: 0, Reserved: 0 }, 0);
    // SAFETY: places for the results.
    let found = kept(|| unsafe {
        GetCurrentProcessorNumberEx(&mut processor);
        GetNumaProcessorNodeEx(&processor, &mut node)
    });
    // A processor that has gone has node 65535.
    if found != 0 && node != u16::MAX { node as usize } else { 0 }
}
