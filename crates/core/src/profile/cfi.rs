//! Unwind tables (`.eh_frame`): the rule for an address.
//!
//! Compilers describe for each instruction how to get to the caller's frame: where the CFA is (the stack pointer before the
//! call), and where registers were saved, counted from there. We care for the return address and the frame pointer, and for
//! CFAs that are counted from the stack or the frame pointer. What else there may be (expressions; mostly in signal frames)
//! gives no rule.
//!
//! Sources: the Linux Standard Base (`.eh_frame`, `.eh_frame_hdr`), DWARF 4, section 6.4.

use ferrimalloc_prim::stack::NUMBERS;

use super::rule::{Base, Rule};

/// Pointer encodings that are read.
const ABSOLUTE: u8 = 0x00;
const PC_RELATIVE: u8 = 0x10;
/// The search table's: signed, four bytes, from the table's start.
const TABLE_ENCODING: u8 = 0x3b;
/// Longer entries are damaged.
const MAX_ENTRY_BYTES: usize = 1 << 20;
/// States that are remembered at a time.
const MAX_REMEMBERED: usize = 4;

/// Reads from mapped memory, up to an end.
#[derive(Clone, Copy)]
struct Reader {
    at: usize,
    end: usize,
}

impl Reader {
    fn read<T: Copy>(&mut self) -> Option<T> {
        if self.end.saturating_sub(self.at) < size_of::<T>() {
            return None;
        }
        // SAFETY: unwind tables are loaded; the range is that of an entry.
        let value = unsafe { core::ptr::with_exposed_provenance::<T>(self.at).read_unaligned() };
        self.at += size_of::<T>();
        Some(value)
    }

    fn u8(&mut self) -> Option<u8> {
        self.read()
    }

    fn unsigned(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    fn signed(&mut self) -> Option<i64> {
        let (mut value, mut shift) = (0i64, 0);
        loop {
            let byte = self.u8()?;
            value |= i64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                let unused = 64u32.saturating_sub(shift);
                return Some(value << unused >> unused);
            }
        }
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(bytes).ok()?)?;
        self.at = at;
        (at <= self.end).then_some(())
    }

    /// A pointer. One that is to be followed is not.
    fn pointer(&mut self, encoding: u8) -> Option<usize> {
        let here = self.at;
        let value = match encoding & 0x0f {
            0x00 => self.read::<usize>()?,
            0x02 => usize::from(self.read::<u16>()?),
            0x03 => self.read::<u32>()? as usize,
            0x04 | 0x0c => self.read::<u64>()? as usize,
            0x0a => self.read::<i16>()? as usize,
            0x0b => self.read::<i32>()? as usize,
            _ => return None,
        };
        match encoding & 0x70 {
            ABSOLUTE => Some(value),
            PC_RELATIVE => Some(here.wrapping_add(value)),
            _ => None,
        }
    }

    /// The entry that starts at an address.
    fn of_entry(at: usize) -> Option<Reader> {
        let mut head = Reader { at, end: at + 4 };
        let bytes = head.read::<u32>()? as usize;
        (bytes > 0 && bytes < MAX_ENTRY_BYTES).then_some(Reader { at: head.at, end: head.at + bytes })
    }
}

/// What entries of one kind have in common.
struct Common {
    code_align: u64,
    data_align: i64,
    encoding: u8,
    is_augmented: bool,
    instructions: Reader,
}

impl Common {
    fn read(at: usize) -> Option<Common> {
        let mut reader = Reader::of_entry(at)?;
        let (id, version) = (reader.read::<u32>()?, reader.u8()?);
        if id != 0 || !matches!(version, 1 | 3) {
            return None;
        }
        let text = reader.at;
        while reader.u8()? != 0 {}
        let letters = Reader { at: text, end: reader.at - 1 };
        let (code_align, data_align) = (reader.unsigned()?, reader.signed()?);
        let column = if version == 1 { u64::from(reader.u8()?) } else { reader.unsigned()? };
        if column != NUMBERS.return_address {
            return None;
        }
        Common { code_align, data_align, encoding: ABSOLUTE, is_augmented: false, instructions: reader }
            .augmented(letters)
    }

    fn augmented(mut self, mut letters: Reader) -> Option<Common> {
        if letters.at == letters.end {
            return Some(self);
        }
        if letters.u8()? != b'z' {
            return None;
        }
        self.is_augmented = true;
        let bytes = self.instructions.unsigned()?;
        let mut data = self.instructions;
        self.instructions.skip(bytes)?;
        while let Some(letter) = letters.u8() {
            match letter {
                b'R' => self.encoding = data.u8()?,
                b'L' => _ = data.u8()?,
                b'P' => {
                    let encoding = data.u8()?;
                    data.pointer(encoding & 0x0f)?;
                }
                b'S' | b'B' => {}
                _ => return None,
            }
        }
        Some(self)
    }
}

/// The rule for the instruction at `address`, by the tables whose `.eh_frame_hdr` is at `table`.
pub fn rule_at(table: usize, address: usize) -> Option<Rule> {
    let entry = find_entry(table, address)?;
    let mut reader = Reader::of_entry(entry)?;
    let here = reader.at;
    let common = Common::read(here.checked_sub(reader.read::<u32>()? as usize)?)?;
    let first = reader.pointer(common.encoding)?;
    let bytes = reader.pointer(common.encoding & 0x0f)?;
    if address.wrapping_sub(first) >= bytes {
        return None;
    }
    if common.is_augmented {
        let bytes = reader.unsigned()?;
        reader.skip(bytes)?;
    }
    let mut machine = Machine::new(&common, first, address);
    machine.run(common.instructions)?;
    machine.initial = machine.row;
    machine.run(reader)?;
    machine.row.rule()
}

/// The last entry that begins at `address` or before.
fn find_entry(table: usize, address: usize) -> Option<usize> {
    let mut reader = Reader { at: table, end: table + MAX_ENTRY_BYTES };
    let [version, pointer, count, encoding] = reader.read::<[u8; 4]>()?;
    if version != 1 || encoding != TABLE_ENCODING || count != 0x03 {
        return None;
    }
    reader.pointer(pointer)?;
    let count = reader.read::<u32>()? as usize;
    let row = |index: usize| {
        let at = reader.at + index * 8;
        let [first, entry] = Reader { at, end: at + 8 }.read::<[i32; 2]>().unwrap_or_default();
        (table.wrapping_add_signed(first as isize), table.wrapping_add_signed(entry as isize))
    };
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if row(middle).0 <= address {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.checked_sub(1).map(|index| row(index).1)
}

/// Where a register's value in the caller is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saved {
    /// Where it was.
    Kept,
    /// So many bytes from the CFA.
    At(i64),
    Undefined,
    Elsewhere,
}

/// What holds at an instruction.
#[derive(Clone, Copy)]
struct Row {
    cfa_register: Option<u64>,
    cfa_bytes: i64,
    return_address: Saved,
    fp: Saved,
}

impl Row {
    fn rule(self) -> Option<Rule> {
        let words = |bytes: i64| i16::try_from(bytes / 8).ok().filter(|_| bytes % 8 == 0);
        let return_address = match self.return_address {
            Saved::Undefined => return Some(Rule::END),
            Saved::At(bytes) => words(bytes)?,
            _ => return None,
        };
        let fp = match self.fp {
            Saved::At(bytes) => Some(words(bytes)?),
            _ => None,
        };
        let base = match self.cfa_register? {
            register if register == NUMBERS.sp => Base::StackPointer,
            register if register == NUMBERS.fp => Base::FramePointer,
            _ => return None,
        };
        Some(Rule { base, cfa: i32::try_from(self.cfa_bytes / 8).ok()?, return_address, fp })
    }

    fn save(&mut self, register: u64, saved: Saved) {
        if register == NUMBERS.return_address {
            self.return_address = saved;
        } else if register == NUMBERS.fp {
            self.fp = saved;
        }
    }

    fn restore(&mut self, register: u64, initial: Row) {
        self.save(register, if register == NUMBERS.fp { initial.fp } else { initial.return_address });
    }
}

/// Executes the instructions of an entry up to an address.
struct Machine {
    code_align: u64,
    data_align: i64,
    encoding: u8,
    at: usize,
    address: usize,
    row: Row,
    initial: Row,
    remembered: [Row; MAX_REMEMBERED],
    depth: usize,
}

impl Machine {
    fn new(common: &Common, first: usize, address: usize) -> Machine {
        let row = Row { cfa_register: None, cfa_bytes: 0, return_address: Saved::Kept, fp: Saved::Kept };
        Machine {
            code_align: common.code_align,
            data_align: common.data_align,
            encoding: common.encoding,
            at: first,
            address,
            row,
            initial: row,
            remembered: [row; MAX_REMEMBERED],
            depth: 0,
        }
    }

    fn run(&mut self, mut code: Reader) -> Option<()> {
        while let Some(byte) = code.u8() {
            let low = u64::from(byte & 0x3f);
            match byte & 0xc0 {
                0x40 => self.advance(low),
                0x80 => self.save_at(low, code.unsigned()? as i64),
                0xc0 => self.row.restore(low, self.initial),
                _ if (0x01..=0x04).contains(&byte) => self.move_on(byte, &mut code)?,
                _ if matches!(byte, 0x0a..=0x0f | 0x12 | 0x13) => self.change_cfa(byte, &mut code)?,
                _ => self.change_register(byte, &mut code)?,
            }
            // What follows holds from a later instruction on.
            if self.at > self.address {
                return Some(());
            }
        }
        Some(())
    }

    fn advance(&mut self, units: u64) {
        self.at = self.at.saturating_add((units * self.code_align) as usize);
    }

    fn save_at(&mut self, register: u64, units: i64) {
        self.row.save(register, Saved::At(units.wrapping_mul(self.data_align)));
    }

    fn move_on(&mut self, byte: u8, code: &mut Reader) -> Option<()> {
        match byte {
            0x01 => self.at = code.pointer(self.encoding)?,
            0x02 => self.advance(u64::from(code.u8()?)),
            0x03 => self.advance(u64::from(code.read::<u16>()?)),
            _ => self.advance(u64::from(code.read::<u32>()?)),
        }
        Some(())
    }

    fn change_cfa(&mut self, byte: u8, code: &mut Reader) -> Option<()> {
        match byte {
            0x0a => {
                *self.remembered.get_mut(self.depth)? = self.row;
                self.depth += 1;
            }
            0x0b => {
                self.depth = self.depth.checked_sub(1)?;
                self.row = self.remembered[self.depth];
            }
            0x0c => (self.row.cfa_register, self.row.cfa_bytes) = (Some(code.unsigned()?), code.unsigned()? as i64),
            0x0d => self.row.cfa_register = Some(code.unsigned()?),
            0x0e => self.row.cfa_bytes = code.unsigned()? as i64,
            0x12 => {
                self.row.cfa_register = Some(code.unsigned()?);
                self.row.cfa_bytes = code.signed()?.wrapping_mul(self.data_align);
            }
            0x13 => self.row.cfa_bytes = code.signed()?.wrapping_mul(self.data_align),
            _ => {
                self.row.cfa_register = None;
                let bytes = code.unsigned()?;
                code.skip(bytes)?;
            }
        }
        Some(())
    }

    fn change_register(&mut self, byte: u8, code: &mut Reader) -> Option<()> {
        match byte {
            0x00 | 0x2d => {}
            0x05 => {
                let register = code.unsigned()?;
                self.save_at(register, code.unsigned()? as i64);
            }
            0x06 => self.row.restore(code.unsigned()?, self.initial),
            0x07 => self.row.save(code.unsigned()?, Saved::Undefined),
            0x08 => self.row.save(code.unsigned()?, Saved::Kept),
            0x09 | 0x14 => {
                self.row.save(code.unsigned()?, Saved::Elsewhere);
                code.unsigned()?;
            }
            0x10 | 0x16 => {
                self.row.save(code.unsigned()?, Saved::Elsewhere);
                let bytes = code.unsigned()?;
                code.skip(bytes)?;
            }
            0x11 => {
                let register = code.unsigned()?;
                self.save_at(register, code.signed()?);
            }
            0x15 => {
                self.row.save(code.unsigned()?, Saved::Elsewhere);
                code.signed()?;
            }
            0x2e => _ = code.unsigned()?,
            _ => return None,
        }
        Some(())
    }
}
