//! Messages boxed on two threads and dropped on two others, through channels of the standard library.

use crate::random::Random;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

struct Message {
    title: String,
    fields: Vec<Box<[u8]>>,
}

const MESSAGES_A_ROUND: u64 = 2_000;
const PAIRS: u64 = 2;
const CAPACITY: usize = 256;

pub fn run(rounds: u64) -> u64 {
    thread::scope(|scope| {
        let pairs: Vec<_> =
            (0..PAIRS).map(|pair| scope.spawn(move || run_pair(pair, rounds * MESSAGES_A_ROUND))).collect();
        pairs.into_iter().map(|pair| pair.join().expect("a worker does not panic")).sum()
    })
}

fn run_pair(seed: u64, messages: u64) -> u64 {
    let (sender, receiver) = sync_channel(CAPACITY);
    thread::scope(|scope| {
        scope.spawn(move || send(seed, messages, &sender));
        receive(&receiver)
    })
}

fn send(seed: u64, messages: u64, sender: &SyncSender<Message>) {
    let mut random = Random::new(seed + 1);
    for number in 0..messages {
        if sender.send(message(number, &mut random)).is_err() {
            return;
        }
    }
}

fn message(number: u64, random: &mut Random) -> Message {
    let fields = (0..random.below(10)).map(|_| vec![1; 8 + random.below(300)].into()).collect();
    Message { title: format!("message {number}"), fields }
}

fn receive(receiver: &Receiver<Message>) -> u64 {
    receiver
        .iter()
        .map(|message| message.title.len() as u64 + message.fields.iter().map(|f| f.len() as u64).sum::<u64>())
        .sum()
}
