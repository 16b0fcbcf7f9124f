//! Which OS pages are in the working set.

use super::last_error::kept;
use core::ffi::c_void;
use windows_sys::Win32::System::ProcessStatus::K32QueryWorkingSetEx;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// OS pages that one call is asked about.
const PAGES_PER_QUESTION: usize = 256;

/// `PSAPI_WORKING_SET_EX_INFORMATION`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Question {
    address: *const c_void,
    /// Bit 0: the page is in the working set.
    answer: usize,
}

pub(crate) unsafe fn resident_bytes(p: *const u8, bytes: usize) -> usize {
    let page_bytes = crate::mem::config().os_page_bytes;
    let step_bytes = PAGES_PER_QUESTION * page_bytes;
    let part = |start: usize| resident_pages(p.wrapping_add(start), step_bytes.min(bytes - start), page_bytes);
    (0..bytes).step_by(step_bytes).map(part).sum::<usize>() * page_bytes
}

/// Counts the pages in memory among at most [`PAGES_PER_QUESTION`].
fn resident_pages(p: *const u8, bytes: usize, page_bytes: usize) -> usize {
    let question = |page: usize| Question { address: p.wrapping_add(page * page_bytes).cast(), answer: 0 };
    let mut questions: [Question; PAGES_PER_QUESTION] = core::array::from_fn(question);
    let count = bytes.div_ceil(page_bytes);
    let question_bytes = (count * size_of::<Question>()) as u32;
    // SAFETY: reads and writes the questions, of which there are so many. Asks about any address.
    let is_done =
        kept(|| unsafe { K32QueryWorkingSetEx(GetCurrentProcess(), questions.as_mut_ptr().cast(), question_bytes) });
    let resident = questions[..count].iter().filter(|question| question.answer & 1 == 1);
    if is_done != 0 { resident.count() } else { 0 }
}
