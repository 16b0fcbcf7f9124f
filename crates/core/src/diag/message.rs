//! A line of text on the stack.
//!
//! Longer lines are cut; there is always room for the newline and the terminating zero that C hooks expect.
//! Numbers are written by hand: `core::fmt` would be the largest part of a small program's allocator. What appends is
//! `#[cold]`, and so, by inference, is every function that writes a line: such code is small and out of the way of what
//! a program touches at its start.

use core::ffi::CStr;

const CAPACITY: usize = 512;
/// A newline and a zero.
const RESERVED: usize = 2;
const DECIMAL_DIGITS_MAX: usize = 20;

/// A line under construction. Its text never contains a zero byte.
pub struct Message {
    length: usize,
    bytes: [u8; CAPACITY],
}

impl Message {
    /// An empty line.
    pub const fn new() -> Self {
        Message { length: 0, bytes: [0; CAPACITY] }
    }

    /// Appends text.
    #[cold]
    #[inline(never)]
    pub fn text(&mut self, text: &str) -> &mut Self {
        text.bytes().for_each(|byte| self.push(byte));
        self
    }

    /// Appends bytes of unknown origin: what does not print becomes `?`.
    #[cold]
    #[inline(never)]
    pub fn foreign(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            self.push(if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' });
        }
        self
    }

    /// The same of a path, in which bytes beyond ASCII are letters.
    #[cold]
    #[inline(never)]
    pub fn path(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            self.push(if byte.is_ascii_control() { b'?' } else { byte });
        }
        self
    }

    /// Appends a number in decimal.
    #[cold]
    #[inline(never)]
    pub fn unsigned(&mut self, number: u64) -> &mut Self {
        let mut digits = [0; DECIMAL_DIGITS_MAX];
        let mut rest = number;
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        digits[first..].iter().for_each(|&digit| self.push(digit));
        self
    }

    /// Appends a number in decimal, with a sign if it is negative.
    pub fn decimal(&mut self, number: i64) -> &mut Self {
        if number < 0 {
            self.push(b'-');
        }
        self.unsigned(number.unsigned_abs())
    }

    /// Appends a count or a size in decimal.
    pub fn size(&mut self, number: usize) -> &mut Self {
        self.unsigned(number as u64)
    }

    /// Appends a number in hexadecimal, as `0x…`.
    #[cold]
    #[inline(never)]
    pub fn hex(&mut self, number: usize) -> &mut Self {
        self.text("0x");
        let nibbles = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
        for nibble in (0..nibbles).rev() {
            let digit = (number >> (nibble * 4)) & 0xf;
            self.push(b"0123456789abcdef"[digit]);
        }
        self
    }

    /// Appends an address.
    pub fn address<T>(&mut self, pointer: *const T) -> &mut Self {
        self.hex(pointer.addr())
    }

    /// Appends one ASCII character.
    pub fn character(&mut self, character: u8) -> &mut Self {
        self.push(character);
        self
    }

    /// Appends spaces up to column `column`.
    pub fn pad_to(&mut self, column: usize) -> &mut Self {
        while self.length < column.min(CAPACITY - RESERVED) {
            self.push(b' ');
        }
        self
    }

    /// Moves what was written since column `start` to the right end of a field of `width` columns.
    #[cold]
    #[inline(never)]
    pub fn right_align(&mut self, start: usize, width: usize) -> &mut Self {
        let end = self.length;
        if start < end {
            self.pad_to(start.saturating_add(width));
            self.bytes[start..self.length].rotate_right(self.length - end);
        }
        self
    }

    /// Ends the line; there is always room for this newline.
    pub fn end_line(&mut self) -> &mut Self {
        if self.length < CAPACITY - 1 {
            self.bytes[self.length] = b'\n';
            self.length += 1;
        }
        self
    }

    /// Columns used so far.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing has been appended.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The text so far, without a terminating zero.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The text as a C string.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }

    fn push(&mut self, byte: u8) {
        if self.length < CAPACITY - RESERVED {
            self.bytes[self.length] = if byte == 0 { b'?' } else { byte };
            self.length += 1;
        }
    }
}

impl core::fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.text(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    fn text(message: &Message) -> String {
        String::from_utf8(message.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn numbers_read_as_core_formats_them() {
        for number in [0, 1, 9, 10, -1, 4096, i64::MAX, i64::MIN] {
            assert_eq!(text(Message::new().decimal(number)), format!("{number}"));
            assert_eq!(text(Message::new().unsigned(number as u64)), format!("{}", number as u64));
            assert_eq!(text(Message::new().hex(number as usize)), format!("{:#x}", number as usize));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_still_ends() {
        let mut message = Message::new();
        for _ in 0..CAPACITY {
            message.text("ab");
        }
        message.end_line();
        assert_eq!(message.len(), CAPACITY - 1);
        assert!(message.as_bytes().ends_with(b"\n"));
        assert_eq!(message.as_c_str().to_bytes(), message.as_bytes());
        message.end_line().text("more");
        assert_eq!(message.len(), CAPACITY - 1);
    }

    #[test]
    fn foreign_bytes_cannot_forge_lines_or_end_the_string() {
        let mut message = Message::new();
        message.foreign(b"a\nb\0c\xff d").text("e\0f");
        assert_eq!(message.as_bytes(), b"a?b?c? de?f");
    }

    #[test]
    fn fields_align_on_both_sides() {
        let mut message = Message::new();
        message.text("ab").pad_to(4).text("|");
        let start = message.len();
        message.size(42).right_align(start, 5).text("|");
        let wide = message.len();
        message.size(123456).right_align(wide, 3).right_align(1000, 2);
        assert_eq!(text(&message), "ab  |   42|123456");
    }

    #[test]
    fn padding_stops_at_the_capacity() {
        let mut message = Message::new();
        message.pad_to(10 * CAPACITY).right_align(0, 10 * CAPACITY).end_line();
        assert_eq!(message.len(), CAPACITY - 1);
    }

    #[test]
    fn it_is_a_fmt_writer() {
        use core::fmt::Write;
        let mut message = Message::new();
        write!(message, "{}-{:?}", 1, Some(2)).unwrap();
        assert_eq!(message.as_bytes(), b"1-Some(2)");
    }
}
