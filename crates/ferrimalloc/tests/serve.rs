//! The example `serve`, which cargo builds with the tests, asked as Prometheus and pprof ask.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// Ends with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is behind the header of the answer.
fn ask(address: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.") && answer[8..].starts_with(b" 200"), "{}", String::from_utf8_lossy(&answer));
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    answer.split_off(end + 4)
}

fn value(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name}: {metrics}")).parse().unwrap()
}

#[test]
fn metrics_and_profiles_are_served() {
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/serve");
    let child = Command::new(&program).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn();
    let mut child = child.expect("`cargo test` builds examples, `cargo test --test serve` does not");
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let server = Server(child);
    let address = said.trim().strip_prefix("http://").unwrap_or_else(|| panic!("{said}"));
    let metrics = || String::from_utf8(ask(address, "/metrics")).unwrap();
    let before = metrics();
    assert!(before.ends_with("# EOF\n"));
    (0..10).for_each(|_| _ = ask(address, "/work"));
    let after = metrics();
    let grown = value(&after, "ferrimalloc_live_bytes") - value(&before, "ferrimalloc_live_bytes");
    // A thousand documents of two hundred lines of some ninety bytes.
    assert!((16_000_000..40_000_000).contains(&grown), "{grown}");
    assert!(value(&after, "ferrimalloc_pages_made_total") > value(&before, "ferrimalloc_pages_made_total"));
    let profile = ask(address, "/debug/pprof/heap");
    let has = |text: &[u8]| profile.windows(text.len()).any(|part| part == text);
    assert!(has(b"inuse_space") && has(b"work"), "{} bytes", profile.len());
    drop(server);
}
