//! What is written, read again: each format by a reader of its own, against each other and against exact counts.

use std::collections::HashMap;
use std::sync::Mutex;

use ferrimalloc_core::{alloc, profile, runtime};
use ferrimalloc_profile::{self as formats, Measure};

const RATE: usize = 16 << 10;
const SMALL: (usize, usize) = (30_000, 96);
const LARGE: (usize, usize) = (100, 1 << 20);
const PASSING: (usize, usize) = (50_000, 256);

/// The profiler is the process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

macro_rules! sites {
    ($($name:ident),*) => {$(
        #[inline(never)]
        fn $name(size: usize) -> usize {
            core::hint::black_box(allocate(size))
        }
    )*};
}
sites!(site_of_small_blocks, site_of_large_blocks, site_of_passing_blocks);

#[inline(never)]
fn allocate(size: usize) -> usize {
    alloc::malloc(size) as usize
}

fn free(p: usize) {
    // SAFETY: a block of the test's, which is done with it.
    unsafe { alloc::free(p as *mut u8) }
}

/// Runs `read` when something is in use that was sampled.
fn with_profile(read: impl FnOnce()) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
    runtime::live_theap().unwrap();
    runtime::profile_at(RATE);
    let work = || {
        let small = (0..SMALL.0).map(|_| site_of_small_blocks(SMALL.1));
        let mut held: Vec<usize> = small.collect();
        held.extend((0..LARGE.0).map(|_| site_of_large_blocks(LARGE.1)));
        (0..PASSING.0).map(|_| site_of_passing_blocks(PASSING.1)).for_each(free);
        held
    };
    let held = std::thread::Builder::new().name("form;at".into()).spawn(work).unwrap().join().unwrap();
    runtime::profile_at(0);
    read();
    held.into_iter().for_each(free);
}

fn written(write: impl FnOnce(&mut dyn formats::Output)) -> Vec<u8> {
    let mut all = Vec::new();
    write(&mut |bytes: &[u8]| all.extend_from_slice(bytes));
    all
}

#[track_caller]
fn assert_near(found: f64, (blocks, bytes): (usize, usize)) {
    let p = profile::probability(bytes, RATE);
    let exact = blocks as f64;
    let tolerance = 5.0 * (exact * (1.0 - p) / p).sqrt() + 1.0;
    assert!((found - exact).abs() <= tolerance, "{found}, not {exact} within {tolerance}");
}

// pprof.

#[derive(Clone, Debug)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Value {
    fn number(&self) -> u64 {
        if let Value::Number(number) = self { *number } else { panic!("a number") }
    }

    fn bytes(&self) -> &[u8] {
        if let Value::Bytes(bytes) = self { bytes } else { panic!("bytes") }
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return number;
        }
    }
}

/// The fields of a message, in order.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value.to_vec())
            }
            other => panic!("kind {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

fn all(message: &[(u64, Value)], field: u64) -> Vec<Value> {
    message.iter().filter(|(number, _)| *number == field).map(|(_, value)| value.clone()).collect()
}

fn one(message: &[(u64, Value)], field: u64) -> u64 {
    all(message, field).first().map_or(0, Value::number)
}

fn numbers(mut packed: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    while !packed.is_empty() {
        found.push(varint(&mut packed));
    }
    found
}

/// By the innermost function's name: values, and the thread.
fn read_pprof(bytes: &[u8]) -> HashMap<String, (Vec<u64>, String)> {
    let message = fields(bytes);
    let strings: Vec<String> =
        all(&message, 6).iter().map(|text| String::from_utf8(text.bytes().to_vec()).unwrap()).collect();
    assert_eq!(strings[0], "");
    let text = |number: u64| strings[number as usize].clone();
    let types: Vec<String> = all(&message, 1).iter().map(|kind| text(one(&fields(kind.bytes()), 1))).collect();
    assert_eq!(types.join(" "), "alloc_objects alloc_space inuse_objects inuse_space peak_objects peak_space lifetime");
    assert_eq!((one(&message, 12), text(one(&message, 14)).as_str()), (RATE as u64, "inuse_space"));
    let by_id = |field| -> HashMap<u64, Vec<(u64, Value)>> {
        let messages: Vec<_> = all(&message, field).iter().map(|value| fields(value.bytes())).collect();
        let count = messages.len();
        let map: HashMap<_, _> = messages.into_iter().map(|message| (one(&message, 1), message)).collect();
        assert!(map.len() == count && !map.contains_key(&0), "every number is one's own");
        map
    };
    let (mappings, locations, functions) = (by_id(3), by_id(4), by_id(5));
    assert!(mappings.values().all(|mapping| one(mapping, 2) < one(mapping, 3) && !text(one(mapping, 5)).is_empty()));
    for location in locations.values() {
        let mapping = &mappings[&one(location, 2)];
        assert!((one(mapping, 2)..one(mapping, 3)).contains(&one(location, 3)));
    }
    let mut found: HashMap<String, (Vec<u64>, String)> = HashMap::new();
    for sample in all(&message, 2).iter().map(|sample| fields(sample.bytes())) {
        let ids = numbers(all(&sample, 1)[0].bytes());
        let names = ids.iter().map(|id| {
            let line = all(&locations[id], 4).first().map(|line| one(&fields(line.bytes()), 1));
            line.map_or(String::new(), |function| text(one(&functions[&function], 2)))
        });
        let names: Vec<String> = names.collect();
        let labels: Vec<_> = all(&sample, 3).iter().map(|label| fields(label.bytes())).collect();
        assert_eq!((text(one(&labels[0], 1)).as_str(), text(one(&labels[1], 1)).as_str()), ("thread", "heap"));
        if let Some(site) = names.iter().find_map(|name| site_in(name)) {
            let values = numbers(all(&sample, 2)[0].bytes());
            let sums = found.entry(site).or_insert_with(|| (vec![0; values.len()], String::new()));
            sums.0.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            sums.1 = text(one(&labels[0], 2));
        }
    }
    found
}

fn site_in(name: &str) -> Option<String> {
    let start = name.find("site_of_")?;
    Some(name[start..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect())
}

#[test]
fn pprof_has_the_functions_and_what_they_allocated() {
    with_profile(|| {
        let found = read_pprof(&written(|out| formats::pprof(out, RATE)));
        let (small, thread) = &found["site_of_small_blocks"];
        assert_eq!(thread, "form;at");
        assert_near(small[2] as f64, SMALL);
        assert_near(small[3] as f64 / SMALL.1 as f64, SMALL);
        let (large, _) = &found["site_of_large_blocks"];
        assert_eq!((large[2], large[3]), (LARGE.0 as u64, (LARGE.0 * LARGE.1) as u64));
        let (passing, _) = &found["site_of_passing_blocks"];
        assert_eq!((passing[2], passing[3]), (0, 0));
    });
}

#[test]
fn heap_v2_is_scaled_by_its_reader() {
    with_profile(|| {
        let text = String::from_utf8(written(|out| formats::heap_v2(out, RATE))).unwrap();
        let (profile, mappings) = text.split_once("\nMAPPED_LIBRARIES:\n").unwrap();
        assert!(mappings.contains("r-xp") && profile.starts_with("heap profile: "));
        assert!(profile.lines().next().unwrap().ends_with(&format!("@ heap_v2/{RATE}")));
        let mut in_use = 0.0;
        for line in profile.lines().skip(1) {
            let parts: Vec<&str> = line.split([' ', ':', '[', ']']).filter(|part| !part.is_empty()).collect();
            let (count, bytes): (f64, f64) = (parts[0].parse().unwrap(), parts[1].parse().unwrap());
            assert_eq!(parts[4], "@");
            assert!(parts[5..].iter().all(|address| address.starts_with("0x")) && parts.len() > 5, "{line}");
            if count > 0.0 {
                in_use += bytes / -(-(bytes / count) / RATE as f64).exp_m1();
            }
        }
        let exact = (SMALL.0 * SMALL.1 + LARGE.0 * LARGE.1) as f64;
        assert!((in_use / exact - 1.0).abs() < 0.05, "{in_use}, not {exact}");
    });
}

#[test]
fn collapsed_stacks_are_lines_of_names() {
    with_profile(|| {
        let text = String::from_utf8(written(|out| formats::collapsed(out, Measure::InUse))).unwrap();
        let bytes = |line: &str| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        let lines = || text.lines().filter(|line| line.contains("site_of_large_blocks"));
        assert_eq!(lines().map(bytes).sum::<usize>(), LARGE.0 * LARGE.1);
        let line = lines().next().unwrap();
        assert!(line.starts_with("form_at;"), "a name's semicolon is none of ours: {line}");
        assert!(!text.contains("site_of_passing_blocks"), "nothing of it is in use");
        let names: Vec<&str> = line.split([';', ' ']).collect();
        let innermost = names[names.len() - 2];
        assert!(innermost.contains("allocate"), "without the allocator's own frames: {innermost}");
        let all = String::from_utf8(written(|out| formats::collapsed(out, Measure::Allocated))).unwrap();
        assert!(all.contains("site_of_passing_blocks"));
    });
}
