//! Pieces of metadata memory that are kept for reuse. A file of its own, as it knows nothing of heaps.

use core::ptr;

/// A stack of metadata pieces of one kind, kept for reuse; their first word links them.
pub struct FreeStack(*mut u8);
// SAFETY: pieces on the stack belong to nobody.
unsafe impl Send for FreeStack {}

impl FreeStack {
    /// An empty stack.
    pub const fn new() -> Self {
        Self(ptr::null_mut())
    }

    /// Keeps a piece.
    ///
    /// # Safety
    /// The piece is at least a word large, and nobody uses its first word.
    pub unsafe fn push(&mut self, piece: *mut u8) {
        // SAFETY: the precondition.
        unsafe { piece.cast::<*mut u8>().write(self.0) };
        self.0 = piece;
    }

    /// Takes the piece that was kept last. Its first word still holds the link.
    pub fn pop(&mut self) -> Option<*mut u8> {
        let piece = self.0;
        if piece.is_null() {
            return None;
        }
        // SAFETY: pieces on the stack hold a link.
        self.0 = unsafe { piece.cast::<*mut u8>().read() };
        Some(piece)
    }
}
