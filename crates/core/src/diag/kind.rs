//! What can go wrong, as values: the reason, the number C hooks get for it, and the words for it.

use super::message::Message;

/// Why an error is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A block was freed that is free already.
    DoubleFree,
    /// A link in a free list leads nowhere sensible.
    CorruptFreeList,
    /// Metadata of the allocator contradicts itself.
    CorruptMetadata,
    /// Bytes behind a block were written.
    BlockOverflow,
    /// A block was written after it was freed.
    WriteAfterFree,
    /// `free` of an address that is no block of ours.
    InvalidFree,
    /// `realloc` of an address that is no block of ours.
    InvalidRealloc,
    /// A question about an address that is no block of ours.
    InvalidPointer,
    /// A size was passed along with a block that does not fit it.
    SizeMismatch,
    /// An alignment that is no power of two, or larger than supported.
    InvalidAlignment,
    /// A heap, arena or sub-process that is null, dead, foreign, or not allowed here.
    InvalidHandle,
    /// An argument outside its range.
    InvalidArgument,
    /// The operating system or the allowed arenas have no more memory.
    OutOfMemory,
    /// `count * size` does not fit a word.
    CountOverflow,
    /// A request above the largest that can succeed.
    RequestTooLarge,
}

/// Whether the heap can still be trusted after an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The call failed or was ignored; nothing else is affected.
    Contained,
    /// Memory was overwritten that the allocator relies on.
    Corruption,
}

/// The numbers that mimalloc's interface promises to error hooks: Linux's.
mod code {
    pub const EAGAIN: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EFAULT: i32 = 14;
    pub const EINVAL: i32 = 22;
    pub const EOVERFLOW: i32 = 75;
}

impl ErrorKind {
    /// The number handed to error hooks.
    pub const fn code(self) -> i32 {
        use ErrorKind::*;
        match self {
            DoubleFree => code::EAGAIN,
            CorruptFreeList | CorruptMetadata | BlockOverflow | WriteAfterFree => code::EFAULT,
            InvalidFree | InvalidRealloc | InvalidPointer | SizeMismatch => code::EINVAL,
            InvalidAlignment | InvalidHandle | InvalidArgument => code::EINVAL,
            OutOfMemory => code::ENOMEM,
            CountOverflow | RequestTooLarge => code::EOVERFLOW,
        }
    }

    pub const fn severity(self) -> Severity {
        if self.code() == code::EFAULT { Severity::Corruption } else { Severity::Contained }
    }

    /// The reason in words.
    pub const fn words(self) -> &'static str {
        use ErrorKind::*;
        match self {
            DoubleFree => "double free: the block is free already",
            CorruptFreeList => "corrupted free list: freed memory was overwritten",
            CorruptMetadata => "corrupted metadata of the allocator",
            BlockOverflow => "buffer overflow: bytes behind the block were overwritten",
            WriteAfterFree => "write after free: the block was changed after it was freed",
            InvalidFree => "free of an address that is not a block of this allocator",
            InvalidRealloc => "realloc of an address that is not a block of this allocator",
            InvalidPointer => "the address is not a block of this allocator",
            SizeMismatch => "the size passed along does not fit the block",
            InvalidAlignment => "invalid alignment",
            InvalidHandle => "the heap, arena or sub-process cannot be used for this",
            InvalidArgument => "invalid argument",
            OutOfMemory => "out of memory",
            CountOverflow => "count times size overflows",
            RequestTooLarge => "the request is larger than any allocation can be",
        }
    }
}

/// What else is known about an error.
#[derive(Clone, Copy, Debug)]
pub enum Detail {
    Nothing,
    /// A size in bytes: what was asked for, or how large the block is.
    Bytes(usize),
    /// An array that was asked for.
    Array {
        count: usize,
        bytes_each: usize,
    },
    /// A size that was given and the one that is right, in bytes.
    Sizes {
        given: usize,
        actual: usize,
    },
    /// An alignment that was asked for.
    Alignment(usize),
    /// Where exactly it was noticed.
    At(*const u8),
    /// The function or argument at fault.
    Named(&'static str),
}

impl Detail {
    /// Appends the detail, after a comma, if there is one.
    pub(super) fn write(self, line: &mut Message) {
        match self {
            Detail::Nothing => line,
            Detail::Bytes(bytes) => line.text(", ").size(bytes).text(" bytes"),
            Detail::Array { count, bytes_each } => {
                line.text(", ").size(count).text(" times ").size(bytes_each).text(" bytes")
            }
            Detail::Sizes { given, actual } => {
                line.text(", ").size(given).text(" bytes given, ").size(actual).text(" bytes actual")
            }
            Detail::Alignment(bytes) => line.text(", alignment ").size(bytes),
            Detail::At(place) => line.text(", at ").address(place),
            Detail::Named(name) => line.text(", in ").text(name),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        assert_eq!(ErrorKind::DoubleFree.code(), 11);
        assert_eq!(ErrorKind::OutOfMemory.code(), 12);
        assert_eq!(ErrorKind::CorruptFreeList.code(), 14);
        assert_eq!(ErrorKind::InvalidFree.code(), 22);
        assert_eq!(ErrorKind::RequestTooLarge.code(), 75);
    }

    #[test]
    fn only_overwritten_memory_is_corruption() {
        assert_eq!(ErrorKind::BlockOverflow.severity(), Severity::Corruption);
        assert_eq!(ErrorKind::DoubleFree.severity(), Severity::Contained);
        assert_eq!(ErrorKind::InvalidFree.severity(), Severity::Contained);
    }
}
