//! pprof's protobuf, uncompressed, which its readers take as well as compressed.
//!
//! Values are estimates of what there was: `alloc_objects`, `alloc_space`, `inuse_objects`, `inuse_space`, and those in use when
//! most was, `peak_objects` and `peak_space`; `lifetime` is how long all blocks together have lived so far. Samples carry the thread's
//! name and the heap's number as labels. Functions are named from symbol tables; where pprof finds the files, it adds lines and
//! inlined calls itself.
//!
//! A location's number is its address, a function's that of its first instruction: so nothing has to be looked up while the
//! profile is written, only whether it has been written already.
//!
//! Source: pprof, `proto/profile.proto`; Protocol Buffers, "Encoding".

use ferrimalloc_core::profile::{Counts, MAX_FRAMES};
use ferrimalloc_prim::{clock, modules};

use crate::collapsed::until_zero;
use crate::output::{Buffered, Output};
use crate::stacks::{Measure, Stacks};
use crate::symbols::{Found, Symbols, path_of};
use crate::table::{Inserted, Set};

/// Strings that always come first, by their number.
const STRINGS: [&str; 14] = [
    "",
    "alloc_objects",
    "count",
    "alloc_space",
    "bytes",
    "inuse_objects",
    "inuse_space",
    "peak_objects",
    "peak_space",
    "space",
    "thread",
    "heap",
    "lifetime",
    "milliseconds",
];
const COUNT: u64 = 2;
const BYTES: u64 = 4;
const INUSE_SPACE: u64 = 6;
const SPACE: u64 = 9;
const THREAD: u64 = 10;
const HEAP: u64 = 11;
const LIFETIME: u64 = 12;
const MILLISECONDS: u64 = 13;
/// The kinds of values and their units.
const VALUES: [(u64, u64); 7] =
    [(1, COUNT), (3, BYTES), (5, COUNT), (INUSE_SPACE, BYTES), (7, COUNT), (8, BYTES), (LIFETIME, MILLISECONDS)];

/// Modules whose code is told apart.
const MODULES: usize = 128;
const PATH_BYTES: usize = 1024;
/// A function or location more than there were when the tables were made.
const MORE: usize = 4096;

// Numbers of fields.
mod profile {
    pub const SAMPLE_TYPE: u64 = 1;
    pub const SAMPLE: u64 = 2;
    pub const MAPPING: u64 = 3;
    pub const LOCATION: u64 = 4;
    pub const FUNCTION: u64 = 5;
    pub const STRING: u64 = 6;
    pub const TIME_NANOS: u64 = 9;
    pub const PERIOD_TYPE: u64 = 11;
    pub const PERIOD: u64 = 12;
    pub const DEFAULT_SAMPLE_TYPE: u64 = 14;
}

/// A message that is small enough to be made before it is written.
struct Message<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Message<N> {
    fn new() -> Self {
        Message { bytes: [0; N], length: 0 }
    }

    fn done(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn varint(&mut self, number: u64) -> &mut Self {
        let mut bytes = [0; 10];
        let bytes = varint(number, &mut bytes);
        self.raw(bytes)
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            place.copy_from_slice(bytes);
            self.length += bytes.len();
        }
        self
    }

    fn number(&mut self, field: u64, number: u64) -> &mut Self {
        self.varint(field << 3).varint(number)
    }

    fn part(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2).varint(bytes.len() as u64).raw(bytes)
    }
}

fn varint(mut number: u64, bytes: &mut [u8; 10]) -> &[u8] {
    let mut length = 0;
    loop {
        bytes[length] = number as u8 & 0x7f;
        number >>= 7;
        length += 1;
        if number == 0 {
            return &bytes[..length];
        }
        bytes[length - 1] |= 0x80;
    }
}

struct Writer<'o> {
    out: Buffered<'o>,
    strings: u64,
    locations: Set,
    functions: Set,
    modules: [(usize, usize); MODULES],
    module_count: usize,
}

/// Writes the profile; `rate_bytes` is what it was taken at. Nothing without memory for the tables.
pub fn pprof(out: &mut dyn Output, rate_bytes: usize) {
    let (stacks, mut symbols) = (Stacks::new(), Symbols::new());
    let mut frames = MORE;
    stacks.for_each(&mut symbols, |_, calls, _| {
        frames += calls.len();
        true
    });
    let Some((locations, functions)) = Set::new(frames).zip(Set::new(frames)) else { return };
    let (out, modules) = (Buffered::new(out), [(0, 0); MODULES]);
    let mut writer = Writer { out, strings: 0, locations, functions, modules, module_count: 0 };
    writer.head(rate_bytes);
    writer.mappings();
    stacks.for_each(&mut symbols, |symbols, calls, counts| {
        calls.iter().all(|&call| writer.location(symbols, call)) && writer.sample(calls, counts)
    });
}

impl Writer<'_> {
    fn part(&mut self, field: u64, bytes: &[u8]) {
        let (mut key, mut length) = ([0; 10], [0; 10]);
        self.out.bytes(varint(field << 3 | 2, &mut key)).bytes(varint(bytes.len() as u64, &mut length)).bytes(bytes);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.out.bytes(Message::<20>::new().number(field, number).done());
    }

    /// Adds a string; its number.
    fn string(&mut self, text: &[u8]) -> u64 {
        self.part(profile::STRING, text);
        self.strings += 1;
        self.strings - 1
    }

    fn head(&mut self, rate_bytes: usize) {
        for text in STRINGS {
            self.string(text.as_bytes());
        }
        for (kind, unit) in VALUES {
            self.part(profile::SAMPLE_TYPE, Message::<20>::new().number(1, kind).number(2, unit).done());
        }
        self.part(profile::PERIOD_TYPE, Message::<20>::new().number(1, SPACE).number(2, BYTES).done());
        self.number(profile::PERIOD, rate_bytes as u64);
        self.number(profile::DEFAULT_SAMPLE_TYPE, INUSE_SPACE);
        self.number(profile::TIME_NANOS, clock::nanos_since_epoch());
    }

    fn mappings(&mut self) {
        modules::for_each(&mut |module| {
            let (mut path, mut id) = ([0; PATH_BYTES], [0; 64]);
            let length = path_of(module, &mut path);
            let file = self.string(&path[..length]);
            let build_id = self.string(hex(module.build_id, &mut id));
            self.modules[self.module_count] = (module.start, module.end);
            self.module_count += 1;
            let mut mapping = Message::<80>::new();
            mapping.number(1, self.module_count as u64).number(2, module.start as u64).number(3, module.end as u64);
            mapping.number(4, module.file_offset as u64).number(5, file).number(6, build_id).number(7, 1);
            self.part(profile::MAPPING, mapping.done());
            self.module_count < MODULES
        });
    }

    /// Adds a location unless it has been; false if there is no room for it.
    fn location(&mut self, symbols: &mut Symbols, call: usize) -> bool {
        match self.locations.insert(call) {
            Inserted::Old => return true,
            Inserted::Full => return false,
            Inserted::New => {}
        }
        let function = symbols.name(call).and_then(|found| self.function(found));
        let modules = &self.modules[..self.module_count];
        let module = modules.iter().position(|&(start, end)| (start..end).contains(&call));
        let mut location = Message::<64>::new();
        location.number(1, call as u64).number(3, call as u64);
        if let Some(module) = module {
            location.number(2, module as u64 + 1);
        }
        if let Some(function) = function {
            location.part(4, Message::<20>::new().number(1, function).done());
        }
        self.part(profile::LOCATION, location.done());
        true
    }

    /// Adds a function unless it has been; its number.
    fn function(&mut self, found: Found<'_>) -> Option<u64> {
        let number = found.start as u64;
        match self.functions.insert(found.start) {
            Inserted::Old => return Some(number),
            Inserted::Full => return None,
            Inserted::New => {}
        }
        let name = self.string(found.name);
        let mut function = Message::<40>::new();
        function.number(1, number).number(2, name).number(3, name);
        self.part(profile::FUNCTION, function.done());
        Some(number)
    }

    fn sample(&mut self, calls: &[usize], counts: &Counts) -> bool {
        let thread = self.string(until_zero(&counts.who.thread));
        let mut locations = Message::<{ 10 * MAX_FRAMES }>::new();
        for &call in calls {
            locations.varint(call as u64);
        }
        let mut values = Message::<70>::new();
        for measure in [Measure::Allocated, Measure::InUse, Measure::Peak] {
            let amount = measure.of(counts).estimate();
            values.varint(amount.count).varint(amount.bytes);
        }
        values.varint(counts.lived_millis(clock::now_millis()));
        let mut sample = Message::<{ 10 * MAX_FRAMES + 170 }>::new();
        sample.part(1, locations.done()).part(2, values.done());
        sample.part(3, Message::<30>::new().number(1, THREAD).number(2, thread).done());
        sample.part(3, Message::<30>::new().number(1, HEAP).number(3, counts.who.heap).done());
        self.part(profile::SAMPLE, sample.done());
        true
    }
}

fn hex<'b>(bytes: &[u8], buf: &'b mut [u8; 64]) -> &'b [u8] {
    let length = bytes.len().min(buf.len() / 2);
    for (pair, byte) in buf.chunks_exact_mut(2).zip(&bytes[..length]) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    &buf[..2 * length]
}
