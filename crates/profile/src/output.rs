//! Where a profile is written to, and a buffer before it.

/// Takes bytes.
pub trait Output {
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]);
}

impl<F: FnMut(&[u8])> Output for F {
    fn write(&mut self, bytes: &[u8]) {
        self(bytes);
    }
}

const BUFFER_BYTES: usize = 2048;

/// Gathers small pieces.
pub struct Buffered<'o> {
    out: &'o mut dyn Output,
    buffer: [u8; BUFFER_BYTES],
    length: usize,
}

impl<'o> Buffered<'o> {
    /// An empty buffer before `out`. What it holds at its end is lost unless it is flushed.
    pub fn new(out: &'o mut dyn Output) -> Self {
        Buffered { out, buffer: [0; BUFFER_BYTES], length: 0 }
    }

    /// As they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        for piece in bytes.chunks(BUFFER_BYTES) {
            if self.length + piece.len() > BUFFER_BYTES {
                self.flush();
            }
            self.buffer[self.length..self.length + piece.len()].copy_from_slice(piece);
            self.length += piece.len();
        }
        self
    }

    /// In UTF-8.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// In decimal.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.digits(number, 10)
    }

    /// In hexadecimal, with `0x` before.
    pub fn address(&mut self, address: usize) -> &mut Self {
        self.text("0x").digits(address as u64, 16)
    }

    fn digits(&mut self, mut number: u64, base: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b"0123456789abcdef"[(number % base) as usize];
            number /= base;
            if number == 0 {
                return self.bytes(&digits[first..]);
            }
        }
    }

    /// Hands on what was gathered.
    pub fn flush(&mut self) {
        self.out.write(&self.buffer[..self.length]);
        self.length = 0;
    }
}

impl Drop for Buffered<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn pieces_come_out_in_order() {
        let (mut all, mut expected) = (Vec::new(), Vec::new());
        let mut out = |bytes: &[u8]| all.extend_from_slice(bytes);
        let mut buffered = Buffered::new(&mut out);
        for number in 0..2000u64 {
            buffered.number(number).text(" ").address(number as usize).text("\n");
            expected.extend(std::format!("{number} 0x{number:x}\n").into_bytes());
        }
        buffered.bytes(&[7; 5000]);
        expected.extend([7; 5000]);
        drop(buffered);
        assert!(all == expected);
    }
}
