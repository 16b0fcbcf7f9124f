//! Texts of options and sizes, against a second parser that calculates in 128 bits.

#![no_main]

mod common;

use common::count_operations;
use ferrimalloc_core::base::MAX_REQUEST;
use ferrimalloc_core::options::{Invalid, Kind, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    for kind in [Kind::Switch, Kind::Number, Kind::KiB, Kind::Bytes] {
        assert_eq!(parse(kind, text), expected(kind, text).ok_or(Invalid), "{kind:?} {text:?}");
    }
    count_operations(1);
});

fn expected(kind: Kind, text: &[u8]) -> Option<i64> {
    // What is no ASCII is no value, but blanks around are none of the text.
    let text = String::from_utf8_lossy(text.trim_ascii()).to_ascii_lowercase();
    match text.as_str() {
        "" | "1" | "on" | "true" | "yes" => return Some(1),
        "0" | "off" | "false" | "no" => return Some(0),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let digits = unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = unsigned.split_at(digits);
    let number = magnitude(number)? * if text.starts_with('-') { -1 } else { 1 };
    match kind {
        Kind::KiB => size(number, unit, 1 << 10),
        Kind::Bytes => size(number, unit, 1),
        _ => unit.is_empty().then(|| number.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
    }
}

/// At most 2^100, which is more than any limit.
fn magnitude(digits: &str) -> Option<i128> {
    let append = |number: i128, digit: u8| (number * 10 + i128::from(digit - b'0')).min(1 << 100);
    (!digits.is_empty()).then(|| digits.bytes().fold(0, append))
}

/// A size as a count of `kept` bytes.
fn size(number: i128, unit: &str, kept: i128) -> Option<i64> {
    let bytes_per_unit: i128 = match unit {
        "" | "b" => 1,
        "k" | "ki" | "kb" | "kib" => 1 << 10,
        "m" | "mi" | "mb" | "mib" => 1 << 20,
        "g" | "gi" | "gb" | "gib" => 1 << 30,
        "t" | "ti" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    // A number that does not fit is brought to the nearest that does before its unit counts.
    let number = number.clamp(0, i64::MAX.into());
    let count = (number * bytes_per_unit + kept - 1) / kept;
    Some(count.min(MAX_REQUEST as i128 / kept) as i64)
}
