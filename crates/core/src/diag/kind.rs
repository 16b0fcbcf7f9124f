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
    /// Bytes before a block were written.
    BlockUnderflow,
    /// A block was written after it was freed.
    WriteAfterFree,
    /// Inaccessible memory behind a block was accessed, or a block without bytes.
    GuardHit,
    /// Inaccessible memory in front of a block was accessed.
    FrontGuardHit,
    /// A guarded block was accessed after it was freed.
    UseAfterFree,
    /// A copy was to read beyond the end of a block.
    CopyReadsBeyond,
    /// A copy was to write beyond the end of a block.
    CopyWritesBeyond,
    /// A copy was to read a block that is free.
    CopyReadsFreed,
    /// A copy was to write to a block that is free.
    CopyWritesFreed,
    /// `free` of an address that is no block of ours.
    InvalidFree,
    /// `realloc` of an address that is no block of ours.
    InvalidRealloc,
    /// A question about an address that is no block of ours.
    InvalidPointer,
    /// A size was passed along with a block that does not fit it.
    SizeMismatch,
    /// An alignment was passed along with a block that does not fit it.
    AlignmentMismatch,
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

/// What an error says about the program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The call failed, as calls may.
    Contained,
    /// The program uses memory that is not its to use so. The call was ignored; nothing else is affected yet.
    Misuse,
    /// Memory was overwritten that the allocator relies on.
    Corruption,
    /// The program does what it has asked to be ended for, by having it checked.
    Checked,
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
            CorruptFreeList | CorruptMetadata | BlockOverflow | BlockUnderflow | WriteAfterFree => code::EFAULT,
            GuardHit | FrontGuardHit | UseAfterFree => code::EFAULT,
            CopyReadsBeyond | CopyWritesBeyond | CopyReadsFreed | CopyWritesFreed => code::EFAULT,
            InvalidFree | InvalidRealloc | InvalidPointer | SizeMismatch | AlignmentMismatch => code::EINVAL,
            InvalidAlignment | InvalidHandle | InvalidArgument => code::EINVAL,
            OutOfMemory => code::ENOMEM,
            CountOverflow | RequestTooLarge => code::EOVERFLOW,
        }
    }

    /// What it says about the program, for the decision whether to end the process.
    pub const fn severity(self) -> Severity {
        use ErrorKind::*;
        match self {
            CopyReadsBeyond | CopyWritesBeyond | CopyReadsFreed | CopyWritesFreed => Severity::Checked,
            CorruptFreeList | CorruptMetadata | BlockOverflow | BlockUnderflow | WriteAfterFree => Severity::Corruption,
            GuardHit | FrontGuardHit | UseAfterFree => Severity::Misuse,
            DoubleFree | InvalidFree | InvalidRealloc | InvalidPointer => Severity::Misuse,
            SizeMismatch | AlignmentMismatch => Severity::Misuse,
            InvalidAlignment | InvalidHandle | InvalidArgument => Severity::Contained,
            OutOfMemory | CountOverflow | RequestTooLarge => Severity::Contained,
        }
    }

    /// The reason in words.
    pub const fn words(self) -> &'static str {
        use ErrorKind::*;
        match self {
            DoubleFree => "double free: the block is free already",
            CorruptFreeList => "corrupted free list: freed memory was overwritten",
            CorruptMetadata => "corrupted metadata of the allocator",
            BlockOverflow => "buffer overflow: bytes behind the block were overwritten",
            BlockUnderflow => "buffer underflow: bytes before the block were overwritten",
            WriteAfterFree => "write after free: the block was changed after it was freed",
            GuardHit => "access beyond the block, to the guard behind it",
            FrontGuardHit => "access before the block, to the guard in front of it",
            UseAfterFree => "use after free: access to a block that has been freed",
            CopyReadsBeyond => "a copy would read beyond the end of the block",
            CopyWritesBeyond => "a copy would write beyond the end of the block",
            CopyReadsFreed => "a copy would read a block that is free",
            CopyWritesFreed => "a copy would write to a block that is free",
            InvalidFree => "free of an address that is not a block of this allocator",
            InvalidRealloc => "realloc of an address that is not a block of this allocator",
            InvalidPointer => "the address is not a block of this allocator",
            SizeMismatch => "the size passed along does not fit the block",
            AlignmentMismatch => "the alignment passed along does not fit the block",
            InvalidAlignment => "invalid alignment",
            InvalidHandle => "the heap, arena or sub-process cannot be used for this",
            InvalidArgument => "invalid argument",
            OutOfMemory => "out of memory",
            CountOverflow => "count times size overflows",
            RequestTooLarge => "the request is larger than any allocation can be",
        }
    }
}

/// The block that an error is about.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its first byte.
    pub block: *const u8,
    /// As much as its user has, if that is known; else all that it takes.
    pub bytes: usize,
    /// Where exactly it was noticed.
    pub at: *const u8,
    /// As the C interface names it.
    pub heap: *const (),
    /// The thread that owns the block's page, or owned it last; 0 if there is none.
    pub owner: usize,
}

impl About {
    fn write(self, line: &mut Message) -> &mut Message {
        line.text(", block of ").size(self.bytes).text(" bytes at ").address(self.block).text(", offset ");
        line.decimal(self.at.addr().wrapping_sub(self.block.addr()) as i64);
        line.text(", heap ").address(self.heap).text(", owned by thread ").hex(self.owner)
    }
}

/// What else is known about an error.
#[derive(Clone, Copy, Debug)]
pub enum Detail {
    /// No more than its kind and the pointer.
    Nothing,
    /// A size in bytes: what was asked for, or how large the block is.
    Bytes(usize),
    /// An array that was asked for.
    Array {
        /// How many elements.
        count: usize,
        /// The size of one, in bytes.
        bytes_each: usize,
    },
    /// A size that was given and the one that is right, in bytes.
    Sizes {
        /// The size that the caller gave.
        given: usize,
        /// The size that the block has.
        actual: usize,
    },
    /// An alignment that was asked for.
    Alignment(usize),
    /// Where exactly it was noticed.
    At(*const u8),
    /// The block at fault, and where in it.
    Block(About),
    /// The block at fault, and the copy.
    Copy {
        /// The block, and where in it the copy begins.
        about: About,
        /// How much is copied.
        bytes: usize,
        /// The function that copies.
        function: &'static str,
    },
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
            Detail::Block(about) => about.write(line),
            Detail::Copy { about, bytes, function } => {
                about.write(line).text(", ").size(bytes).text(" bytes in ").text(function)
            }
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
    fn overwritten_memory_is_worse_than_misuse_and_that_than_failure() {
        assert_eq!(ErrorKind::BlockOverflow.severity(), Severity::Corruption);
        assert_eq!(ErrorKind::DoubleFree.severity(), Severity::Misuse);
        assert_eq!(ErrorKind::InvalidFree.severity(), Severity::Misuse);
        assert_eq!(ErrorKind::OutOfMemory.severity(), Severity::Contained);
        assert!(Severity::Corruption > Severity::Misuse && Severity::Misuse > Severity::Contained);
        assert_eq!(ErrorKind::CopyReadsBeyond.severity(), Severity::Checked);
    }
}
