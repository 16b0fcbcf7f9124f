//! From an environment variable's text to an option's value. Pure.
//!
//! Grammar, in any case and with blanks around: nothing, `1`, `on`, `true`, `yes` are 1; `0`, `off`, `false`, `no`
//! are 0; else a decimal integer with an optional sign. For a size: bytes, rounded up to KiB, or a count of `K`,
//! `M`, `G`, `T` (`Ki`, `KB`, `KiB` and so on mean the same). Numbers that do not fit are brought to the nearest
//! that does.

use super::table::Kind;
use crate::base::MAX_REQUEST;

/// The text is no value of the option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalid;

/// log2 of a KiB.
const KIB_SHIFT: u32 = 10;
/// The largest size an option may have. KiB.
const KIB_MAX: u64 = (MAX_REQUEST >> KIB_SHIFT) as u64;

const ON: [&str; 5] = ["", "1", "on", "true", "yes"];
const OFF: [&str; 4] = ["0", "off", "false", "no"];

/// The value that `text` gives an option of `kind`.
pub fn parse(kind: Kind, text: &[u8]) -> Result<i64, Invalid> {
    let text = text.trim_ascii();
    if is_one_of(text, &ON) {
        return Ok(1);
    }
    if is_one_of(text, &OFF) {
        return Ok(0);
    }
    if let Some(level) = words(kind).iter().position(|word| text.eq_ignore_ascii_case(word.as_bytes())) {
        return Ok(2 + level as i64);
    }
    let (number, unit) = number(text)?;
    match kind {
        Kind::KiB => kib(number, unit),
        Kind::Bytes => bytes(number, unit),
        Kind::Switch | Kind::Auto | Kind::Number | Kind::Tagging if unit.is_empty() => Ok(number),
        Kind::Switch | Kind::Auto | Kind::Number | Kind::Tagging => Err(Invalid),
    }
}

/// The words for the levels above 1.
fn words(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Auto => &["auto"],
        Kind::Tagging => &["sync", "async", "preferred"],
        Kind::Switch | Kind::Number | Kind::KiB | Kind::Bytes => &[],
    }
}

fn is_one_of(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
}

/// Splits `text` into the integer it begins with, brought into range, and the rest.
fn number(text: &[u8]) -> Result<(i64, &[u8]), Invalid> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(length);
    if digits.is_empty() {
        return Err(Invalid);
    }
    Ok((digits.iter().fold(0, |number, &digit| append(number, sign, digit)), rest))
}

fn append(number: i64, sign: i64, digit: u8) -> i64 {
    number.saturating_mul(10).saturating_add(sign * i64::from(digit - b'0'))
}

/// `number` of `unit`s in KiB; negative sizes are none.
fn kib(number: i64, unit: &[u8]) -> Result<i64, Invalid> {
    let number = u64::try_from(number).unwrap_or(0);
    let kib = match unit_shift(unit)? {
        0 => number.div_ceil(1 << KIB_SHIFT),
        shift => number.saturating_mul(1 << (shift - KIB_SHIFT)),
    };
    Ok(kib.min(KIB_MAX) as i64)
}

/// `number` of `unit`s in bytes; negative sizes are none.
fn bytes(number: i64, unit: &[u8]) -> Result<i64, Invalid> {
    let number = u64::try_from(number).unwrap_or(0);
    let bytes = number.saturating_mul(1 << unit_shift(unit)?);
    Ok(bytes.min(MAX_REQUEST as u64) as i64)
}

/// log2 of the unit that `text` names.
fn unit_shift(text: &[u8]) -> Result<u32, Invalid> {
    let (prefix, rest) = match text {
        [] => return Ok(0),
        [first, rest @ ..] => (first.to_ascii_lowercase(), rest),
    };
    let shift = match prefix {
        b'b' => 0,
        b'k' => KIB_SHIFT,
        b'm' => 2 * KIB_SHIFT,
        b'g' => 3 * KIB_SHIFT,
        b't' => 4 * KIB_SHIFT,
        _ => return Err(Invalid),
    };
    let suffixes: &[&str] = if shift == 0 { &[""] } else { &["", "b", "i", "ib"] };
    if is_one_of(rest, suffixes) { Ok(shift) } else { Err(Invalid) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;

    fn value(kind: Kind, text: &str) -> Option<i64> {
        parse(kind, text.as_bytes()).ok()
    }

    #[test]
    fn switches_have_words() {
        for kind in [Kind::Switch, Kind::Number, Kind::KiB, Kind::Bytes, Kind::Tagging] {
            for text in ["1", "on", "ON", "True", "yes", "", " Yes "] {
                assert_eq!(value(kind, text), Some(1), "{text}");
            }
            for text in ["0", "off", "OFF", "False", "no"] {
                assert_eq!(value(kind, text), Some(0), "{text}");
            }
        }
    }

    #[test]
    fn numbers_have_signs_and_no_units() {
        for (text, number) in [("42", 42), ("-1", -1), ("+7", 7), (" 7 ", 7), ("007", 7)] {
            assert_eq!(value(Kind::Number, text), Some(number));
        }
        for text in ["5x", "0x10", "1K", "S", "-", "+", "--1", "1 2", "on off", "٣"] {
            assert_eq!(value(Kind::Number, text), None, "{text}");
        }
    }

    #[test]
    fn numbers_too_large_are_the_largest() {
        assert_eq!(value(Kind::Number, "99999999999999999999"), Some(i64::MAX));
        assert_eq!(value(Kind::Number, "-99999999999999999999"), Some(i64::MIN));
        assert_eq!(value(Kind::Number, "-9223372036854775808"), Some(i64::MIN));
    }

    #[test]
    fn sizes_have_units() {
        let expected = [
            ("4096", 4),
            ("100000", 98),
            ("12B", 1),
            ("+7", 1),
            ("1K", 1),
            ("3KiB", 3),
            ("3kb", 3),
            ("2M", 2048),
            ("2MB", 2048),
            ("2Mi", 2048),
            ("1GiB", 1 << 20),
            ("1t", (1 << 30).min(KIB_MAX as i64)),
            ("-5", 0),
            ("-5G", 0),
        ];
        for (text, kib) in expected {
            assert_eq!(value(Kind::KiB, text), Some(kib), "{text}");
        }
        for text in ["5x", "1KK", "1KiBB", "1 K", "K", "1Bi", "1iB"] {
            assert_eq!(value(Kind::KiB, text), None, "{text}");
            assert_eq!(value(Kind::Bytes, text), None, "{text}");
        }
    }

    #[test]
    fn sizes_in_bytes_are_exact() {
        for (text, bytes) in [
            ("4097", 4097),
            ("12B", 12),
            ("3KiB", 3 << 10),
            ("2M", 2 << 20),
            ("1t", (1i64 << 40).min(MAX_REQUEST as i64)),
            ("-5", 0),
        ] {
            assert_eq!(value(Kind::Bytes, text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn levels_have_words_of_their_own() {
        for (kind, text, level) in [(Kind::Auto, "AUTO", 2), (Kind::Tagging, "sync", 2), (Kind::Tagging, "Async", 3)] {
            assert_eq!(value(kind, text), Some(level), "{text}");
        }
        assert_eq!(value(Kind::Tagging, "preferred"), Some(4));
        assert_eq!((value(Kind::Auto, "sync"), value(Kind::Tagging, "auto")), (None, None));
    }

    #[test]
    fn sizes_too_large_are_the_largest() {
        for text in ["1000000000T", "9223372036854775807G", "99999999999999999999"] {
            assert_eq!(value(Kind::KiB, text), Some(KIB_MAX as i64));
            assert_eq!(value(Kind::Bytes, text), Some(MAX_REQUEST as i64));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_value_or_invalid(text in prop::collection::vec(any::<u8>(), 0..40)) {
            for kind in [Kind::Switch, Kind::Number, Kind::KiB, Kind::Bytes, Kind::Tagging] {
                let _ = parse(kind, &text);
            }
        }

        #[test]
        fn near_misses_do_not_panic(text in "[-+ 0-9]{0,24}[bBkKmMgGtTiIxX ]{0,4}") {
            let size = parse(Kind::KiB, text.as_bytes());
            prop_assert!(size.is_err() || (0..=KIB_MAX as i64).contains(&size.unwrap()));
        }

        #[test]
        fn every_number_reads_back(number in any::<i64>()) {
            prop_assert_eq!(parse(Kind::Number, format!("{number}").as_bytes()), Ok(number));
        }

        #[test]
        fn kib_read_back(kib in 0..=KIB_MAX as i64) {
            prop_assert_eq!(parse(Kind::KiB, format!("{kib}KiB").as_bytes()), Ok(kib));
        }
    }
}
