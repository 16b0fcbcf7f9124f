//! Memory that isn't ours: of a live process, or in a core file.

pub mod core_file;
pub mod live;
pub mod maps;

pub use core_file::CoreFile;
pub use live::Live;
pub use maps::Mapping;

/// A stretch of memory to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    pub address: u64,
    pub bytes: usize,
}

impl Piece {
    pub fn new(address: u64, bytes: usize) -> Piece {
        Piece { address, bytes }
    }
}

/// What can be read of a process.
pub trait Memory {
    /// Reads pieces one after another into `into`, which becomes as long as all of them; what can't be read is zeros.
    /// Answers which were read.
    fn read_pieces(&self, pieces: &[Piece], into: &mut Vec<u8>) -> Vec<bool>;

    /// What is mapped, by ascending address.
    fn mappings(&self) -> &[Mapping];

    /// How many bytes of each `unit_bytes` from `address` on are resident; `None` if that can't be known.
    fn resident(&self, address: u64, units: usize, unit_bytes: usize) -> Option<Vec<u32>>;

    /// The threads: number and name.
    fn threads(&self) -> Vec<(u32, String)>;

    fn pid(&self) -> u32;

    /// Its command, for people.
    fn command(&self) -> String;

    /// Resident set in bytes, if known.
    fn resident_bytes(&self) -> Option<u64>;

    /// Whether it runs on while it is read.
    fn is_live(&self) -> bool;

    fn read(&self, address: u64, bytes: usize) -> Option<Vec<u8>> {
        let mut into = Vec::new();
        self.read_pieces(&[Piece::new(address, bytes)], &mut into)[0].then_some(into)
    }

    fn word(&self, address: u64) -> Option<u64> {
        self.read(address, 8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap_or_default()))
    }
}
