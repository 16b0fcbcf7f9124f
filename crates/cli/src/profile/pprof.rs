//! pprof's files: protobuf, compressed by gzip or not.
//!
//! Source: pprof, `proto/profile.proto`; Protocol Buffers, "Encoding".

use super::{Frame, Location, Module, Profile, Raw, RawSample, Values};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::time::SystemTime;

/// Names and units of values, in the order of [`Values`].
const VALUES: [(&str, &str); 7] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
    ("peak_objects", "count"),
    ("peak_space", "bytes"),
    ("lifetime", "milliseconds"),
];
/// Least of a profile's names of values: one that has no allocations is no heap's.
const NEEDED: [&str; 2] = ["inuse_space", "alloc_space"];

/// A field of a message.
enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The fields of a message, one after another; ends at what is no field.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, bytes: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u64, Field<'b>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Bytes(self.take(8)?),
            2 => {
                let bytes = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(bytes)?)
            }
            5 => Field::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Option<(u64, Field<'b>)>;

    /// `None` inside: the message is damaged here.
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// A message taken apart: numbers by field, and parts by field.
#[derive(Default)]
struct Message<'b> {
    numbers: HashMap<u64, Vec<u64>>,
    parts: HashMap<u64, Vec<&'b [u8]>>,
}

impl<'b> Message<'b> {
    fn of(bytes: &'b [u8]) -> Option<Message<'b>> {
        let mut message = Message::default();
        for field in Fields(bytes) {
            match field? {
                (number, Field::Number(value)) => message.numbers.entry(number).or_default().push(value),
                (number, Field::Bytes(part)) => message.parts.entry(number).or_default().push(part),
            }
        }
        Some(message)
    }

    fn number(&self, field: u64) -> u64 {
        self.numbers.get(&field).and_then(|all| all.last().copied()).unwrap_or(0)
    }

    fn parts(&self, field: u64) -> &[&'b [u8]] {
        self.parts.get(&field).map_or(&[], Vec::as_slice)
    }

    /// Repeated numbers, packed or not.
    fn all(&self, field: u64) -> Vec<u64> {
        let mut all = self.numbers.get(&field).cloned().unwrap_or_default();
        for part in self.parts(field) {
            let mut rest = Fields(part);
            all.extend(std::iter::from_fn(|| rest.varint()));
        }
        all
    }
}

/// Reads a file's bytes. `None` if they are no heap profile of pprof's.
pub fn read(bytes: &[u8]) -> Option<Raw> {
    let mut unpacked = Vec::new();
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(bytes).read_to_end(&mut unpacked).ok()?;
        &unpacked
    } else {
        bytes
    };
    let profile = Message::of(bytes)?;
    let strings: Vec<String> = profile.parts(6).iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    let string = |number: u64| strings.get(number as usize).cloned().unwrap_or_default();
    let types = profile.parts(1).iter().map(|part| Some(string(Message::of(part)?.number(1))));
    let types: Vec<String> = types.collect::<Option<_>>()?;
    if !NEEDED.iter().all(|name| types.iter().any(|kind| kind == name)) {
        return None;
    }
    let mut raw = Raw { rate_bytes: profile.number(12), ..Raw::default() };
    for part in profile.parts(3) {
        let mapping = Message::of(part)?;
        let [start, end, offset] = [2, 3, 4].map(|field| mapping.number(field));
        raw.modules.push(Module {
            start,
            end,
            offset,
            path: string(mapping.number(5)),
            build_id: string(mapping.number(6)),
        });
    }
    let mut functions = HashMap::new();
    for part in profile.parts(5) {
        let function = Message::of(part)?;
        functions.insert(function.number(1), (string(function.number(2)), string(function.number(4))));
    }
    for part in profile.parts(4) {
        let location = Message::of(part)?;
        let mut known = Vec::new();
        for line in location.parts(4) {
            let line = Message::of(line)?;
            let (name, file) = functions.get(&line.number(1)).cloned().unwrap_or_default();
            known.push(Frame { name, file, line: line.number(2) as u32 });
        }
        raw.locations.insert(location.number(1), Location { address: location.number(3), known });
    }
    for part in profile.parts(2) {
        raw.samples.push(sample(&Message::of(part)?, &types, &string)?);
    }
    Some(raw)
}

fn sample(message: &Message<'_>, types: &[String], string: &impl Fn(u64) -> String) -> Option<RawSample> {
    let mut sample = RawSample { stack: message.all(1), ..RawSample::default() };
    for (kind, value) in types.iter().zip(message.all(2)) {
        if let Some(place) = VALUES.iter().position(|(name, _)| name == kind) {
            sample.values[place] = value.cast_signed();
        }
    }
    for label in message.parts(3) {
        let label = Message::of(label)?;
        match string(label.number(1)).as_str() {
            "thread" => sample.thread = string(label.number(2)),
            "heap" => sample.heap = label.number(3),
            _ => {}
        }
    }
    Some(sample)
}

/// Writes messages.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(mut self, field: u64, number: u64) -> Writer {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    fn part(mut self, field: u64, bytes: &[u8]) -> Writer {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn all(self, field: u64, numbers: impl IntoIterator<Item = u64>) -> Writer {
        let mut packed = Writer::default();
        numbers.into_iter().for_each(|number| packed.varint(number));
        self.part(field, &packed.0)
    }
}

#[derive(Default)]
struct Strings {
    all: Vec<String>,
    numbers: HashMap<String, u64>,
}

impl Strings {
    fn number(&mut self, text: &str) -> u64 {
        let next = self.all.len() as u64;
        *self.numbers.entry(text.to_owned()).or_insert_with(|| {
            self.all.push(text.to_owned());
            next
        })
    }
}

/// A profile as pprof's protobuf. Each frame is a location of its own, named.
pub fn write(profile: &Profile) -> Vec<u8> {
    let mut strings = Strings::default();
    strings.number("");
    let mut out = Writer::default();
    for (kind, unit) in VALUES {
        let kind = Writer::default().number(1, strings.number(kind)).number(2, strings.number(unit));
        out = out.part(1, &kind.0);
    }
    let (thread_key, heap_key) = (strings.number("thread"), strings.number("heap"));
    for sample in &profile.samples {
        let values: &Values = &sample.values;
        let thread = Writer::default().number(1, thread_key).number(2, strings.number(&sample.thread));
        let heap = Writer::default().number(1, heap_key).number(3, sample.heap);
        let message = Writer::default()
            .all(1, sample.stack.iter().map(|&frame| frame as u64 + 1))
            .all(2, values.iter().map(|value| value.cast_unsigned()))
            .part(3, &thread.0)
            .part(3, &heap.0);
        out = out.part(2, &message.0);
    }
    for (number, frame) in (1..).zip(&profile.frames) {
        let line = Writer::default().number(1, number).number(2, u64::from(frame.line));
        out = out.part(4, &Writer::default().number(1, number).part(4, &line.0).0);
        let name = strings.number(&frame.name);
        let function = Writer::default().number(1, number).number(2, name).number(3, name);
        out = out.part(5, &function.number(4, strings.number(&frame.file)).0);
    }
    let period = Writer::default().number(1, strings.number("space")).number(2, strings.number("bytes"));
    let (shown, comment) = (strings.number("inuse_space"), strings.number(&profile.command));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    out = out.number(9, now).number(10, profile.millis * 1_000_000).part(11, &period.0);
    out = out.number(12, profile.rate_bytes).all(13, [comment]).number(14, shown);
    strings.all.iter().fold(out, |out, text| out.part(6, text.as_bytes())).0
}

/// The same, compressed.
pub fn packed(profile: &Profile) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&write(profile))?;
    packer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::symbols::Symbols;
    use crate::profile::tests::example;

    #[test]
    fn what_is_written_is_read() {
        let profile = example();
        for bytes in [write(&profile), packed(&profile).unwrap()] {
            let again = read(&bytes).unwrap().resolve(&mut Symbols::of_files());
            assert_eq!(again.rate_bytes, profile.rate_bytes);
            let lines = |profile: &Profile| -> Vec<_> {
                let frame = |&frame: &usize| profile.frames[frame].clone();
                let all = profile.samples.iter().map(|sample| {
                    (
                        sample.stack.iter().map(frame).collect::<Vec<_>>(),
                        sample.thread.clone(),
                        sample.heap,
                        sample.values,
                    )
                });
                all.collect()
            };
            assert_eq!(lines(&again), lines(&profile));
        }
    }

    #[test]
    fn damaged_files_are_refused_or_read_without_harm() {
        let whole = write(&example());
        assert!(read(b"nothing").is_none() && read(b"").is_none() && read(&[0x1f, 0x8b, 8]).is_none());
        for length in 0..whole.len() {
            let _ = read(&whole[..length]);
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            if let Some(raw) = read(&bytes) {
                let _ = raw.resolve(&mut Symbols::of_files());
            }
        }
    }
}
