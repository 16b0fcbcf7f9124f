//! Threads that build collections, hand them to each other and drop what others have made. Prints checksums.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

const THREADS: u64 = 8;

type Parcel = BTreeMap<u64, Vec<String>>;

/// A small generator: the same numbers in every run.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn parcel(state: &mut u64) -> Parcel {
    let mut parcel = Parcel::new();
    for _ in 0..300 {
        let number = next(state);
        parcel
            .entry(number % 50)
            .or_default()
            .push(format!("{number:x}").repeat((number % 20) as usize));
    }
    parcel
}

fn checksum(parcel: &Parcel) -> u64 {
    parcel
        .iter()
        .map(|(key, texts)| key * texts.iter().map(|text| text.len() as u64).sum::<u64>())
        .sum()
}

/// Every thread sends parcels to its right neighbour, which drops them.
fn ring() -> u64 {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..THREADS).map(|_| mpsc::channel::<Parcel>()).unzip();
    let start = |(id, receiver): (usize, mpsc::Receiver<Parcel>)| {
        let right = senders[(id + 1) % THREADS as usize].clone();
        thread::spawn(move || turn(id as u64, &right, &receiver))
    };
    let threads: Vec<_> = receivers.into_iter().enumerate().map(start).collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum()
}

fn turn(id: u64, right: &mpsc::Sender<Parcel>, receiver: &mpsc::Receiver<Parcel>) -> u64 {
    let mut state = id + 1;
    (0..100)
        .map(|_| {
            right.send(parcel(&mut state)).unwrap();
            checksum(&receiver.recv().unwrap())
        })
        .sum()
}

/// Vectors that grow while others grow, and shared strings whose last owner is any thread.
fn shared() -> u64 {
    let pool = Arc::new(Mutex::new(VecDeque::<Arc<str>>::new()));
    let threads: Vec<_> = (0..THREADS)
        .map(|id| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || exchange(id, &pool))
        })
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum()
}

fn exchange(id: u64, pool: &Mutex<VecDeque<Arc<str>>>) -> u64 {
    let mut state = id + 77;
    let mut numbers = Vec::new();
    for _ in 0..20_000 {
        let number = next(&mut state);
        let text: Arc<str> = "s".repeat((number % 200) as usize).into();
        numbers.push(text.len() as u64);
        let mut pool = pool.lock().unwrap();
        pool.push_back(text);
        if pool.len() > 1000 {
            pool.pop_front();
        }
    }
    numbers.iter().sum()
}

fn words() -> u64 {
    let mut counts: HashMap<String, BTreeSet<u64>> = HashMap::new();
    let mut state = 5;
    for place in 0..200_000 {
        counts
            .entry(format!("w{}", next(&mut state) % 5000))
            .or_default()
            .insert(place);
    }
    counts
        .values()
        .map(|places| places.len() as u64 * places.first().unwrap())
        .sum()
}

fn main() {
    println!("ring {}", ring());
    println!("shared {}", shared());
    println!("words {}", words());
    let short_lived: u64 = (0..500)
        .map(|id| {
            thread::spawn(move || checksum(&parcel(&mut (id + 9))))
                .join()
                .unwrap()
        })
        .sum();
    println!("short-lived threads {short_lived}");
}
